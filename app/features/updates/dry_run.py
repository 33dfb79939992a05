"""Tells what an update would do, without asking the engine or Compose for anything (spec §7.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.adapters.registry import ImageRef
from app.core.jobs import JobContext, JobOutcome, Progress
from app.features.updates.one_stack import StackPlan
from app.features.updates.rules.order import started_anew
from app.features.updates.rules.timings import Away, away
from app.features.updates.summary import line_facts
from app.features.versions import VersionRecord


def dry_run(
    ctx: JobContext,
    plans: Sequence[StackPlan],
    records: Mapping[str, VersionRecord],
    earlier: Sequence[Mapping[str, Any]] = (),
) -> JobOutcome:
    """The summary of a dry run; the keys are those of an update. `earlier` are summaries of updates, newest first."""
    stacks = [_stack(ctx, plan, records, earlier) for plan in plans]
    total = sum(len(plan.items) for plan in plans)
    told = f"{total} service{'' if total == 1 else 's'} would be updated"
    ctx.log(told)
    ctx.merge({"mode": "dry-run", "stacks": stacks})
    ctx.progress(Progress("done", told, total, total, 100.0, total, total, 100.0), force=True)
    return JobOutcome()


def _stack(
    ctx: JobContext,
    plan: StackPlan,
    records: Mapping[str, VersionRecord],
    earlier: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    update: dict[str, Any] = {
        "mode": "dry-run",
        "changedServices": len(plan.items),
        "oldDigests": {},
        "newDigests": {},
        "targetTagsPulled": [],
        "pullTagsPulled": [],
        "pullTagWarnings": [],
        "skippedVersionAnomaly": [dict(item) for item in plan.anomalies],
        "semverPulled": [],
        "semverPullWarnings": {},
        "wouldChange": [],
    }
    for service, target in plan.items:
        record, repo = records.get(service.id), ImageRef.parse(service.image_ref).familiar_repo
        if record is not None and record.current_digest:
            update["oldDigests"][service.id] = record.current_digest
        update["newDigests"][service.id] = target.target_digest
        update["targetTagsPulled"].append(f"{repo}:{target.target_tag}")
        update["pullTagsPulled"] += [f"{repo}:{tag}" for tag in target.pull_tags]
        facts = line_facts(plan.stack, service, target, record)
        anew = started_anew((service.name,), {one.name: one.restarts_after for one in plan.stack.services})
        told = {"serviceId": service.id, "serviceName": service.name, **facts, "restartedAfter": anew}
        measured = away(earlier, service.id)
        told |= {"offlineSeconds": measured.seconds, "offlineMeasuredIn": measured.updates} if measured else {}
        update["wouldChange"].append(told)
        label = f"{plan.stack.name}/{service.name}"
        ctx.step(service.id, "queued", "todo", label=label, note="dry run: nothing is done", **facts)
        ctx.log(f"{label} would run {repo}@{target.target_digest}")
        ctx.log(_offline(label, measured))
        if anew:
            ctx.log(f"{', '.join(anew)} would be restarted after {label}, as far as running (restart: true)")
    return {"stackId": plan.stack.id, "backup": {"status": "skipped", "reason": "dry_run"}, "update": update}


def _offline(label: str, measured: Away | None) -> str:
    if measured is None:
        return f"how long {label} would be offline is not known: no earlier update of it was measured"
    times = "1 update" if measured.updates == 1 else f"{measured.updates} updates"
    return f"{label} was offline for {measured.seconds:g} s in its last {times}"
