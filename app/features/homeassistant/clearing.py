"""Taking back what a broker keeps of Dockrev: looked at first, and only what is its own.

A broker of MQTT 3.1.1 says nothing when it throws a message away that this user may not write. So each topic that is
emptied is listened to: it is gone when its empty message came back.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

import structlog

from app.adapters.mqtt import Broker, Link, Message, MqttError, MqttRefused, Place, Published, connect
from app.features.homeassistant.layout import Layout
from app.features.homeassistant.payloads import ONLINE
from app.features.homeassistant.status import BridgeStatus, Former

log = structlog.get_logger(__name__)

Connect = Callable[..., AbstractAsyncContextManager[Link]]
QUIET_SECONDS: Final = 1.5  # nothing came for so long: the broker has said what it keeps
LOOK_SECONDS: Final = 30.0
ECHO_SECONDS: Final = 6.0
STEP_SECONDS: Final = 0.1
AT_ONCE: Final = 8
ELSEWHERE, IN_USE, DENIED = "elsewhere", "in_use", "denied"  # why something is still there


class Kept:
    """What a broker keeps of one layout. `remembered` are topics that were published there for certain."""

    def __init__(self, link: Link, layout: Layout, remembered: Collection[str]) -> None:
        self._link = link
        self._layout = layout
        self._remembered = frozenset(remembered)
        self._heard: dict[str, bytes] = {}
        self._count = 0
        self._hearing: asyncio.Task[None] | None = None

    async def hear(self) -> None:
        """Until it is cancelled or the connection breaks (MqttError)."""
        async for received in self._link.messages():
            self._heard[received.topic] = received.payload
            self._count += 1

    @property
    def online(self) -> bool:
        """Whether a Dockrev says there that it is at work."""
        return self._heard.get(self._layout.status) == ONLINE.encode()

    @property
    def topics(self) -> list[str]:
        """What is kept there of Dockrev: what was remembered, announcements, and what belongs to these. Nothing else
        below the prefix, which may be somebody else's too."""
        layout, announced = self._layout, [found for topic in self._heard for found in self._layout.leftovers(topic)]
        own = {*self._remembered, *announced}
        if own:
            own |= {layout.status, layout.state}
        return sorted(topic for topic in own if self._heard.get(topic))

    @property
    def unseen(self) -> list[str]:
        """Remembered, and not kept there: gone, or this user may not read it."""
        return sorted(topic for topic in self._remembered if not self._heard.get(topic))

    async def look(self, hearing: asyncio.Task[None]) -> None:
        """Hear all that is kept; `hearing` is the task of `hear`. Raises MqttRefused when the broker does not let
        Dockrev listen, and MqttError when the connection breaks."""
        self._hearing = hearing
        if denied := await self._link.subscribe(self._layout.everything):
            raise MqttRefused(
                f"the broker does not let Dockrev read {denied[0]}",
                hint="Let its user read and write these topics, or use another one.",
            )
        waited, count, quiet = 0.0, self._count, 0.0
        while quiet < QUIET_SECONDS and waited < LOOK_SECONDS:
            await self._step()
            waited += STEP_SECONDS
            quiet = quiet + STEP_SECONDS if self._count == count else 0.0
            count = self._count

    async def clear(self, topics: Sequence[str]) -> list[str]:
        """Empty them; returns those that are still kept."""
        for begin in range(0, len(topics), AT_ONCE):
            batch = topics[begin : begin + AT_ONCE]
            await asyncio.gather(*(self._link.publish(Message(topic, "")) for topic in batch))
        with suppress(TimeoutError):  # no echo: it is still there, and told as such below
            async with asyncio.timeout(ECHO_SECONDS):
                while any(self._heard.get(topic) for topic in topics):
                    await self._step()
        return [topic for topic in topics if self._heard.get(topic)]

    async def _step(self) -> None:
        """A moment; a connection that broke has not said that nothing is kept."""
        await asyncio.sleep(STEP_SECONDS)
        if self._hearing is not None and self._hearing.done():
            self._hearing.result()


@asynccontextmanager
async def kept_by(
    broker: Broker, layout: Layout, remembered: Collection[str] = (), connector: Connect = connect
) -> AsyncIterator[Kept]:
    """What the broker keeps of a layout by now. Raises MqttError."""
    async with connector(broker, identifier=f"dockrev-clear-{secrets.token_hex(4)}") as link:
        kept = Kept(link, layout, remembered)
        hearing = asyncio.create_task(kept.hear())
        try:
            await kept.look(hearing)
            yield kept
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])


class Tidier:
    """Takes back at the broker in use what was told there under earlier prefixes; what cannot be, stands in the status.

    A place where a Dockrev is at work stays: it is another one, to which the remembered topics were copied.
    """

    def __init__(
        self, here: Place, broker: Broker, published: Published, status: BridgeStatus, connector: Connect
    ) -> None:
        self._here = here
        self._broker = broker
        self._published = published
        self._status = status
        self._connect = connector

    async def tidy(self, told: Collection[str]) -> bool:
        """Whether nothing is left; else to be tried again. Topics that are `told` now are not touched."""
        others = await asyncio.to_thread(self._published.others, self._here)
        former: list[Former] = []
        for place, topics in others.items():
            why = ELSEWHERE if place.broker != self._broker.name else await self._place(place, topics, told)
            if why:
                former.append(Former(place.broker, place.prefix, place.discovery, why))
        if former and tuple(former) != self._status.former:
            log.warning(
                "a broker still keeps what was told it earlier", places=[f"{x.prefix}: {x.why}" for x in former]
            )
        self._status.former = tuple(former)
        return not former

    async def _place(self, place: Place, topics: Collection[str], told: Collection[str]) -> str:
        """Why it is still there; empty when it is gone."""
        layout = Layout(place.prefix, place.discovery)
        try:
            async with kept_by(self._broker, layout, topics, self._connect) as kept:
                if kept.online and place.prefix != self._here.prefix:
                    return IN_USE
                old = [topic for topic in (*kept.topics, *kept.unseen) if topic not in told]
                left = await kept.clear(old)
        except MqttError as error:
            log.debug("earlier topics are still kept", prefix=place.prefix, cause=error.message)
            return DENIED
        if left:
            log.debug("earlier topics are still kept", prefix=place.prefix, count=len(left), first=left[0])
            return DENIED
        await asyncio.to_thread(self._published.forget, place)
        log.info("earlier topics were cleared", prefix=place.prefix, discovery=place.discovery, count=len(old))
        return ""
