"""The state machine of one service of an update (spec §7.8): from the running image to another one, or back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from app.adapters.compose import override_file
from app.adapters.engine import ContainerDetail, EngineError
from app.adapters.registry import ImageRef
from app.core.errors import AdapterError, DockrevError
from app.core.jobs import JobContext
from app.features.stacks import ServiceRecord, StackRecord
from app.features.updates import evidence
from app.features.updates.containers import containers_of, housemates_of, is_up
from app.features.updates.records import Change, Failure, Housemate, StepFailed, project_of
from app.features.updates.retries import idempotent
from app.features.updates.rules.recovery import Step
from app.features.updates.rules.request import Target
from app.features.updates.take_back import EngineAway, take_back_or_tell
from app.features.updates.tools import (
    Tools,
    bring_housemates,
    compose_up,
    forget,
    note,
    require_working,
    staged_config,
    tag_image,
)
from app.features.updates.track import Track

Ending = Literal["settled", "skipped", "failed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Result:
    """How one service ended; image ids are local ones. `warnings` are sentences for the owner."""

    ending: Ending
    old_image: str = ""
    new_image: str = ""
    failure: Failure | None = None
    evidence: dict[str, Any] | None = None
    tags_pulled: tuple[str, ...] = ()
    tag_warnings: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    why_skipped: str = ""


@dataclass(slots=True)
class _Told:
    """What is collected along the way."""

    warnings: list[str] = field(default_factory=list)
    tags_pulled: list[str] = field(default_factory=list)
    tag_warnings: list[dict[str, Any]] = field(default_factory=list)


class ServiceUpdate:
    """Updates one service. `backup` is told as evidence of a roll back."""

    def __init__(
        self,
        tools: Tools,
        ctx: JobContext,
        track: Track,
        stack: StackRecord,
        service: ServiceRecord,
        target: Target,
        *,
        backup: dict[str, Any] | None = None,
    ) -> None:
        self._tools = tools
        self._ctx = ctx
        self._track = track
        self._stack = stack
        self._service = service
        self._target = target
        self._ref = ImageRef.parse(service.image_ref)
        self._backup = backup or {}
        self._told = _Told()

    @property
    def target_tag_ref(self) -> str:
        """The name the new image gets."""
        return f"{self._ref.familiar_repo}:{self._target.target_tag}"

    async def run(self) -> Result:
        """From `locate` to the end. Raises only what leaves the journal open: a lost engine on the way back."""
        self._track.at(0.02, "looking at what runs")
        before = await self._containers()
        running = [container for container in before if is_up(container)]
        if not running:
            why = "container not running"
            self._track.step("queued", "skip", why)
            self._ctx.log(f"{self._service.name} is left out: {why}", "warn")
            return Result("skipped", why_skipped=why)
        self._track.step("queued", "done")
        change = await self._read(before, running)
        async with (
            staged_config(self._tools) as (self._tools, folder),
            override_file({self._service.name: change.target_ref}) as override,
        ):
            # Written down before anything is touched; also the files, so that a killed process does not leave them.
            change = replace(change, override_path=str(override), config_folder=str(folder) if folder else None)
            await self._tools.journal.open(change)
            try:
                change = await self._pull(change)
            except StepFailed as failed:
                await forget(self._tools, self._ctx, change)
                return self._unchanged(change, failed.failure)
            return await self._replace(change, override)

    async def _read(self, before: list[ContainerDetail], running: list[ContainerDetail]) -> Change:
        """What runs, and who lives in its network."""
        housemates, strangers = await self._housemates(running)
        for name in strangers:
            self._told.warnings.append(
                f"{name} lives in the network of {self._service.name} and is not part of a stack Dockrev knows: "
                f"recreate it after the update, or it has no network"
            )
        first = running[0]
        return Change(
            job_id=self._ctx.job.id,
            stack_id=self._stack.id,
            service_id=self._service.id,
            service=self._service.name,
            project=project_of(self._stack),
            configured_ref=self._service.image_ref,
            target_ref=f"{self._ref.familiar_repo}@{self._target.target_digest}",
            target_tag=self._target.target_tag,
            old_image_id=first.image_id,
            was_unhealthy=first.health is not None and first.health.status == "unhealthy",
            containers=len(running) if len(before) > 1 else 1,
            housemates=tuple(housemates),
        )

    # ---- forward

    async def _pull(self, change: Change) -> Change:
        """By digest, through the engine: nothing is changed yet, so this may be tried again."""
        self._track.step("pull", "run")
        self._track.at(0.08, "pulling the image")
        engine = self._tools.engine

        async def pull() -> None:
            self._ctx.log(f"$ docker pull {change.target_ref}")
            result = await engine.pull(change.target_ref, on_progress=self._track.pulling)
            self._ctx.log(f"status=0 stdout={'downloaded' if result.downloaded else 'up to date'} {result.digest}")

        await idempotent("pull", self._tools.settings, pull, self._warn)
        image = await idempotent("pull", self._tools.settings, lambda: engine.image(change.target_ref), self._warn)
        self._track.step("pull", "done")
        self._track.at(0.52, "image pulled")
        return replace(change, new_image_id=image.id)

    async def _replace(self, change: Change, override: Path) -> Result:
        """The dangerous part: whatever goes wrong in here, the old image comes back."""
        step = "up"
        try:
            await self._recreate(change, override)
            step = "health"
            await self._prove(change)
            step = "network_dependents"
            await self._housemates_back(change)
            step = "sync_configured_tag"
            await self._name(change)
        except StepFailed as failed:
            return await self._back(change, failed.failure)
        except DockrevError as error:
            return await self._back(change, Failure(step, error.message, error.hint))
        except Exception as error:  # a fault of our own must not leave a service half done either
            self._ctx.log(f"unexpected {type(error).__name__} in step {step}", "error")
            return await self._back(change, Failure(step, f"internal error ({type(error).__name__})"))
        await self._extra_tags()
        await forget(self._tools, self._ctx, change)
        self._track.step("settled", "done")
        self._track.at(1.0, "done")
        return self._result("settled", change)

    async def _recreate(self, change: Change, override: Path) -> None:
        self._track.step("recreate", "run")
        self._track.at(0.60, "recreating the container")
        await self._tools.journal.move(change, Step.RECREATE, new_image_id=change.new_image_id)
        await self._ctx.flush()
        await compose_up(
            self._tools, self._ctx, change.project, change.service, override=override, containers=change.containers
        )
        self._track.step("recreate", "done")
        self._track.at(0.82, "recreated")

    async def _prove(self, change: Change) -> None:
        self._track.step("health", "run")
        self._track.at(0.84, "waiting until it works")
        await note(self._tools, self._ctx, change, Step.HEALTH)
        await require_working(self._tools, change, change.new_image_id or "")
        self._track.step("health", "done")
        self._track.at(0.88, "works")

    async def _housemates_back(self, change: Change) -> None:
        verdict = await bring_housemates(self._tools, self._ctx, change.housemates)
        if verdict.state != "ok":
            raise StepFailed(Failure("network_dependents", verdict.why))

    async def _name(self, change: Change) -> None:
        """Point the tag at the image that was accepted, so that a later plain `compose up` keeps it.

        The image is here already: giving it the name is what a pull of the tag comes to, without asking the registry
        for something that may have moved on meanwhile.
        """
        self._track.at(0.90, "naming the image")
        await note(self._tools, self._ctx, change, Step.TAG)
        image, settings = change.new_image_id or "", self._tools.settings
        names = [("pull_target_tag", self.target_tag_ref)]
        if not change.pinned:
            names.append(("sync_configured_tag", change.configured_ref))
        seen: set[str] = set()
        for step, ref in names:
            if (plain := str(ImageRef.parse(ref).with_tag(ImageRef.parse(ref).effective_tag))) not in seen:
                seen.add(plain)
                await idempotent(step, settings, lambda ref=ref: self._tag(image, ref), self._warn)  # type: ignore[misc]
        self._track.at(0.97, "named")

    async def _tag(self, image: str, ref: str) -> None:
        await tag_image(self._tools, self._ctx, image, ref)

    async def _extra_tags(self) -> None:
        """Best effort: the update is done."""
        self._track.at(0.985, "pulling extra tags")
        for tag in self._target.pull_tags:
            ref = f"{self._ref.familiar_repo}:{tag}"
            try:
                await idempotent("pull_tags", self._tools.settings, lambda ref=ref: self._pull_tag(ref), self._warn)  # type: ignore[misc]
                self._told.tags_pulled.append(ref)
            except StepFailed as failed:
                self._ctx.log(f"{ref} was not pulled: {failed.failure.error}", "warn")
                self._told.tag_warnings.append(
                    {
                        "serviceId": self._service.id,
                        "tagRef": ref,
                        "step": "pull",
                        "retry": failed.failure.retry,
                        "lastError": failed.failure.error,
                    }
                )
        self._track.at(0.995, "extra tags pulled")

    async def _pull_tag(self, ref: str) -> None:
        self._ctx.log(f"$ docker pull {ref}")
        await self._tools.engine.pull(ref)

    # ---- back

    async def _back(self, change: Change, failure: Failure) -> Result:
        """Keep the evidence, then the way back; or stop here when the owner wants no automatic roll back."""
        self._ctx.log(f"{change.service}: {failure.step} failed: {failure.error}. {failure.hint}".strip(), "error")
        self._track.step("recreate" if failure.step == "up" else "health", "bad", failure.error, error=failure.error)
        await note(self._tools, self._ctx, change, Step.ROLLBACK)
        kept = await self._evidence(change, failure)
        if not self._service.auto_rollback:
            await self._try_housemates(change)
            await forget(self._tools, self._ctx, change)
            hint = "The new container was left as it is: automatic rollback is switched off for this service."
            self._track.step("unchanged", "bad", hint, evidence={**kept, "restoredOk": False})
            return self._result("failed", change, Failure(failure.step, f"{failure.error}. {hint}"), kept)
        self._track.step("rolled_back", "run", "bringing the previous image back", evidence=kept)
        try:
            verdict = await take_back_or_tell(self._tools, self._ctx, change)
        except EngineAway as away:
            self._track.step("rolled_back", "bad", f"waiting for the engine: {away}")
            return self._result("failed", change, Failure("rollback_failed", f"{failure.error}; then {away}"), kept)
        restored = verdict.state == "ok"
        kept |= {"restoredOk": restored, "restoredDigest": await self._digest(change.old_image_id)}
        await forget(self._tools, self._ctx, change)
        if restored:
            self._track.step("rolled_back", "back", "the previous image runs again", evidence=kept)
            return self._result("rolled_back", change, failure, kept)
        self._ctx.log(f"the previous image could not be brought back: {verdict.why}", "error")
        self._track.step("rolled_back", "bad", verdict.why, evidence=kept)
        error = f"{failure.error}; the previous image could not be brought back: {verdict.why}"
        step = verdict.why if verdict.why == "container_missing_after_rollback" else "rollback_failed"
        return self._result("failed", change, Failure(step, error), kept)

    async def _try_housemates(self, change: Change) -> None:
        """The network they lived in is gone either way."""
        try:
            verdict = await bring_housemates(self._tools, self._ctx, change.housemates)
        except AdapterError as error:
            self._warn(error.message)
        else:
            if verdict.state != "ok":
                self._warn(verdict.why)

    async def _evidence(self, change: Change, failure: Failure) -> dict[str, Any]:
        try:
            found = await containers_of(self._tools.engine, change.project.name, change.service)
            kept = await evidence.gather(self._tools.engine, change, failure, found)
        except EngineError as error:
            kept = {"trigger": failure.error, "lastOutput": [f"(nothing could be read: {error.message})"]}
        return kept | self._backup

    async def _digest(self, image_id: str) -> str | None:
        """The repository digest of a local image, for the owner to recognise."""
        try:
            image = await self._tools.engine.image(image_id)
        except AdapterError:
            return None
        aliases = self._ref.repo_aliases()
        found = [ref.partition("@") for ref in image.repo_digests]
        return next((digest for repo, _, digest in found if repo in aliases), None)

    # ---- small things

    async def _containers(self) -> list[ContainerDetail]:
        return await containers_of(self._tools.engine, self._stack.project, self._service.name)

    async def _housemates(self, running: list[ContainerDetail]) -> tuple[list[Housemate], list[str]]:
        return await housemates_of(self._tools.engine, self._tools.stacks, running)

    def _unchanged(self, change: Change, failure: Failure) -> Result:
        self._ctx.log(f"{change.service}: {failure.error}. {failure.hint}".strip(), "error")
        self._track.step("pull", "bad", failure.error, error=failure.error)
        self._track.step("unchanged", "done", "nothing was changed; the old container kept running")
        return self._result("failed", change, failure)

    def _result(
        self, ending: Ending, change: Change, failure: Failure | None = None, kept: dict[str, Any] | None = None
    ) -> Result:
        return Result(
            ending,
            old_image=change.old_image_id,
            new_image=change.new_image_id or "",
            failure=failure,
            evidence=kept,
            tags_pulled=tuple(self._told.tags_pulled),
            tag_warnings=tuple(self._told.tag_warnings),
            warnings=tuple(self._told.warnings),
        )

    def _warn(self, text: str) -> None:
        self._ctx.log(text, "warn")
