"""What has to follow a service that was replaced: what lives in its containers, and what wants a restart after it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AsyncExitStack

from app.adapters.compose import override_file
from app.adapters.engine import NoSuchContainer
from app.core.jobs import JobContext
from app.features.updates.containers import containers_of, is_up
from app.features.updates.records import Change, Dependent, Failure, Housemate, StepFailed
from app.features.updates.rules.health import Verdict
from app.features.updates.tools import Tools, compose_up, image_id_of


async def bring_followers(tools: Tools, ctx: JobContext, change: Change, *, ahead: Collection[str] = ()) -> Verdict:
    """Housemates, then dependents; the first that does not come to work is the verdict. Dependents `ahead` are
    replaced themselves later on and left alone. Raises ComposeError, EngineError."""
    verdict = await bring_housemates(tools, ctx, change.housemates)
    if verdict.state == "ok":
        verdict = await bring_dependents(tools, ctx, change, ahead=ahead)
    return verdict


async def require_followers(tools: Tools, ctx: JobContext, change: Change, *, ahead: Collection[str] = ()) -> None:
    """`bring_followers`; raises StepFailed with the name of the step."""
    verdict = await bring_housemates(tools, ctx, change.housemates)
    if verdict.state != "ok":
        raise StepFailed(Failure("network_dependents", verdict.why))
    verdict = await bring_dependents(tools, ctx, change, ahead=ahead)
    if verdict.state != "ok":
        raise StepFailed(Failure("restart_dependents", verdict.why))


async def bring_housemates(tools: Tools, ctx: JobContext, housemates: tuple[Housemate, ...]) -> Verdict:
    """Recreate what uses the network, processes or memory of a service that was recreated, and wait until it works."""
    for mate in housemates:
        ctx.log(f"{mate.project.name}/{mate.service} uses the network, processes or memory of this service: recreated")
        async with AsyncExitStack() as files:
            override = None
            if await image_id_of(tools.engine, mate.image_ref) != mate.image_id:
                # A plain recreation would also move it to whatever its tag means by now.
                override = await files.enter_async_context(override_file({mate.service: mate.image_id}))
            await compose_up(
                tools,
                ctx,
                mate.project,
                mate.service,
                override=override,
                force_recreate=True,
                containers=mate.containers,
            )
        verdict = await tools.watch.until_working(mate.project.name, mate.service)
        if verdict.state != "ok":
            return Verdict("bad", f"{mate.project.name}/{mate.service}, which lives in its container: {verdict.why}")
    return Verdict("ok")


async def bring_dependents(tools: Tools, ctx: JobContext, change: Change, *, ahead: Collection[str] = ()) -> Verdict:
    """Restart what depends on a replaced service with `restart: true`, and wait until it works.

    Compose does this only in an `up` that is about all of them; ours is about one service.
    """
    for dependent in change.dependents:
        if dependent.service in ahead:
            continue
        verdict = await restart_dependent(tools, ctx, change.project.name, change.service, dependent)
        if verdict.state != "ok":
            return verdict
    return Verdict("ok")


async def restart_dependent(
    tools: Tools, ctx: JobContext, project: str, after: str, dependent: Dependent, *, ended_too: bool = True
) -> Verdict:
    """Restart the containers that ran before, with `ended_too` also one that ended since then, as it may when its
    dependency is away; nothing else. Raises EngineError."""
    ctx.log(f"{project}/{dependent.service} depends on {after} with restart: true and is restarted")
    there = await containers_of(tools.engine, project, dependent.service)
    wanted = {one.id for one in there if is_up(one) or (ended_too and one.id in dependent.containers)}
    for container in sorted(wanted):
        ctx.log(f"$ docker restart {container[:12]}")
        try:
            await tools.engine.restart(container)
        except NoSuchContainer:
            wanted.discard(container)
    if not wanted:
        ctx.log(f"{project}/{dependent.service} does not run any more: somebody ended it", "warn")
        return Verdict("ok")
    verdict = await tools.watch.until_working(
        project, dependent.service, only=wanted, ignore_health=dependent.was_unhealthy
    )
    if verdict.state == "ok" or await _all_done(tools, wanted):
        return Verdict("ok")
    return Verdict("bad", f"{project}/{dependent.service}, which is restarted with it: {verdict.why}")


async def _all_done(tools: Tools, containers: Collection[str]) -> bool:
    """Whether these are tasks that ended well, which nobody expects to go on running."""
    found = await tools.engine.containers_detail(containers)
    return bool(found) and all(
        not is_up(one) and one.exit_code == 0 and one.restart_policy in ("", "no", "on-failure") for one in found
    )
