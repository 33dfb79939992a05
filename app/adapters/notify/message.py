"""The whole interface of this adapter: a message, and somebody who sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell over one channel, already in the words of that channel.

    `id` stays the same when a message is sent again, so that a receiver can tell a repetition. `html` is what the
    channel understands of HTML. `document` is the payload of spec §8.2.
    """

    id: str
    title: str
    text: str
    html: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)


class Sender(Protocol):
    """One way to reach somebody. A sender is made for one message or many; it keeps no state about them."""

    async def send(self, message: Message) -> str:
        """Send it, one attempt; returns a remark worth keeping ("" when there is none).

        Raises the NotifyError tree; `permanent` says whether another attempt can help.
        """
        ...
