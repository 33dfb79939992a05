"""Sends to one device at a time (spec §8.1): encrypted for it, signed with our key, to its push service."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from app.adapters.notify.errors import Gone, NotConfigured, NotifyError, Refused, Unreachable
from app.adapters.notify.message import Message
from app.adapters.notify.webpush.keys import public_key_of
from app.adapters.notify.webpush.settings import Device, WebPushSettings, require_public

if TYPE_CHECKING:
    import requests

SECONDS: Final = 10.0
TTL: Final = 60
THREADS: Final = 8
MAX_PLAIN: Final = 3800
"""Bytes of payload that every push service takes: 4096 encrypted, less what encryption adds, less some air."""


class PushPool:
    """The threads in which pushes are sent, each with connections of its own; made when the first push is."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._own = threading.local()

    async def run(self, settings: WebPushSettings, device: Device, message: Message) -> None:
        """Send in a thread. Raises the NotifyError tree."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="push")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._push, settings, device, message)

    def close(self) -> None:
        """Let the threads end; does not wait for them."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _push(self, settings: WebPushSettings, device: Device, message: Message) -> None:
        require_public(device.endpoint, settings.allowed_origins)
        if not hasattr(self._own, "session"):
            self._own.session = _session()
        push(settings, device, message, self._own.session)


class WebPushSender:
    """Sends to one device."""

    def __init__(self, settings: WebPushSettings, device: Device, pool: PushPool) -> None:
        self._settings = settings
        self._device = device
        self._pool = pool

    async def send(self, message: Message) -> str:
        """See `Sender`. Raises Gone when the device's subscription is no more: then it should be forgotten."""
        await self._pool.run(self._settings, self._device, message)
        return ""


def push(settings: WebPushSettings, device: Device, message: Message, session: requests.Session) -> None:
    """Encrypt, sign, post. Blocking. A repetition replaces its first message where that still waits (`Topic`)."""
    from app.adapters.notify.webpush import _library as library

    host = urlsplit(device.endpoint).hostname or "the push service"
    topic = base64.urlsafe_b64encode(hashlib.sha256(message.id.encode()).digest()).decode()[:32]
    key = _signer(settings)
    try:
        library.webpush(
            subscription_info={"endpoint": device.endpoint, "keys": {"p256dh": device.p256dh, "auth": device.auth}},
            data=json.dumps(message.document, ensure_ascii=False, separators=(",", ":")),
            vapid_private_key=key,
            vapid_claims={"sub": settings.subject},
            ttl=TTL,
            timeout=SECONDS,
            headers={"Topic": topic, "Urgency": "high"},
            requests_session=session,
        )
    except library.WebPushException as error:
        if error.response is None:
            raise Refused("the keys of this device cannot be used", hint="Remove it and subscribe again.") from error
        raise answered(host, error.response) from error
    except library.VapidException as error:
        raise NotConfigured(
            "the VAPID subject cannot be used", hint="It should look like mailto:you@example"
        ) from error
    except OSError as error:  # what requests raises for the network
        raise Unreachable(f"{host} cannot be reached") from error
    except ValueError as error:
        raise Refused("the keys of this device cannot be used", hint="Remove it and subscribe again.") from error


def _signer(settings: WebPushSettings) -> Any:
    from app.adapters.notify.webpush import _library as library

    if public_key_of(settings.private_key) != settings.public_key.rstrip("="):
        raise NotConfigured(
            "the two VAPID keys do not belong together", hint="Make a new pair and subscribe the devices again."
        )
    return library.Vapid02.from_raw(settings.private_key.encode())


def answered(host: str, response: Any) -> NotifyError:
    """What the push service said, when it was not yes."""
    status = int(response.status_code)
    if status in (404, 410):
        return Gone(f"{host} does not know the device any more ({status})")
    if status == 429 or status >= 500:
        wait = str(response.headers.get("Retry-After", ""))
        seconds = float(wait) if wait.isdigit() and len(wait) < 6 else None
        return Unreachable(f"{host} answered {status}", retry_after=seconds)
    hints = {
        401: "The VAPID keys are not those the device subscribed with: subscribe it again.",
        403: "The VAPID keys are not those the device subscribed with: subscribe it again.",
        413: "The message was too long for it.",
    }
    return Refused(f"{host} answered {status}", hint=hints.get(status, ""))


def _session() -> requests.Session:
    """Connections that trust whom the system trusts, follow nothing, and read no more of an answer than is told."""
    import requests
    from requests.adapters import HTTPAdapter

    from app.adapters._trust import trust_store

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, ssl_context=trust_store(), **more)

    class Session(requests.Session):
        def post(self, url: Any, data: Any = None, json: Any = None, **more: Any) -> requests.Response:
            response = super().post(url, data=data, json=json, stream=True, allow_redirects=False, **more)
            response._content = response.raw.read(2048)
            response.close()
            return response

    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)  # at DEBUG it logs whole addresses
    session = Session()
    session.trust_env = False  # no passwords from a .netrc; a proxy is for the world outside, which is https
    session.proxies = {"https": proxy} if (proxy := getproxies().get("https")) else {}
    session.mount("https://", Trusting())
    return session
