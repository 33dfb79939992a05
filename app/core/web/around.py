"""What rooms do around every request; filled in their `setup`, given to the framework by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from litestar.types import AfterExceptionHookHandler, BeforeMessageSendHookHandler, BeforeRequestHookHandler

from app.core.web.auth import Means
from app.core.web.fresh import Check


@dataclass(slots=True)
class Around:
    """`means` are asked in their order before forward auth, `fresh` before what can destroy much. `before_request` is
    called once somebody was let in (or the route is public), the others with every exception and every message to the
    client: they must be quick."""

    means: list[Means] = field(default_factory=list)
    fresh: list[Check] = field(default_factory=list)
    before_request: BeforeRequestHookHandler | None = None
    after_exception: list[AfterExceptionHookHandler[Any]] = field(default_factory=list)
    before_send: list[BeforeMessageSendHookHandler] = field(default_factory=list)
