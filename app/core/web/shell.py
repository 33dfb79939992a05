"""What every page shows around its content: navigation, who is signed in, warnings, the running job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from litestar import Request

from app.core.feature import NavItem

Tone = Literal["ok", "warn", "bad", "run"]


@dataclass(frozen=True, slots=True)
class Banner:
    """A message about the whole of Dockrev, with its remedy."""

    key: str
    tone: Tone
    title: str
    text: str
    hint: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobPill:
    """The running job in the top bar; `more` further jobs run beside it."""

    job_id: str
    text: str
    percent: float | None = None
    more: int = 0


@dataclass(frozen=True, slots=True)
class Shell:
    """See the module; templates read it as `shell`."""

    nav: Sequence[NavItem]
    path: str
    version: str
    user: str = ""
    csrf_token: str = ""
    banners: Sequence[Banner] = field(default=())
    pill: JobPill | None = None
    sandbox: bool = False
    live: bool = True

    def is_current(self, item: NavItem) -> bool:
        """Whether the page lies under this entry of the navigation."""
        if item.href == "/":
            return self.path == "/"
        if item.href == "/services" and self.path.startswith("/stacks"):
            return True
        return self.path == item.href or self.path.startswith(item.href + "/")


class ShellSource(Protocol):
    """Makes the shell of a request."""

    async def full(self, request: Request[Any, Any, Any], csrf_token: str) -> Shell:
        """With everything live: needs the database and the engine's state."""
        ...

    def bare(self, request: Request[Any, Any, Any], *, signed_in: bool) -> Shell:
        """For error pages: asks nobody."""
        ...
