"""Posts the payload (spec §8.1): eight seconds, one attempt, anything but 2xx is a failure."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from app.adapters.notify.errors import NotifyError, Refused, Unreachable
from app.adapters.notify.message import Message
from app.adapters.notify.webhook.settings import host_of

SECONDS: Final = 8.0
DELIVERY_HEADER: Final = "X-Dockrev-Delivery"


class WebhookSender:
    """Posts to one URL."""

    def __init__(self, url: str, *, seconds: float = SECONDS) -> None:
        self._url = url
        self._seconds = seconds

    async def send(self, message: Message) -> str:
        """See `Sender`. The answer's body is not read: it is somebody else's and as long as they like."""
        from app.adapters._httpx import httpx, trust_store

        host = host_of(self._url)
        headers = {"Content-Type": "application/json", "User-Agent": "Dockrev", DELIVERY_HEADER: message.id}
        content = json.dumps(message.document, ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(self._seconds):
                context = await asyncio.to_thread(trust_store)
                async with (
                    httpx.AsyncClient(verify=context, timeout=self._seconds, follow_redirects=False) as client,
                    client.stream("POST", self._url, content=content, headers=headers) as answer,
                ):
                    status = answer.status_code
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{host} did not answer within {self._seconds:g} s") from error
        except httpx.TransportError as error:
            hint = "Its certificate is not trusted." if "certificate" in str(error).lower() else "Is it running?"
            raise Unreachable(f"{host} cannot be reached", hint=hint) from error
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise Refused("the webhook's URL cannot be used") from error
        if not 200 <= status < 300:
            raise answered(host, status)
        return ""


def answered(host: str, status: int) -> NotifyError:
    """A status that is not 2xx: those that pass by themselves are tried again."""
    if status >= 500 or status in (408, 425, 429):
        return Unreachable(f"{host} answered {status}")
    hint = "It redirects: store the address it redirects to." if 300 <= status < 400 else "Check the webhook's address."
    return Refused(f"{host} answered {status}", hint=hint)
