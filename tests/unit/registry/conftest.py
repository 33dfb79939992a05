from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.registry import Credentials, ImageRef, MemoryStore, RegistryClient, RetryPolicy
from app.core.clock import Clock
from tests.unit.registry.fake_registry import FakeRegistry, running


@dataclass
class Time:
    """A clock that only moves when told to, or when the client sleeps."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=lambda: self.seconds)

    def now(self) -> datetime:
        return datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


MakeClient = Callable[..., RegistryClient]


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with running() as fake:
        yield fake


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def make_client(time: Time) -> AsyncIterator[MakeClient]:
    made: list[RegistryClient] = []

    def make(config: Path | None = None, **changes: Any) -> RegistryClient:
        options: dict[str, Any] = {
            "store": MemoryStore(), "host_platform": "linux/amd64", "retry": RetryPolicy(),
            "clock": time.clock(), "sleep": time.sleep,
        }  # fmt: skip
        client = RegistryClient(Credentials(config), **(options | changes))
        made.append(client)
        return client

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def client(make_client: MakeClient) -> RegistryClient:
    return make_client()


@pytest.fixture
def app(registry: FakeRegistry) -> ImageRef:
    return ImageRef.parse(f"{registry.host}/app:1")
