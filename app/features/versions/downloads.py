"""How much a candidate has to download, for the plan of its update: told from memory, asked for when somebody looks."""

from __future__ import annotations

import asyncio

from app.adapters.registry import ImageRef, RegistryClient, RegistryError
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.features.versions.store import DatabaseStore

AT_ONCE = 2


class Downloads:
    """Sizes of candidates. A page never waits for one: it is told when the size is known."""

    def __init__(self, client: RegistryClient, store: DatabaseStore, bus: EventBus) -> None:
        self._client = client
        self._store = store
        self._bus = bus
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._permits = asyncio.Semaphore(AT_ONCE)

    async def size(self, image_ref: str, digest: str, running: str | None) -> int | None:
        """The most that a pull needs in bytes, None while it is not known. Asks nobody."""
        try:
            return await self._client.download_size(ImageRef.parse(image_ref), digest, running, ask=False)
        except RegistryError:
            return None

    def look_up(self, service_id: str, image_ref: str, digest: str) -> None:
        """Ask the registry, once at a time for each digest; pages of the service hear of it when it has answered."""
        if digest not in self._asked:
            task = self._asked[digest] = asyncio.create_task(self._ask(service_id, image_ref, digest))
            task.add_done_callback(lambda _: self._asked.pop(digest, None))

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, service_id: str, image_ref: str, digest: str) -> None:
        try:
            async with self._permits:
                ref = ImageRef.parse(image_ref)
                found = await self._client.download_size(ref, digest, ask=True, background=True)
                await self._store.flush()
        except DockrevError:
            return  # the plan goes on saying that it is not known
        if found is not None:
            self._bus.publish(EntitiesChanged("services", frozenset({service_id})))
