"""A connection with a last will. Everything is sent with QoS 1 and has arrived when the call returns."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

from app.adapters._trust import trust_store
from app.adapters.mqtt.broker import Broker
from app.adapters.mqtt.errors import MqttError, MqttMissing, MqttRefused, MqttUnreachable

if TYPE_CHECKING:
    import aiomqtt

QOS: Final = 1
KEEPALIVE_SECONDS: Final = 30
ANSWER_SECONDS: Final = 10.0
REACH_SECONDS: Final = 5.0
WAITING: Final = 5000  # messages that may wait to be read; more are dropped
_BAD_LOGIN: Final = frozenset({4, 5, 134, 135})  # name or password wrong, not allowed: codes of 3.1.1 and of 5
_REFUSED: Final = 128  # a subscription that the broker does not grant


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent; the broker keeps it (retained). An empty payload makes it forget."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Received:
    """What came. `retained` says that the broker had kept it: it is old."""

    topic: str
    payload: bytes
    retained: bool


class Link:
    """An open connection. Every method raises MqttUnreachable when it has broken."""

    def __init__(self, client: aiomqtt.Client, library: ModuleType) -> None:
        self._client = client
        self._library = library

    async def publish(self, message: Message) -> None:
        """Send, and wait for the broker's word that it has it."""
        try:
            await self._client.publish(message.topic, message.payload.encode(), qos=QOS, retain=True)
        except self._library.MqttError as error:
            raise broken(error) from None

    async def subscribe(self, topics: Sequence[str]) -> list[str]:
        """Listen to topics; returns those that the broker does not grant."""
        try:
            codes = await self._client.subscribe([(topic, QOS) for topic in topics])
        except self._library.MqttError as error:
            raise broken(error) from None
        return [topic for topic, code in zip(topics, codes, strict=False) if _value(code) >= _REFUSED]

    async def messages(self) -> AsyncIterator[Received]:
        """What comes, until the connection breaks."""
        try:
            async for message in self._client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                yield Received(str(message.topic), payload, bool(message.retain))
        except self._library.MqttError as error:
            raise broken(error) from None

    def hurry(self, seconds: float) -> None:
        """The process ends: wait no longer than this for what is still said."""
        self._client.timeout = seconds


@asynccontextmanager
async def connect(broker: Broker, *, identifier: str, will: Message | None = None) -> AsyncIterator[Link]:
    """A connection for the block; the broker sends `will` when it breaks. Raises the errors of this adapter."""
    library = _library()
    password = await asyncio.to_thread(broker.secret)
    context = await asyncio.to_thread(trust_store) if broker.tls else None
    await _reach(broker, context)
    client: aiomqtt.Client = library.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=password if broker.username else None,
        identifier=identifier,
        will=library.Will(will.topic, will.payload.encode(), qos=QOS, retain=True) if will else None,
        keepalive=KEEPALIVE_SECONDS,
        timeout=ANSWER_SECONDS,
        max_queued_incoming_messages=WAITING,
        tls_context=context,
    )
    try:
        async with client:
            yield Link(client, library)
    except library.exceptions.MqttConnectError as error:
        raise _refused(error) from None
    except library.MqttError as error:
        raise broken(error) from None


def _library() -> ModuleType:
    try:
        import aiomqtt
        import aiomqtt.exceptions
    except ImportError as error:
        raise MqttMissing(
            "the library for MQTT is not installed", hint="Install Dockrev as dockrev[mqtt], or use its image."
        ) from error
    return aiomqtt


async def _reach(broker: Broker, context: ssl.SSLContext | None) -> None:
    """See that somebody answers. The library connects in a thread that nobody can stop, and the end of the process
    would wait for it; this can be given up."""
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(broker.host, broker.port, ssl=context)
        writer.close()
    except TimeoutError:
        raise MqttUnreachable("the broker does not answer in time", hint=WHERE) from None
    except ssl.SSLCertVerificationError as error:
        raise MqttUnreachable(
            f"the broker's certificate is not believed: {error.verify_message}",
            hint="Add its authority to those of the system, or name it in SSL_CERT_FILE.",
        ) from None
    except ssl.SSLError:
        raise MqttUnreachable("the broker does not speak TLS at this port", hint=WHERE) from None
    except OSError as error:
        raise MqttUnreachable(f"the broker cannot be reached: {_reason(error)}", hint=WHERE) from None


WHERE: Final = "See that the broker runs and that DOCKREV_MQTT_URL names its host and port."


def _reason(error: OSError) -> str:
    if error.errno is None:  # several addresses were tried
        return "none of its addresses answers"
    return os.strerror(error.errno).lower() if error.errno > 0 else "its name is not known"  # those of getaddrinfo


def _refused(error: aiomqtt.MqttCodeError) -> MqttError:
    if _value(error.rc) in _BAD_LOGIN:
        return MqttRefused(
            "the broker does not accept the user or the password",
            hint="Correct them in DOCKREV_MQTT_URL or DOCKREV_MQTT_PASSWORD_FILE.",
        )
    return MqttRefused(f"the broker refuses the connection, code {_value(error.rc)}", hint="See the broker's log.")


def broken(error: Exception) -> MqttError:
    """The connection is gone, in one sentence; what the library says is about sockets, never about secrets."""
    return MqttUnreachable(f"the connection to the broker broke: {str(error)[:200].lower()}", hint=WHERE)


def _value(code: object) -> int:
    """A code as a number, whichever version of the protocol it is of."""
    number = getattr(code, "value", code)
    return number if isinstance(number, int) else -1
