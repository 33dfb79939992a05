"""The state machine of one service of an update (spec §7.8): from the running image to another one, or back.

In two halves, so that all images of a stack are here before its first container is touched: `prepare` changes nothing,
`apply` recreates.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.adapters.compose import override_file
from app.adapters.engine import ContainerDetail, EngineError
from app.adapters.registry import ImageRef
from app.core.errors import AdapterError, DockrevError
from app.core.jobs import JobContext
from app.features.stacks import ServiceRecord, StackRecord
from app.features.updates import evidence
from app.features.updates.containers import containers_of, dependents_of, housemates_of, is_up
from app.features.updates.followers import bring_followers, require_followers
from app.features.updates.records import (
    Change,
    Dependent,
    Ending,
    Failure,
    Housemate,
    Result,
    StepFailed,
    project_of,
)
from app.features.updates.retries import idempotent
from app.features.updates.rules.order import started_anew
from app.features.updates.rules.recovery import Step
from app.features.updates.rules.request import Target
from app.features.updates.take_back import EngineAway, take_back_or_tell
from app.features.updates.tools import (
    Tools,
    compose_up,
    forget,
    note,
    require_working,
    staged_config,
    tag_image,
)
from app.features.updates.track import Track


@dataclass(slots=True)
class _Told:
    """What is collected along the way."""

    warnings: list[str] = field(default_factory=list)
    tags_pulled: list[str] = field(default_factory=list)
    tag_warnings: list[dict[str, Any]] = field(default_factory=list)


class ServiceUpdate:
    """Updates one service: `prepare`, then `apply`. `backup` is told as evidence of a roll back."""

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
        self._new_image_id = ""
        self._later: frozenset[str] = frozenset()

    @property
    def service(self) -> ServiceRecord:
        """What is updated."""
        return self._service

    @property
    def target_tag_ref(self) -> str:
        """The name the new image gets."""
        return f"{self._ref.familiar_repo}:{self._target.target_tag}"

    async def prepare(self) -> Result | None:
        """Look at what runs and pull the new image, changing nothing. The end, when it ends here, else None."""
        self._track.at(0.02, "looking at what runs")
        running = [container for container in await self._containers() if is_up(container)]
        if not running:
            return self._not_running()
        self._track.step("queued", "done")
        try:
            await self._pull()
        except StepFailed as failed:
            return self._unchanged(running[0].image_id, failed.failure)
        return None

    async def apply(self, ahead: Collection[str] = ()) -> Result:
        """From the recreation to the end; `ahead` are services of the stack that are updated after this one. Raises
        only what leaves the journal open: a lost engine on the way back."""
        # Looked at again: the pulls of others took their time.
        running = [container for container in await self._containers() if is_up(container)]
        if not running:
            return self._not_running()
        change = await self._read(running, ahead)
        async with (
            staged_config(self._tools) as (self._tools, folder),
            override_file({self._service.name: change.target_ref}) as override,
        ):
            # Written down before anything is touched; also the files, so that a killed process does not leave them.
            change = replace(change, override_path=str(override), config_folder=str(folder) if folder else None)
            await self._tools.journal.open(change)
            return await self._replace(change, override)

    async def _read(self, running: list[ContainerDetail], ahead: Collection[str]) -> Change:
        """What runs, who lives in it, and who is restarted after it."""
        housemates, strangers = await housemates_of(self._tools.engine, self._tools.stacks, running)
        for name in strangers:
            self._told.warnings.append(
                f"{name} uses the network, processes or memory of {self._service.name} and is not part of a stack "
                f"Dockrev knows: recreate it after the update, or it does not work"
            )
        dependents = await self._dependents(housemates, ahead)
        first = running[0]
        return Change(
            job_id=self._ctx.job.id,
            stack_id=self._stack.id,
            service_id=self._service.id,
            service=self._service.name,
            project=project_of(self._stack),
            configured_ref=self._service.image_ref,
            target_ref=self._target_ref,
            target_tag=self._target.target_tag,
            old_image_id=first.image_id,
            was_unhealthy=first.health is not None and first.health.status == "unhealthy",
            containers=len(running),
            housemates=tuple(housemates),
            dependents=tuple(dependents),
            new_image_id=self._new_image_id,
        )

    async def _dependents(self, housemates: list[Housemate], ahead: Collection[str]) -> list[Dependent]:
        """All of them; those whose own update comes, and what is behind them, need no restart if this one works."""
        recreated = {self._service.name, *(m.service for m in housemates if m.project.name == self._stack.project)}
        found = await dependents_of(self._tools.engine, self._stack, recreated)
        edges = {one.name: one.restarts_after for one in self._stack.services}
        now = set(started_anew(recreated, edges, ahead=ahead))
        self._later = frozenset(one.service for one in found if one.service not in now)
        return found

    # ---- forward

    async def _pull(self) -> None:
        """By digest, through the engine: nothing is changed yet, so this may be tried again."""
        self._track.step("pull", "run")
        self._track.at(0.08, "pulling the image")
        engine, ref = self._tools.engine, self._target_ref

        async def pull() -> None:
            self._ctx.log(f"$ docker pull {ref}")
            result = await engine.pull(ref, on_progress=self._track.pulling)
            self._ctx.log(f"status=0 stdout={'downloaded' if result.downloaded else 'up to date'} {result.digest}")

        await idempotent("pull", self._tools.settings, pull, self._warn)
        image = await idempotent("pull", self._tools.settings, lambda: engine.image(ref), self._warn)
        self._new_image_id = image.id
        self._track.step("pull", "done")
        self._track.at(0.52, "image pulled")

    async def _replace(self, change: Change, override: Path) -> Result:
        """The dangerous part: whatever goes wrong in here, the old image comes back."""
        step = "up"
        try:
            await self._recreate(change, override)
            step = "health"
            await self._prove(change)
            step = "network_dependents" if change.housemates else "restart_dependents"
            await require_followers(self._tools, self._ctx, change, ahead=self._later)
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
        await forget(self._tools, self._ctx, change, self._owed(change))
        self._track.step("settled", "done", self._followed(change))
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
            await self._try_followers(change)
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

    async def _try_followers(self, change: Change) -> None:
        """The container they lived in or talked to is gone either way."""
        try:
            verdict = await bring_followers(self._tools, self._ctx, change)
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

    def _owed(self, change: Change) -> tuple[Dependent, ...]:
        """Restarts left to the dependents' own updates, if those come."""
        return tuple(one for one in change.dependents if one.service in self._later)

    def _followed(self, change: Change) -> str:
        """What the timeline tells of the others."""
        mates = [f"{mate.project.name}/{mate.service}" for mate in change.housemates]
        dependents = [one.service for one in change.dependents if one.service not in self._later]
        told = [f"recreated with it: {', '.join(mates)}"] if mates else []
        return "; ".join([*told, f"restarted after it: {', '.join(dependents)}"] if dependents else told)

    # ---- small things

    async def _containers(self) -> list[ContainerDetail]:
        return await containers_of(self._tools.engine, self._stack.project, self._service.name)

    @property
    def _target_ref(self) -> str:
        return f"{self._ref.familiar_repo}@{self._target.target_digest}"

    def _not_running(self) -> Result:
        why = "container not running"
        self._track.step("queued", "skip", why)
        self._track.at(1.0, why)
        self._ctx.log(f"{self._service.name} is left out: {why}", "warn")
        return Result("skipped", why_skipped=why)

    def _unchanged(self, old_image_id: str, failure: Failure) -> Result:
        self._ctx.log(f"{self._service.name}: {failure.error}. {failure.hint}".strip(), "error")
        self._track.step("pull", "bad", failure.error, error=failure.error)
        self._track.step("unchanged", "done", "nothing was changed; the old container kept running")
        return Result("failed", old_image=old_image_id, failure=failure)

    def _result(
        self, ending: Ending, change: Change, failure: Failure | None = None, kept: dict[str, Any] | None = None
    ) -> Result:
        # A failure on the way back, too, was met after the followers had lost what they follow.
        later = self._later if ending == "settled" else frozenset()
        mates = (mate.service for mate in change.housemates if mate.project.name == change.project.name)
        dependents = (one.service for one in change.dependents if one.service not in later)
        return Result(
            ending,
            restarted=(change.service, *mates, *dependents),
            owed=self._owed(change) if later else (),
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
