"""The way back to the exact image that ran before (spec §7.8, rollback)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from app.adapters.compose import ComposeError, override_file
from app.adapters.engine import EngineUnreachable, NoSuchImage
from app.core.errors import AdapterError
from app.core.jobs import JobContext
from app.features.updates.followers import bring_followers
from app.features.updates.records import Change
from app.features.updates.rules.health import Verdict
from app.features.updates.rules.recovery import Step
from app.features.updates.tools import Tools, compose_up, image_id_of, note, tag_image
from app.features.updates.watch import GONE, OTHER_IMAGE, REPLACED

DISTURBED_SECONDS: Final = 2.0


class EngineAway(Exception):
    """The engine went away on the way back: the journal stays open, and the way is taken again when it answers."""


async def take_back(tools: Tools, ctx: JobContext, change: Change) -> Verdict:
    """Make the old image the configured one again, recreate from it, and see that it works.

    Ok only when containers of exactly the old image run (and are healthy, if they were before). Raises
    EngineUnreachable when nothing can be said because the engine is away.
    """
    await note(tools, ctx, change, Step.ROLLBACK)
    try:
        await tools.engine.image(change.old_image_id)
    except NoSuchImage:
        return Verdict("bad", "the previous image is no longer on this host")
    verdict, disturbed = await _old_image_up(tools, ctx, change)
    if verdict.state != "ok" and disturbed:
        # A compose up of the owner at the same moment: both may have failed, and nothing may be left running.
        ctx.log(f"somebody else changed the containers meanwhile ({verdict.why}): once more", "warn")
        await asyncio.sleep(DISTURBED_SECONDS)
        verdict, _ = await _old_image_up(tools, ctx, change)
    if verdict.state != "ok":
        why = "container_missing_after_rollback" if verdict.why == GONE else verdict.why
        return Verdict("bad", why)
    try:
        followers = await bring_followers(tools, ctx, change)
    except ComposeError as error:
        return Verdict("bad", error.message)
    return followers if followers.state != "ok" else verdict


async def _old_image_up(tools: Tools, ctx: JobContext, change: Change) -> tuple[Verdict, bool]:
    """Recreate from the old image and watch: the verdict, and whether it looks as if somebody else interfered."""
    failed = False
    async with AsyncExitStack() as files:
        override = None
        if not change.pinned:
            await tag_image(tools, ctx, change.old_image_id, change.configured_ref)
        elif await image_id_of(tools.engine, change.configured_ref) != change.old_image_id:
            # A digest in the Compose file cannot be pointed elsewhere: name the old image for this one command.
            override = await files.enter_async_context(override_file({change.service: change.old_image_id}))
        try:
            await compose_up(
                tools, ctx, change.project, change.service, override=override, containers=change.containers
            )
        except ComposeError as error:
            failed = True  # what runs decides, not its words
            ctx.log(f"compose failed on the way back: {error.message}", "error")
    verdict = await tools.watch.until_working(
        change.project.name, change.service, image_id=change.old_image_id, ignore_health=change.was_unhealthy
    )
    return verdict, failed or verdict.why in (GONE, OTHER_IMAGE, REPLACED)


async def take_back_or_tell(tools: Tools, ctx: JobContext, change: Change) -> Verdict:
    """`take_back`, with every failure of the outside worlds as a verdict; only a missing engine is raised."""
    try:
        return await take_back(tools, ctx, change)
    except EngineUnreachable as error:
        raise EngineAway(error.message) from error
    except AdapterError as error:
        return Verdict("bad", error.message)
