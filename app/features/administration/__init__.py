"""Administration: health, version, metrics, settings page and deploy check of Dockrev itself."""

from collections.abc import Sequence

from litestar.types import ControllerRouterHandler

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.core.background import Background
from app.core.clock import Clock
from app.core.feature import Container, Feature
from app.core.metrics import Metrics
from app.core.web.auth import AuthPolicy
from app.features.administration import deploy_pages, room, settings_pages
from app.features.administration.deploy_check import DeployCheck
from app.features.administration.misroute import misroute_handlers
from app.features.administration.settings_reads import SettingsReads
from app.features.administration.welcome import Welcome, lead_to_deploy_check
from app.features.passkeys import count_of
from app.features.preferences import Preferences, ReadinessBoard, Sections
from app.features.schedules import Scheduler
from app.features.stacks import Stacks
from app.settings import Settings

__all__ = ["FEATURE", "DeployCheck", "Welcome", "lead_to_deploy_check"]


def _setup(container: Container) -> None:
    settings, clock = container.get(Settings), container.get(Clock)
    preferences, sections = container.get(Preferences), container.get(Sections)
    sections.add("access", "backups", "monitoring", "schedules", "instance", "deploy-check")
    container.put(
        SettingsReads, SettingsReads(settings, preferences, container.get(Scheduler), sections, count_of(container))
    )
    check = DeployCheck(
        settings=settings,
        policy=container.get(AuthPolicy),
        engine=container.get(Engine),
        compose=container.get(Compose),
        stacks=container.get(Stacks),
        board=container.get(ReadinessBoard),
        passkeys=count_of(container),
        clock=clock,
    )
    container.put(DeployCheck, check)
    welcome = container.put(Welcome, Welcome(check, preferences, clock, sandbox=settings.sandbox))
    container.get(Background).keep("deploy check", welcome.run)


def _placed(container: Container) -> Sequence[ControllerRouterHandler]:
    return misroute_handlers(container.get(Settings).self_upgrade_url)


FEATURE = Feature(
    name="administration",
    setup=_setup,
    handlers=(*room.HANDLERS, *settings_pages.HANDLERS, *deploy_pages.HANDLERS),
    placed=_placed,
    provides={
        "settings": Settings,
        "metrics": Metrics,
        "settings_reads": SettingsReads,
        "deploy_check": DeployCheck,
        "deploy_welcome": Welcome,
    },
)
