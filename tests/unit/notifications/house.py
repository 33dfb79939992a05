"""A notifications room as the application wires it, over a versions room with a fake engine and registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.adapters.notify import PushPool
from app.core.events import EntitiesChanged
from app.core.jobs import JobContext, JobKind, JobOutcome, JobStatus, NewJob
from app.features.notifications import schemas
from app.features.notifications.courier import Courier, Routes
from app.features.notifications.devices import Devices
from app.features.notifications.models import DeliveryRow, NewVersionNotificationRow
from app.features.notifications.newversions import NewVersions
from app.features.notifications.outbox import Outbox
from app.features.notifications.service import Notifications
from app.features.notifications.settings import SettingsStore
from app.features.notifications.texts import Texts
from app.features.notifications.waiting import Waiting
from app.features.notifications.worker import Worker
from app.features.preferences import Preferences
from app.features.stacks import ServiceImageChanged
from tests.unit.notifications.ends import HttpEnd
from tests.unit.notifications.rendering import Templates
from tests.unit.versions.room import Room, build, close

TEMPLATES = Templates()
Told = Callable[[], None]


@dataclass
class House:
    """One process: `restart` makes the next one on the same database."""

    room: Room
    end: HttpEnd
    settings: SettingsStore
    devices: Devices
    outbox: Outbox
    worker: Worker
    notifications: Notifications
    slept: list[float]

    async def webhook(self, on: bool = True) -> None:
        """Store the webhook of the test's end."""
        await self.settings.save(schemas.WebhookInput(enabled=on, url=f"{self.end.url}/s3cret"))

    async def job(
        self,
        status: JobStatus = JobStatus.FAILED,
        *,
        type: str = "update",
        reason: str = "ui",
        summary: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        services: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """A job that ended; its id."""

        async def run(ctx: JobContext) -> JobOutcome:
            return JobOutcome(status, summary or {})

        self.room.jobs.register(JobKind(type, run))
        new = NewJob(type, "all", "alice", reason, payload=payload or {"mode": "apply"}, targets=services)
        job_id = await self.room.jobs.submit(new)
        await self.room.finished(job_id)
        return job_id

    async def tell(self) -> None:
        """Look at what ended, and send what is due, until nothing is."""
        while await self.notifications.look():
            pass  # it takes so many at a time
        while self.notifications._announcing:
            await asyncio.gather(*self.notifications._announcing)
        await self.send()

    async def send(self) -> None:
        """Send what is due now."""
        while claimed := await self.outbox.claim(8):
            await asyncio.gather(*(self.worker._send(delivery) for delivery in claimed))

    async def later(self, **of: float) -> None:
        """Turn the clock on and send what is due then."""
        self.room.time.ahead += timedelta(**of)
        await self.send()

    async def deliveries(self) -> list[DeliveryRow]:
        """The outbox."""
        from sqlmodel import col, select

        async with self.room.db.session() as session:
            return list((await session.exec(select(DeliveryRow).order_by(col(DeliveryRow.id)))).all())

    async def announced(self) -> list[NewVersionNotificationRow]:
        """What was announced."""
        from sqlmodel import col, select

        async with self.room.db.session() as session:
            query = select(NewVersionNotificationRow).order_by(col(NewVersionNotificationRow.id))
            return list((await session.exec(query)).all())

    async def notes(self, job_id: str) -> list[str]:
        """Lines of a job's log about notifications."""
        return [line for line in await self.room.lines(job_id) if "notify" in line]

    async def restart(self) -> House:
        """As after a kill: nothing in memory, the same database."""
        made = _wire(self.room, self.end)
        await made.notifications.begin()
        return made


def _wire(room: Room, end: HttpEnd) -> House:
    clock, slept = room.time.clock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    settings = SettingsStore(room.db, clock)
    devices, outbox = Devices(room.db, clock, {end.url}), Outbox(room.db, clock)
    texts = Texts(lambda: TEMPLATES)
    waiting = Waiting(room.versions, room.stacks)
    courier = Courier(devices, texts, Routes(end.url, frozenset({end.url})), PushPool(), waiting)
    worker = Worker(outbox, courier, settings, room.jobs, room.bus, clock)
    notifications = Notifications(
        db=room.db,
        jobs=room.jobs,
        stacks=room.stacks,
        preferences=Preferences(room.db, clock),
        settings=settings,
        outbox=outbox,
        texts=texts,
        versions=NewVersions(room.versions, room.stacks, room.registry, sleep),
        clock=clock,
        app_version="0.1.0",
        queued=worker.wake,
    )
    return House(room, end, settings, devices, outbox, worker, notifications, slept)


async def open_house(folder: Path, end: HttpEnd) -> House:
    """A fresh one, started."""
    house = _wire(await build(folder), end)
    house.room.bus.on(EntitiesChanged, house.notifications.note)
    house.room.bus.on(ServiceImageChanged, house.notifications.note_services)
    await house.notifications.begin()
    return house


async def shut(house: House) -> None:
    """The end of it."""
    await house.notifications.stop()
    await house.worker.stop()
    await close(house.room)
