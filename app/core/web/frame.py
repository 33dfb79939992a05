"""What every page carries around its own content: navigation, person, banners, running job, topics of its stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NavLink:
    """An entry of the navigation; `wide` entries leave the narrow tab bar."""

    href: str
    label: str
    icon: str
    current: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Pill:
    """The job that runs now, in the top bar. `count` jobs run in all; percent is 0 to 100."""

    job_id: str
    phase: str
    percent: float | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """Given to templates as `frame`. `topics` are those of `/events` for this page; empty means no stream.

    `person` is how `user` is called, `logout_url` where that one signs out; both only where the identity provider says.
    `engine_error` is the engine's complaint while it cannot be reached, with `engine_hint` as the remedy.
    `passkeys` says that there is a page of them.
    """

    nav: Sequence[NavLink] = field(default_factory=tuple)
    user: str | None = None
    person: str | None = None
    logout_url: str | None = None
    pill: Pill | None = None
    topics: Sequence[str] = field(default_factory=tuple)
    engine_error: str | None = None
    engine_hint: str = ""
    sandbox: bool = False
    passkeys: bool = False
    open_to_anyone: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Toast:
    """Answer to an action of a page that worked; tone is ok, up or back."""

    text: str
    tone: str = "ok"
    href: str | None = None
    link: str = ""
