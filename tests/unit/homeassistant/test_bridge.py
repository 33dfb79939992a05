"""The bridge against a connection that only notes what is said: what is sent when, and what it makes of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from app.adapters.mqtt import Broker, Link, Message, MqttError, MqttRefused, MqttUnreachable, Published, Received
from app.adapters.mqtt import Place as Remembered
from app.core.clock import Clock
from app.core.errors import Conflict, InvalidArgument, NotFound
from app.core.events import EntitiesChanged
from app.features.homeassistant import bridge as module
from app.features.homeassistant.bridge import Bridge
from app.features.homeassistant.commands import Command, Installer, digest_of, require_shown, service_of
from app.features.homeassistant.facts import Facts, House
from app.features.homeassistant.layout import Layout
from tests.unit.homeassistant.test_payloads import NEW, OLD, house, told

LAYOUT = Layout("dockrev", "homeassistant")
CONFIG = "homeassistant/update/dockrev/svc_1/config"


class Connection:
    """Notes what is published; `come` lets a message in, `breaks` ends it."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.listening: list[str] = []
        self._coming: asyncio.Queue[Received | MqttError] = asyncio.Queue()

    async def publish(self, message: Message) -> None:
        self.said.append(message)

    async def subscribe(self, topics: Sequence[str]) -> list[str]:
        self.listening += topics
        return []

    async def messages(self) -> AsyncIterator[Received]:
        while True:
            got = await self._coming.get()
            if isinstance(got, MqttError):
                raise got
            yield got

    def come(self, topic: str, payload: bytes, retained: bool = False) -> None:
        self._coming.put_nowait(Received(topic, payload, retained))

    def breaks(self) -> None:
        self._coming.put_nowait(MqttUnreachable("the connection to the broker broke", hint="See to it."))

    def hurry(self, seconds: float) -> None:
        """Nothing here is slow."""

    def topics(self) -> list[str]:
        return [message.topic for message in self.said]


class Place:
    """A bridge, the house it tells of, and its connections one after the other."""

    def __init__(self, *, install: bool = False) -> None:
        self.house: House = house(told(installed="1.0.0", latest="1.0.0"))
        self.connections: list[Connection] = []
        self.fails: MqttError | None = None
        self.commands: list[Command] = []
        place = self

        class Known:
            async def house(self) -> House:
                return place.house

        class Taker:
            notes: dict[str, dict[str, Any]] = {}

            async def take(self, command: Command, house: House | None) -> None:
                place.commands.append(command)

            def forget_others(self, house: House) -> None:
                """Nothing was noted."""

        @asynccontextmanager
        async def connect(broker: Broker, *, identifier: str, will: Message) -> AsyncIterator[Link]:
            assert (identifier, will) == ("dockrev-dockrev", Message("dockrev/status", "offline"))
            if self.fails is not None:
                raise self.fails
            self.connections.append(Connection())
            yield cast(Link, self.connections[-1])

        broker = Broker("broker", 1883, username="u", password="s3cret")
        taker = cast(Installer, Taker()) if install else None
        self._folder = TemporaryDirectory()
        published = self.published = Published(Path(self._folder.name) / "published.json")
        self.bridge = Bridge(broker, LAYOUT, cast(Facts, Known()), taker, Clock(), published, connect)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Place:
        self._task = asyncio.create_task(self.bridge.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._folder.cleanup()

    @property
    def now(self) -> Connection:
        return self.connections[-1]

    async def changed(self) -> None:
        await self.bridge.note(EntitiesChanged("services"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)


async def until(wanted: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not wanted():
            await asyncio.sleep(0.01)


async def test_first_everything_then_online_then_only_what_differs() -> None:
    async with Place() as place:
        await until(lambda: place.connections and place.now.listening)
        first = place.now.topics()
        assert first[-1] == "dockrev/status" and CONFIG in first and len(first) == len(set(first))
        assert "dockrev/+/install" not in place.now.listening
        await place.changed()
        await asyncio.sleep(0.1)
        assert place.now.topics() == first, "nothing differs"
        place.house = replace(place.house, services=(told(installed="1.0.0", latest="1.1.0"),))
        await place.changed()
        await until(lambda: len(place.now.said) > len(first))
        assert place.now.topics()[len(first) :] == ["dockrev/svc_1/state"]
    assert place.now.said[-1] == Message("dockrev/status", "offline"), "it says goodbye"


async def test_what_goes_is_emptied_also_when_it_went_while_the_connection_was_away() -> None:
    async with Place() as place:
        await until(lambda: place.connections and place.now.listening)
        place.house = replace(place.house, services=())
        place.now.breaks()
        await until(lambda: len(place.connections) == 2 and place.now.listening)
        emptied = [message.topic for message in place.now.said if not message.payload]
        assert emptied[0] == CONFIG and len(emptied) == 4
        assert "dockrev/state" in place.now.topics(), "and all the rest is said again"
        assert place.bridge.status.connected and place.bridge.status.error == "the connection to the broker broke"


async def test_what_went_while_dockrev_was_away_is_emptied_from_memory() -> None:
    place = Place()
    here = Remembered("mqtt://broker:1883", "dockrev", "homeassistant")
    place.published.remember(here, ["dockrev/status", "dockrev/svc_gone/state", CONFIG])
    async with place:
        await until(lambda: place.connections and place.now.listening)
        assert place.now.said[0] == Message("dockrev/svc_gone/state", "")
        assert Message("dockrev/status", "") not in place.now.said
        kept = {message.topic for message in place.now.said if message.payload}
        await until(lambda: place.published.places() == {here: kept | {"dockrev/status"}})


async def test_a_file_that_cannot_be_used_holds_nothing_up(tmp_path: Path) -> None:
    for file in (tmp_path / "no" / "such" / "folder.json", tmp_path):
        published = Published(file)
        published.remember(Remembered("mqtt://broker:1883", "dockrev", "homeassistant"), ["a"])
        assert published.places() == {}
    for text in ("", "[]", '{"places":[1]}', '{"places":[{"broker":"x"}]}', "\xff"):
        (tmp_path / "broken.json").write_text(text, encoding="latin-1")
        assert Published(tmp_path / "broken.json").places() == {}


async def test_what_comes_from_outside() -> None:
    async with Place(install=True) as place:
        await until(lambda: place.connections and place.now.listening)
        assert "dockrev/+/install" in place.now.listening
        count = len(place.now.said)
        place.now.come("dockrev/status", b"offline")  # the will of a connection that was dead
        await until(lambda: len(place.now.said) == count + 1)
        assert place.now.said[-1] == Message("dockrev/status", "online")
        place.now.come("dockrev/svc_1/install", b"x" * 1_000_000)
        await until(lambda: place.commands)
        assert len(place.commands[0].payload) == 129, "no more of it is kept than shows that it is too long"
        place.now.come("homeassistant/status", b"online", retained=True)
        place.now.come("homeassistant/update/dockrev/old/config", b"x" * 100_000)
        place.now.come("homeassistant/update/other/old/config", b"{}")
        place.now.come("something/else", b"\xff\x00")
        place.now.come(CONFIG, b"{}")
        await asyncio.sleep(0.1)
        assert len(place.now.said) == count + 1, "none of these changes anything"
        place.now.come("homeassistant/update/dockrev/old/config", b"{}")
        await until(lambda: Message("dockrev/old/known", "") in place.now.said)
        assert Message("homeassistant/update/dockrev/old/config", "") in place.now.said
        count = len(place.now.said)
        place.now.come("homeassistant/status", b"online")
        await until(lambda: place.now.topics()[count:][-1:] == ["dockrev/status"])
        assert CONFIG in place.now.topics()[count:]


async def test_a_refusal_is_told_and_tried_again() -> None:
    place = Place()
    place.fails = MqttRefused("the broker does not accept the user or the password", hint="Correct them.")
    async with place:
        await until(lambda: place.bridge.status.error)
        status = place.bridge.status
        assert not status.connected and status.remedy == "Correct them." and "s3cret" not in repr(status)
        place.fails = None
        await until(lambda: place.bridge.status.connected)


def test_commands_are_a_fresh_digest_of_what_was_shown() -> None:
    assert digest_of(Command("svc_1", NEW.encode(), False)) == NEW
    for payload in (
        b"",
        b"install",
        b"sha256:abc",
        NEW.upper().encode(),
        NEW.encode() + b"\n",
        b"\xff" * 71,
        b"x" * 129,
    ):
        with pytest.raises(InvalidArgument, match="the digest to install"):
            digest_of(Command("svc_1", payload, False))
    with pytest.raises(InvalidArgument, match="old"):
        digest_of(Command("svc_1", NEW.encode(), True))
    one = told(installed="1", latest="2", install=NEW)
    assert service_of(Command("svc_1", b"", False), house(one)) is one
    for nowhere in (house(), None):
        with pytest.raises(NotFound):
            service_of(Command("svc_1", b"", False), nowhere)
    require_shown(one, NEW)
    for shown, digest, words in (
        (one, OLD, "another version"),
        (replace(one, install=None), NEW, "no update"),
        (replace(one, busy=True), NEW, "in progress"),
    ):
        with pytest.raises(Conflict, match=words):
            require_shown(shown, digest)
