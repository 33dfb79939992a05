"""Puts the supervisor together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app.core.web.auth import AuthPolicy
from app.core.web.pass_key import PassKey
from app.supervisor.answers import Templates, on_http
from app.supervisor.door import Door
from app.supervisor.ledger import Ledger
from app.supervisor.operations import Supervisor
from app.supervisor.outside import Outside, clean, own_container
from app.supervisor.routes import routes
from app.supervisor.settings import SupervisorSettings
from app.supervisor.speaking import Speaking
from app.supervisor.upgrade import Pace
from app.supervisor.world import World


def create_supervisor(
    settings: SupervisorSettings,
    policy: AuthPolicy,
    *,
    docker_config: Path | None = None,
    pass_key: PassKey | None = None,
    step_up: bool = False,
    language: str = "en",
    world: Callable[[], World] | None = None,
    pace: Pace | None = None,
) -> Starlette:
    """The ASGI application; `policy` is the forward auth it shares with Dockrev, `docker_config` has the registry
    logins, `pass_key` is that of passes where passkeys are on, `language` is for browsers that ask for none there is,
    `world` and `pace` are replaced in tests."""
    door = Door(policy, pass_key, step_up=step_up, base_path=settings.base_path)
    ledger = Ledger(settings.state_path, settings.target_image_repo, clean)
    supervisor = Supervisor(
        settings, ledger, world or (lambda: Outside(settings, docker_config)), own_id=own_container(), pace=pace
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await supervisor.after_restart()
        await door.tell()
        try:
            yield
        finally:
            await supervisor.close()

    application = Starlette(
        routes=routes(settings.base_path),
        lifespan=lifespan,
        middleware=[Middleware(Speaking, language)],
        exception_handlers={HTTPException: on_http},
    )
    application.router.redirect_slashes = False
    application.state.supervisor = supervisor
    application.state.door = door
    application.state.templates = Templates(settings)
    return application
