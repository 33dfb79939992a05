"""Overview: the first page, the frame of all pages, their stream and their forms."""

from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, select_autoescape

from app.adapters.registry import RegistryClient
from app.core.clock import Clock
from app.core.events import EventBus
from app.core.feature import Container, Feature, NavItem
from app.core.jobs import JobEngine
from app.core.metrics import Metrics
from app.core.web.assets import Assets
from app.core.web.presentation import install
from app.core.web.view import Pages
from app.features.backups import Backups
from app.features.catalog import Catalog
from app.features.jobs import JobReads
from app.features.notifications import Failing
from app.features.overview import actions, controllers, palette, stream
from app.features.overview.frames import Frames
from app.features.overview.service import Overview
from app.features.overview.stream import PageStream
from app.features.overview.widget import Widget, widget
from app.features.preferences import Preferences
from app.features.stacks import Runtime
from app.settings import Settings, project_root

__all__ = ["FEATURE", "environment"]

NAV = (
    NavItem("/", "Overview", "n-over"),
    NavItem("/services", "Services", "n-serv"),
    NavItem("/version-inference", "Inference", "hint", wide=True),
    NavItem("/queue", "Jobs", "n-jobs"),
    NavItem("/settings", "Settings", "n-set"),
)


def environment(templates: Path, assets: Assets, compiled: Path | None = None) -> Environment:
    """The templates' environment; a name that is not there is an error, not an empty string.

    In the folder `compiled` is kept what was compiled: a start later saves 4 MB and a quarter of a second.
    """
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_cache(compiled),
    )
    return install(made, assets)


def _cache(folder: Path | None) -> FileSystemBytecodeCache | None:
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:  # a data folder that cannot be written is told about elsewhere
        return None
    return FileSystemBytecodeCache(str(folder))


def _setup(container: Container) -> None:
    settings, jobs, runtime = container.get(Settings), container.get(JobEngine), container.get(Runtime)
    frames = container.put(Frames, Frames(settings, jobs, runtime, NAV))
    compiled = settings.db_path.parent / "templates"
    templates = environment(project_root() / "templates", container.get(Assets), compiled)
    pages = container.put(Pages, Pages(templates, frames))
    reads = container.get(JobReads)
    container.put(PageStream, PageStream(container.get(EventBus), jobs, reads, frames, pages))
    catalog, clock = container.get(Catalog), container.get(Clock)
    counts = container.put(Widget, Widget(catalog, runtime, jobs.store, clock, settings.effective_version))
    metrics = container.get(Metrics)
    metrics.measures.append(lambda: counts.measure(metrics))
    container.put(
        Overview,
        Overview(
            settings=settings,
            clock=clock,
            catalog=catalog,
            runtime=runtime,
            registry=container.get(RegistryClient),
            preferences=container.get(Preferences),
            backups=container.get(Backups),
            job_reads=reads,
            failing=container.get(Failing),
        ),
    )


FEATURE = Feature(
    name="overview",
    setup=_setup,
    handlers=(
        controllers.overview_page,
        controllers.index_page,
        stream.page_events,
        widget,
        palette.palette_places,
        palette.check_new,
        *actions.HANDLERS,
    ),
    provides={"pages": Pages, "overview": Overview, "page_stream": PageStream, "widget": Widget},
)
