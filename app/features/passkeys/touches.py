"""When somebody last touched a passkey, for acts that want it to be a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from app.core.errors import StepUpRequired
from app.core.web.passes import FRESH_SECONDS
from app.features.passkeys.door import AnyConnection, login_address
from app.features.passkeys.sessions import LIMIT, Session


class Touches:
    """In memory only: after a restart everybody is asked again. `wanted` is whether it is asked for at all."""

    def __init__(self, monotonic: Callable[[], float], wanted: bool) -> None:
        self._monotonic = monotonic
        self._wanted = wanted
        self._at: OrderedDict[str, float] = OrderedDict()

    @property
    def wanted(self) -> bool:
        """Whether it is asked for here; passes tell the supervisor."""
        return self._wanted

    def note(self, session_id: str) -> None:
        """A passkey was touched in this session just now."""
        self._at[session_id] = self._monotonic()
        self._at.move_to_end(session_id)
        if len(self._at) > LIMIT:
            self._at.popitem(last=False)

    def age(self, session_id: str) -> float | None:
        """Seconds since the last touch in this session; None when there was none since Dockrev started."""
        at = self._at.get(session_id)
        return None if at is None else self._monotonic() - at

    def check(self, connection: AnyConnection) -> None:
        """Raises StepUpRequired for a session without a touch in the last FRESH_SECONDS. Who came by other means (a
        token has a scope, a proxy has rules of its own) is let through."""
        if self._wanted:
            self.require(connection)

    def require(self, connection: AnyConnection) -> None:
        """The same, whatever is set here: the supervisor asked for it."""
        known: Session | None = connection.scope["state"].get("passkey_session")
        age = None if known is None else self.age(known.id)
        if known is None or (age is not None and age < FRESH_SECONDS):
            return
        error = StepUpRequired(
            "this needs a touch of a passkey",
            hint="Touch one of your passkeys on the page /login/touch, then send it again within 5 minutes.",
            details={"reason": "step_up_required"},
        )
        error.login = login_address(connection, "/login/touch")
        raise error
