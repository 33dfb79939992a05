"""Catalog: what is shown of stacks and services, over the API and on their pages."""

from app.adapters.engine import Engine
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.features.backups import Backups
from app.features.catalog import api, controllers, inference_page
from app.features.catalog.controllers import LIVE, checked_state
from app.features.catalog.pages import CatalogPages
from app.features.catalog.reads import Catalog, Known, group_of, problems_of
from app.features.catalog.rows import OPEN_STATES, PLACE, Seen, state_counts
from app.features.jobs import JobReads
from app.features.stacks import Runtime, Stacks
from app.features.updates import Updates
from app.features.versions import IgnoreRules, Inference, VersionLists, Versions
from app.settings import Settings

__all__ = [
    "FEATURE",
    "LIVE",
    "OPEN_STATES",
    "PLACE",
    "Catalog",
    "Known",
    "Seen",
    "checked_state",
    "group_of",
    "problems_of",
    "state_counts",
]


def _setup(container: Container) -> None:
    stacks, versions = container.get(Stacks), container.get(Versions)
    catalog = container.put(Catalog, Catalog(stacks, versions, container.get(JobEngine)))
    container.put(
        CatalogPages,
        CatalogPages(
            settings=container.get(Settings),
            engine=container.get(Engine),
            catalog=catalog,
            stacks=stacks,
            versions=versions,
            inference=container.get(Inference),
            ignore_rules=container.get(IgnoreRules),
            version_lists=container.get(VersionLists),
            runtime=container.get(Runtime),
            backups=container.get(Backups),
            updates=container.get(Updates),
            job_reads=container.get(JobReads),
        ),
    )


FEATURE = Feature(
    name="catalog",
    setup=_setup,
    handlers=(*api.HANDLERS, *controllers.HANDLERS, *inference_page.HANDLERS),
    provides={"catalog": Catalog, "catalog_pages": CatalogPages},
)
