"""Keeps what a broker tells Home Assistant the same as what Dockrev knows, for as long as Dockrev runs.

What is published is a table of topics and payloads. After something happened the table is made anew, and what differs
from what was sent is sent: new, changed, or empty for what is gone. A new connection and a start of Home Assistant
send all.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import islice
from typing import Final

import structlog

from app.adapters.mqtt import Broker, Link, Message, MqttError, Place, Published, Received, connect
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged
from app.features.homeassistant.clearing import Tidier
from app.features.homeassistant.commands import LONGEST, Command, Installer
from app.features.homeassistant.facts import Facts, House
from app.features.homeassistant.layout import Layout
from app.features.homeassistant.payloads import OFFLINE, ONLINE, messages
from app.features.homeassistant.status import BridgeStatus

log = structlog.get_logger(__name__)

Connect = Callable[..., AbstractAsyncContextManager[Link]]
DOMAINS: Final = frozenset({"services", "stacks", "jobs", "engine"})
PAUSE_SECONDS: Final = 0.5  # what happens within it is told together
BUSY_SECONDS: Final = 2.0  # progress of a pull
IDLE_SECONDS: Final = 300.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0  # between tries to connect
FAREWELL_SECONDS: Final = 0.8
AT_ONCE: Final = 8
LONGEST_CONFIG: Final = 65_536
MOST_LEFTOVERS: Final = 2000


class Bridge:
    """One per process; `run` in the background."""

    def __init__(
        self,
        broker: Broker,
        layout: Layout,
        facts: Facts,
        installer: Installer | None,
        clock: Clock,
        published: Published,
        connector: Connect = connect,
    ) -> None:
        self._broker = broker
        self._layout = layout
        self._facts = facts
        self._installer = installer
        self._clock = clock
        self._connect = connector
        self._sent: dict[str, str] = {}
        self._house: House | None = None
        self._woken = asyncio.Event()
        self._again = False
        self._ending = False
        self._leftovers: list[str] = []
        self._published = published
        self._place = Place(broker.name, layout.prefix, layout.discovery)
        self._remembered: frozenset[str] | None = None  # None: the file was not read yet
        self.status = BridgeStatus(broker.name)
        self._tidier = Tidier(self._place, broker, published, self.status, connector)

    async def note(self, event: EntitiesChanged) -> None:
        """Something happened; told soon."""
        if event.domain in DOMAINS:
            self._woken.set()

    async def run(self) -> None:
        """For ever: connect, tell, and after a failure try again, waiting longer each time."""
        wait = FIRST_WAIT
        while True:
            begun = self._clock.monotonic()
            try:
                await self._once()
            except MqttError as error:
                if self._ending:  # the broker was too slow to say goodbye to
                    return
                first = error.message != self.status.error or self.status.connected
                self.status.failed(self._clock.now(), error.message, error.hint)
                (log.warning if first else log.debug)("no MQTT", broker=self._broker.name, cause=error.message)
            finally:
                self.status.went(self._clock.now())
            if self._clock.monotonic() - begun > LONGEST_WAIT:
                wait = FIRST_WAIT  # it had worked
            await asyncio.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311  spreads tries, nothing secret
            wait = min(wait * 2, LONGEST_WAIT)

    async def _once(self) -> None:
        will = Message(self._layout.status, OFFLINE)
        identifier = f"dockrev-{self._layout.node}"  # the same each time: the broker then ends what is left of the last
        async with self._connect(self._broker, identifier=identifier, will=will) as link:
            self.status.came(self._clock.now())
            log.info("connected to MQTT", broker=self._broker.name)
            async with self._goodbye(link):
                await self._talk(link)

    @asynccontextmanager
    async def _goodbye(self, link: Link) -> AsyncIterator[None]:
        """However it ends: as long as the connection stands, it is said that Dockrev goes."""
        try:
            yield
        except MqttError:
            raise  # it broke: the broker sends the will
        except BaseException as error:
            self._ending = isinstance(error, asyncio.CancelledError)
            link.hurry(FAREWELL_SECONDS)
            with suppress(MqttError, TimeoutError):  # it is the end: the broker's last will says it too
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await link.publish(Message(self._layout.status, OFFLINE))
            raise

    async def _talk(self, link: Link) -> None:
        wanted = [*self._layout.births, self._layout.status, self._layout.configs]
        self._sent = dict.fromkeys(self._sent, "")  # all of it again, and what went meanwhile is emptied
        self._again, self._leftovers = False, []
        if self._remembered is None:
            self._remembered = (await asyncio.to_thread(self._published.places)).get(self._place, frozenset())
            self._sent = dict.fromkeys(self._remembered - {self._layout.status}, "") | self._sent
        await self._sync(link)
        denied = await link.subscribe([*wanted, *([self._layout.installs] if self._installer else [])])
        await link.publish(Message(self._layout.status, ONLINE))  # from now on commands are heard
        self.status.denied = tuple(denied)
        if denied:
            log.warning("the broker does not let Dockrev listen", topics=denied)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear(link))
                tasks.create_task(self._tell(link))
                tasks.create_task(self._tidy())
        except* MqttError as group:
            raise next(_leaves(group)) from None

    # ---- telling

    async def _tell(self, link: Link) -> None:
        while True:
            busy = self._house is not None and any(told.busy for told in self._house.services)
            with suppress(TimeoutError):  # nothing happened: look again
                async with asyncio.timeout(BUSY_SECONDS if busy else IDLE_SECONDS):
                    await self._woken.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._woken.clear()
            again, self._again = self._again, False
            if again:
                self._sent = dict.fromkeys(self._sent, "")
            await self._sync(link)
            if again:
                await link.publish(Message(self._layout.status, ONLINE))

    async def _sync(self, link: Link) -> None:
        """Send what differs from what was sent."""
        try:
            house = await self._facts.house()
        except DockrevError as error:  # a database that is locked for long: what was told stands until the next time
            log.warning("nothing told over MQTT", cause=error.message)
            return
        self._house = house
        notes = None
        if self._installer:
            self._installer.forget_others(house)
            notes = self._installer.notes
        table = messages(house, self._layout, install=self._installer is not None, notes=notes)
        gone = [topic for topic in (*self._sent, *self._leftovers) if topic not in table]
        self._leftovers = []
        await self._remember({*table, *gone})
        await self._send(link, [Message(topic, "") for topic in dict.fromkeys(gone)])
        for topic in gone:
            self._sent.pop(topic, None)
        await self._remember(table)
        await self._send(link, [m for m in _as_messages(table) if self._sent.get(m.topic) != _mark(m.payload)])
        self.status.entities = sum(topic.endswith("/config") for topic in table)
        self.status.told_at = self._clock.now()

    async def _remember(self, topics: Iterable[str]) -> None:
        """Before they are sent, and after others were emptied: what is kept by the broker is always among them."""
        now = frozenset(topics) | {self._layout.status}
        if now != self._remembered:
            await asyncio.to_thread(self._published.remember, self._place, now)
            self._remembered = now

    async def _tidy(self) -> None:
        """Earlier prefixes, until nothing is left of them."""
        while True:
            if await self._tidier.tidy(self._remembered or ()):
                return
            await asyncio.sleep(IDLE_SECONDS)

    async def _send(self, link: Link, waiting: list[Message]) -> None:
        """A few at once, in order; the next ones when the broker has them."""
        left = iter(waiting)
        while batch := list(islice(left, AT_ONCE)):
            await asyncio.gather(*(link.publish(message) for message in batch))
            self._sent |= {message.topic: _mark(message.payload) for message in batch}
            self.status.published += len(batch)

    # ---- hearing

    async def _hear(self, link: Link) -> None:
        async for received in link.messages():
            await self._take(link, received)

    async def _take(self, link: Link, received: Received) -> None:
        """A message from outside. What is none of those that are listened to is not looked at."""
        topic, layout = received.topic, self._layout
        if topic == layout.status:
            if received.payload == OFFLINE.encode():  # the will of an earlier connection, found dead late
                await link.publish(Message(layout.status, ONLINE))
        elif topic in layout.births:
            if received.payload == ONLINE.encode() and not received.retained:
                self._again = True
                self._woken.set()
        elif self._installer is not None and (key := layout.installed_object(topic)) is not None:
            await self._installer.take(Command(key, received.payload[: LONGEST + 1], received.retained), self._house)
            self._woken.set()
        elif received.payload and topic not in self._sent and len(received.payload) <= LONGEST_CONFIG:
            found = layout.leftovers(topic)
            if found and len(self._leftovers) < MOST_LEFTOVERS:
                self._leftovers += found
                self._woken.set()


def _as_messages(table: dict[str, str]) -> list[Message]:
    return [Message(topic, payload) for topic, payload in table.items()]


def _mark(payload: str) -> str:
    """What is remembered of a payload that was sent."""
    return hashlib.blake2s(payload.encode(), digest_size=16).hexdigest()


def _leaves(group: BaseExceptionGroup[MqttError]) -> Iterator[MqttError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
