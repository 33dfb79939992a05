"""What GitHub tells, as far as Dockrev uses it. Everything in it comes from outside and is checked on the way in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

Visibility = Literal["public", "private", "unknown"]

OWNER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?", re.ASCII)
REPO: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_EVENTS_KEPT: Final = 60


def is_owner(text: str) -> bool:
    """Whether GitHub could have an account of this name (managed users have an underscore in theirs)."""
    return OWNER.fullmatch(text) is not None


def is_repo(text: str) -> bool:
    """Whether GitHub could have a repository of this name."""
    return REPO.fullmatch(text) is not None and text not in (".", "..")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of an owner. `pushed_at` is its last push; an archived one takes no hooks."""

    owner: str
    name: str
    visibility: Visibility
    pushed_at: datetime | None
    archived: bool

    @property
    def full_name(self) -> str:
        """`owner/name` as GitHub spells it."""
        return f"{self.owner}/{self.name}"

    @classmethod
    def read(cls, document: Any) -> Repository | None:
        """From an entry of a list; None for one that is no repository."""
        if not isinstance(document, Mapping):
            return None
        owner, _, name = _text(document.get("full_name"), 220).partition("/")
        if not is_owner(owner) or not is_repo(name):
            return None
        private = document.get("private")
        visibility: Visibility = "unknown" if not isinstance(private, bool) else "private" if private else "public"
        return cls(owner, name, visibility, _moment(document.get("pushed_at")), document.get("archived") is True)


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a repository."""

    id: int
    url: str
    events: tuple[str, ...]
    active: bool

    @classmethod
    def read(cls, document: Any) -> Hook | None:
        """From GitHub's document; None for one without an id."""
        if not isinstance(document, Mapping):
            return None
        number, config, events = document.get("id"), document.get("config"), document.get("events")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
            return None
        url = _text(config.get("url"), 2048) if isinstance(config, Mapping) else ""
        named = [event for event in events if isinstance(event, str)] if isinstance(events, list) else []
        return cls(number, url, tuple(event[:60] for event in named[:_EVENTS_KEPT]), document.get("active") is True)


def _text(value: Any, limit: int) -> str:
    return value if isinstance(value, str) and len(value) <= limit else ""


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
