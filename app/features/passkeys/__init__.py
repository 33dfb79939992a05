"""Passkeys: signing in without a proxy, for one owner; sessions; the code for the first one and for the way back.

Nothing of it is there unless `DOCKREV_PASSKEYS` is on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from litestar.types import ControllerRouterHandler

from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container, Feature
from app.core.web.around import Around
from app.core.web.auth import AuthPolicy
from app.core.web.passes import OPEN_PATH
from app.core.web.view import Pages
from app.features.passkeys import login_controllers, page_controllers, supervisor_controllers
from app.features.passkeys.codes import Codes
from app.features.passkeys.door import Door, renew_cookie
from app.features.passkeys.keys import Passkeys
from app.features.passkeys.login import Login
from app.features.passkeys.pass_check import Verdict, look_at_passes
from app.features.passkeys.passes import Passes
from app.features.passkeys.sessions import Sessions
from app.features.passkeys.touches import Touches
from app.features.preferences import Preferences, Sections
from app.settings import Settings

__all__ = ["FEATURE", "Verdict", "count_of", "look_at_passes"]

PURGE_SECONDS: Final = 3600.0


def count_of(container: Container) -> Callable[[], Awaitable[int]]:
    """Asks how many passkeys can open this Dockrev; 0 while they are off."""
    return container.get(Passkeys).count if container.get(Settings).passkeys else _none


async def _none() -> int:
    return 0


def _setup(container: Container) -> None:
    settings, db, clock = container.get(Settings), container.get(Database), container.get(Clock)
    policy, preferences = container.get(AuthPolicy), container.get(Preferences)
    codes = container.put(Codes, Codes(db, clock))
    sessions = container.put(Sessions, Sessions(db, clock))
    keys = container.put(Passkeys, Passkeys(db, clock, codes))
    door = container.put(Door, Door(sessions, keys, policy, preferences, settings.passkeys_origin))
    touches = container.put(Touches, Touches(clock.monotonic, settings.passkeys_step_up))
    passes = container.put(Passes, Passes(settings.pass_key, door, touches, clock, settings.self_upgrade_url))
    sessions.ended = passes.void
    container.put(Login, Login(door, keys, codes, sessions, touches, clock))
    if settings.passkeys:
        around = container.get(Around)
        around.means.append(door)
        around.fresh.append(touches.check)
        around.before_send.append(renew_cookie)
        container.get(Sections).add("passkeys")


def _handlers(container: Container) -> Sequence[ControllerRouterHandler]:
    on = container.get(Settings).passkeys
    return (*login_controllers.HANDLERS, *page_controllers.HANDLERS, *supervisor_controllers.HANDLERS) if on else ()


async def _start(container: Container) -> None:
    if container.get(Settings).passkeys:
        background = container.get(Background)
        container.get(Pages).environment.globals["supervisor_way"] = OPEN_PATH
        await container.get(Codes).announce()
        background.keep("enrolment code", container.get(Codes).run)
        background.keep("session clean-up", lambda: every(PURGE_SECONDS, container.get(Sessions).purge))


FEATURE = Feature(
    name="passkeys",
    setup=_setup,
    placed=_handlers,
    provides={
        "door": Door,
        "login": Login,
        "passkeys": Passkeys,
        "sessions": Sessions,
        "codes": Codes,
        "passes": Passes,
        "touches": Touches,
    },
    start=_start,
)
