"""What the room's pages show. Nothing in here opens anything."""

from __future__ import annotations

from datetime import datetime

from app.core.web.schema import ApiModel, Maybe
from app.features.passkeys.keys import Passkey
from app.features.passkeys.rules import device_text
from app.features.passkeys.sessions import Session
from app.features.preferences import SectionLink


class PasskeyOut(ApiModel):
    """A passkey. `alarm_at`: its counter went back then, which says that there is a copy of it."""

    id: str
    name: str
    rp_id: str
    created_at: datetime
    last_used_at: datetime | None
    last_used_from: str | None
    alarm_at: datetime | None

    @classmethod
    def of(cls, key: Passkey) -> PasskeyOut:
        """As it is told."""
        return cls(**{name: getattr(key, name) for name in cls.model_fields})


class SessionOut(ApiModel):
    """A browser that is signed in; `current` is the one that asks."""

    id: str
    device: str
    passkey: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    ends_at: datetime
    current: bool

    @classmethod
    def of(cls, session: Session, current: Session | None) -> SessionOut:
        """As it is told."""
        told = {name: getattr(session, name) for name in cls.model_fields if name != "current"}
        told["device"] = device_text(session.device)
        return cls(**told, current=current is not None and current.id == session.id)


class PasskeysPage(ApiModel):
    """The page of passkeys and sessions. `may_add` is false for who came without a name: a code is needed then."""

    passkeys: list[PasskeyOut]
    sessions: list[SessionOut]
    sections: list[SectionLink]
    may_add: bool
    origin: Maybe[str] = None
    problem: Maybe[str] = None


class RemovePage(ApiModel):
    """Before a passkey is removed. `ends` is how many sessions end with it."""

    passkey: PasskeyOut
    last: bool
    ends: int
    sections: list[SectionLink]


class RenamePage(ApiModel):
    """The form for another name of a passkey."""

    passkey: PasskeyOut
    sections: list[SectionLink]


class LoginPage(ApiModel):
    """The page to sign in at. `problem` is why passkeys do not work here, `remedy` what to do about it."""

    has_passkeys: bool
    next: str
    proxy: bool
    origin: Maybe[str] = None
    problem: Maybe[str] = None
    remedy: Maybe[str] = None


class LogoutPage(ApiModel):
    """The page to sign out at."""

    passkey: str
    device: str


class TouchPage(ApiModel):
    """The page that asks for a touch; `next` is where the form is."""

    next: str
