"""Acts that may want the person again, and not only a session that somebody may have left open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection

Check = Callable[[ASGIConnection[Any, Any, Any, Any]], None]


def require_fresh(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Ask the rooms that let somebody in (`core.web.around`) whether this one proved it lately. Raises StepUpRequired.

    Called by handlers before what can destroy much. Nobody asks: it is let through.
    """
    for check in connection.app.state.get("fresh", ()):
        check(connection)
