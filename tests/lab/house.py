"""The rooms up to the updates, wired on the lab's real engine, registry and Compose; no web server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.adapters.compose import Compose
from app.adapters.engine import ContainerDetail, Engine
from app.adapters.registry import RegistryClient
from app.core.background import Background
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine, JobRecord
from app.core.metrics import Metrics
from app.core.web.auth import AuthPolicy
from app.features import backups, preferences, stacks, updates, versions
from app.features.backups import Backups, Restores
from app.features.preferences import Preferences
from app.features.stacks import Discovery, ServiceRecord, Stacks
from app.features.updates import Recovery, Rollbacks, UpdateInput, Updates
from app.features.updates.containers import containers_of
from app.features.versions import Checks, Versions
from app.settings import Settings
from tests.lab.lab import Lab

FEATURES: tuple[Feature, ...] = (
    preferences.FEATURE,
    stacks.FEATURE,
    versions.FEATURE,
    backups.FEATURE,
    updates.FEATURE,
)


def lab_settings(lab: Lab, folder: Path, **wanted: Any) -> Settings:
    """Settings for this lab with a database in `folder`; `wanted` are fields of Settings."""
    return Settings.model_validate(
        {
            "db_path": folder / "dockrev.sqlite3",
            "docker_host": lab.docker_host,
            "docker_config": lab.docker_config / "config.json",
            "compose_bin": str(lab.compose_bin),
            "backup_dir": str(folder / "backups"),
            "update_settle_seconds": 1.5,
            **wanted,
        }
    )


@dataclass(slots=True)
class House:
    """Everything a test of updates talks to."""

    container: Container

    @property
    def engine(self) -> Engine:
        return self.container.get(Engine)

    @property
    def jobs(self) -> JobEngine:
        return self.container.get(JobEngine)

    @property
    def stacks(self) -> Stacks:
        return self.container.get(Stacks)

    @property
    def updates(self) -> Updates:
        return self.container.get(Updates)

    @property
    def recovery(self) -> Recovery:
        return self.container.get(Recovery)

    @property
    def rollbacks(self) -> Rollbacks:
        return self.container.get(Rollbacks)

    @property
    def backups(self) -> Backups:
        return self.container.get(Backups)

    @property
    def restores(self) -> Restores:
        return self.container.get(Restores)

    @property
    def preferences(self) -> Preferences:
        return self.container.get(Preferences)

    @property
    def versions(self) -> Versions:
        return self.container.get(Versions)

    async def look(self) -> None:
        """Discover what runs, and check all of it."""
        await self.container.get(Discovery).scan()
        services = await self.stacks.select("all")
        await self.container.get(Checks).recheck([service.id for service in services])

    async def service(self, project: str, name: str) -> ServiceRecord:
        """A service by its names."""
        return next(one for one in await self.stacks.select("all") if (one.project, one.name) == (project, name))

    async def body(self, project: str, name: str, **changed: Any) -> UpdateInput:
        """The request that the page would send for one service."""
        service = await self.service(project, name)
        record = (await self.versions.records([service.id]))[service.id]
        return UpdateInput.model_validate(
            {
                "scope": "service",
                "serviceId": service.id,
                "targetTag": service.image_tag,
                "targetDigest": record.candidate_digest or "none",
                "pullTags": [],
                "mode": "apply",
                **changed,
            }
        )

    async def stack_body(self, project: str, names: list[str], **changed: Any) -> UpdateInput:
        """The same for some services of a stack."""
        services = [await self.service(project, name) for name in names]
        records = await self.versions.records([service.id for service in services])
        targets: list[dict[str, Any]] = [
            {
                "serviceId": service.id,
                "targetTag": service.image_tag,
                "targetDigest": records[service.id].candidate_digest,
                "pullTags": [],
            }
            for service in services
        ]
        stack_id = (await self.service(project, names[0])).stack_id
        return UpdateInput.model_validate(
            {"scope": "stack", "stackId": stack_id, "targets": targets, "mode": "apply", **changed}
        )

    async def update(self, project: str, name: str, **changed: Any) -> JobRecord:
        """Update one service and wait for the end of the job."""
        return await self.finished(await self.updates.start(await self.body(project, name, **changed), "tester"))

    async def finished(self, job_id: str, timeout: float = 90) -> JobRecord:
        """The job after its end."""
        async with asyncio.timeout(timeout):
            while True:
                job = await self.jobs.store.get(job_id)
                assert job is not None
                if job.status.final and job_id not in self.jobs.running:
                    return job
                await asyncio.sleep(0.05)

    async def containers(self, project: str, name: str) -> list[ContainerDetail]:
        """What there is of a service, running or not."""
        return await containers_of(self.engine, project, name)

    async def only(self, project: str, name: str) -> ContainerDetail:
        """The one container of a service."""
        (found,) = await self.containers(project, name)
        return found

    async def log(self, job_id: str) -> str:
        """The job's log as text."""
        lines, _ = await self.jobs.store.logs(job_id)
        return "\n".join(line.msg for line in lines)


@asynccontextmanager
async def house(lab: Lab, folder: Path, *, background: bool = False, **wanted: Any) -> AsyncIterator[House]:
    """A house on this lab; with `background` its loops run too."""
    settings = lab_settings(lab, folder, **wanted)
    container = Container()
    container.put(Settings, settings)
    container.put(AuthPolicy, settings.auth_policy)
    clock = container.put(Clock, Clock())
    database = container.put(Database, Database(settings.db_path))
    bus = container.put(EventBus, EventBus())
    container.put(Background, Background())
    container.put(Metrics, Metrics())
    jobs = container.put(JobEngine, JobEngine(database, bus, clock))
    engine = container.put(Engine, Engine(settings.docker_host, docker_config=settings.docker_config))
    container.put(
        Compose,
        Compose(settings.compose_bin, docker_host=settings.docker_host, docker_config=settings.docker_config),
    )
    for feature in FEATURES:
        feature.setup(container)
    await database.create_all()
    await jobs.recover()
    for feature in FEATURES:
        await feature.start(container)
    if background:
        container.get(Background).start()
    try:
        yield House(container)
    finally:
        await jobs.stop()
        await container.get(Background).stop()
        await bus.settle()
        await engine.close()
        await container.get(RegistryClient).aclose()
        await database.close()
