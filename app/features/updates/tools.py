"""What the steps of an update work with, and the few moves they share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.adapters.compose import (
    Compose,
    ComposeCommandFailed,
    ComposeTimeout,
    Project,
    staged_docker_config,
)
from app.adapters.engine import Engine, EngineError, NoSuchImage
from app.core.clock import Clock
from app.core.db import StorageError
from app.core.jobs import JobContext
from app.features.stacks import Stacks
from app.features.updates.journal import Journal
from app.features.updates.records import Change, Dependent, Failure, StepFailed
from app.features.updates.rules.recovery import Step
from app.features.updates.watch import GONE, Watch
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside worlds and the journal; `compose` may be one with a staged Docker config."""

    engine: Engine
    compose: Compose
    stacks: Stacks
    journal: Journal
    settings: Settings
    clock: Clock

    def with_compose(self, compose: Compose) -> Tools:
        """The same with another Compose."""
        return replace(self, compose=compose)

    @property
    def watch(self) -> Watch:
        """Judges services with the settle time of the settings."""
        return Watch(self.engine, self.clock, self.settings.update_settle_seconds)


@asynccontextmanager
async def staged_config(tools: Tools) -> AsyncIterator[tuple[Tools, Path | None]]:
    """The tools with a private copy of the Docker config for their commands (spec §7.8, preparation)."""
    config = tools.settings.docker_config
    if config is None or config.name != "config.json":
        yield tools, None
        return
    async with staged_docker_config(config) as folder:
        yield tools.with_compose(tools.compose.with_docker_config(folder)), folder


async def note(tools: Tools, ctx: JobContext, change: Change, step: Step, **facts: Any) -> None:
    """Write down what comes next. When the disk is full it goes on all the same: what was written before the first
    dangerous step is enough to put things right."""
    try:
        await tools.journal.move(change, step, **facts)
        await ctx.flush()
    except StorageError as error:
        ctx.log(f"the journal could not be written: {error.message}", "warn")


async def forget(tools: Tools, ctx: JobContext, change: Change, owed: Sequence[Dependent] = ()) -> None:
    """Take a service out of the journal: it is settled, or there is nothing more that Dockrev could do. Restarts that
    are `owed` stay in it."""
    try:
        await (tools.journal.owe(change, owed) if owed else tools.journal.close(change))
    except StorageError as error:
        ctx.log(f"the journal could not be written: {error.message}", "warn")


async def settle_restarts(tools: Tools, ctx: JobContext, stack_id: str) -> None:
    """Take the restarts that services of this stack owed out of the journal. They are looked after once more if that
    cannot be written."""
    try:
        await tools.journal.paid(ctx.job.id, stack_id)
    except StorageError as error:
        ctx.log(f"the journal could not be written: {error.message}", "warn")


async def compose_up(
    tools: Tools,
    ctx: JobContext,
    project: Project,
    service: str,
    *,
    override: Path | None = None,
    force_recreate: bool = False,
    containers: int = 0,
) -> None:
    """`compose up` of exactly one service, logged with its outcome; never tried again. Raises ComposeError.

    `containers` is how many there shall be, where it is known: as many as ran, whatever the file says.
    """
    scale: Mapping[str, int] | None = {service: containers} if containers else None
    try:
        result = await tools.compose.up(
            project,
            [service],
            override=override,
            no_deps=True,
            pull="never",
            force_recreate=force_recreate,
            scale=scale,
            on_command=ctx.log,
        )
    except (ComposeCommandFailed, ComposeTimeout) as error:
        ctx.log(tools.compose.outcome(error.result), "warn")
        raise
    ctx.log(tools.compose.outcome(result))


async def image_id_of(engine: Engine, ref: str) -> str | None:
    """The id of the local image with this name; None when there is none."""
    try:
        return (await engine.image(ref)).id
    except NoSuchImage:
        return None


async def require_working(tools: Tools, change: Change, image_id: str) -> None:
    """Raise StepFailed unless the service comes to work with this image."""
    verdict = await tools.watch.until_working(change.project.name, change.service, image_id=image_id)
    if verdict.state != "ok":
        step = "container_missing_after_update" if verdict.why == GONE else "health"
        raise StepFailed(Failure(step, verdict.why))


async def tag_image(tools: Tools, ctx: JobContext, image_id: str, ref: str) -> None:
    """Give a local image a name. Raises EngineError."""
    ctx.log(f"$ docker tag {image_id} {ref}")
    try:
        await tools.engine.tag(image_id, ref)
    except EngineError as error:
        ctx.log(f"status=1 stderr={error.message}", "warn")
        raise
