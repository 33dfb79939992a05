"""The composition root: the only place that knows everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.pydantic import PydanticPlugin

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.adapters.registry import RegistryClient
from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.db.migrate import prepare
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.core.metrics import Metrics
from app.core.web.around import Around
from app.core.web.assets import Assets
from app.core.web.auth import AuthPolicy, require_identity
from app.core.web.forms import require_same_site
from app.core.web.heads import Heads
from app.core.web.problems import HANDLERS
from app.core.web.sharing import share_what_is_equal
from app.core.web.speaking import Speaking, language_switch
from app.core.web.static import static_handler
from app.core.web.view import Pages
from app.installed import INSTALLED
from app.openapi import HANDLERS as REFERENCE
from app.openapi import openapi_config
from app.settings import Settings, project_root

log = structlog.get_logger(__name__)

_STARTED = 2.0  # seconds, after which nothing is asked any more that is asked at the start alone

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def build_container(settings: Settings, features: Sequence[Feature] = INSTALLED, **replaced: Any) -> Container:
    """Everything below the handlers, wired; `replaced` swaps an outside world (`engine=`, `compose=`, `clock=`)."""
    container = Container()
    container.put(Settings, settings)
    policy = container.put(AuthPolicy, settings.auth_policy)
    clock = container.put(Clock, replaced.get("clock") or Clock())
    database = container.put(Database, Database(settings.db_path))
    bus = container.put(EventBus, EventBus())
    container.put(Background, Background())
    policy.ignored.counted = container.put(Metrics, Metrics()).identity_headers_ignored.inc
    container.put(Around, Around())
    container.put(Assets, Assets(project_root() / "static"))
    container.put(JobEngine, JobEngine(database, bus, clock))
    container.put(Engine, replaced.get("engine") or Engine(settings.docker_host, docker_config=settings.docker_config))
    container.put(
        Compose,
        replaced.get("compose")
        or Compose(settings.compose_bin, docker_host=settings.docker_host, docker_config=settings.docker_config),
    )
    for feature in features:
        feature.setup(container)
    return container


def create_app(settings: Settings, features: Sequence[Feature] = INSTALLED, **replaced: Any) -> Litestar:
    """The ASGI application. The database is prepared when it starts."""
    container = build_container(settings, features, **replaced)
    around = container.get(Around)
    provided = {name: kind for feature in features for name, kind in feature.provides.items()}
    application = Litestar(
        route_handlers=[
            *(handler for feature in features for handler in (*feature.handlers, *feature.placed(container))),
            static_handler(container.get(Assets)),
            language_switch(),
            *REFERENCE,
        ],
        lifespan=[lambda app: _lifespan(app, container, features)],
        guards=[require_same_site, require_identity],
        before_request=around.before_request,
        after_exception=around.after_exception,
        before_send=around.before_send,
        dependencies={name: _provide(container, kind) for name, kind in provided.items()},
        exception_handlers=HANDLERS,
        plugins=[PydanticPlugin(prefer_alias=True)],
        openapi_config=openapi_config(settings.effective_version),
        response_headers=SECURITY_HEADERS,
        request_max_body_size=1_000_000,
        state=State(
            {
                "container": container,
                "auth_policy": container.get(AuthPolicy),
                "means": around.means,
                "fresh": around.fresh,
                "pages": container.get(Pages),
            }
        ),
        logging_config=None,
    )
    share_what_is_equal(application)
    application.asgi_handler = Speaking(Heads(application.asgi_handler), settings.language)
    return application


def _provide(container: Container, kind: type) -> Provide:
    return Provide(lambda: container.get(kind), sync_to_thread=False)


@asynccontextmanager
async def _lifespan(app: Litestar, container: Container, features: Sequence[Feature]) -> AsyncIterator[None]:
    """Start from the bottom up, stop from the top down; ends within a few seconds whatever hangs."""
    settings, jobs, background = container.get(Settings), container.get(JobEngine), container.get(Background)
    migrated = prepare(settings.db_path, project_root() / "migrations", settings.effective_version)
    log.info("database ready", path=str(settings.db_path), was=migrated.before.kind, copy=str(migrated.copy or ""))
    interrupted = await jobs.recover()
    for feature in features:
        await feature.start(container)
    background.keep("job retention", lambda: every(3600, jobs.purge))
    background.keep("interrupted jobs", lambda: jobs.interrupted(interrupted))
    background.start()
    asyncio.get_running_loop().call_later(_STARTED, container.get(Database).forget_statements)  # 0.7 MB
    try:
        yield
    finally:
        await jobs.stop()
        await background.stop()
        for feature in reversed(features):
            await feature.stop(container)
        await container.get(EventBus).settle()
        await container.get(Engine).close()
        await container.get(RegistryClient).aclose()
        await container.get(Database).close()
