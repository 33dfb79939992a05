"""From a stored job to what its page and its row show. Pure: everything it needs is handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from app.core.jobs import JobRecord, JobStatus, LogRow
from app.features.jobs.rules import result_reason
from app.features.jobs.schemas import (
    DiscoveryActionRow,
    Download,
    JobPage,
    JobProgress,
    JobRow,
    Layer,
    LayerState,
    LogLine,
    NewVersion,
    RollbackEvidence,
    ServiceTrack,
    Step,
    StepKey,
    StepState,
    TrackState,
)
from app.features.jobs.stored import told
from app.features.stacks import problem_text

UPDATE_STEPS: Final = (StepKey.QUEUED, StepKey.BACKUP, StepKey.PULL, StepKey.RECREATE, StepKey.HEALTH)
TRACKED: Final = frozenset({"update", "rollback"})


@dataclass(frozen=True, slots=True)
class Names:
    """Names of services (`(stack id, stack name, service name)`) and stacks, by id."""

    services: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    stacks: Mapping[str, str] = field(default_factory=dict)


NOTES: Final = {  # told in the reader's language by `stored`
    "no_targets": "nothing to back up",
    "no_included_targets": "every target is left out",
    "disabled": "switched off in the settings",
    "dry_run": "not in a dry run",
    "no_actionable_services": "nothing to update",
    "no_actionable_services_after_anomaly_skip": "nothing to update",
}


def job_row(job: JobRecord, names: Names) -> JobRow:
    """A job as one line of a list."""
    tracks = tracks_of(job, names)
    reason = result_reason(job.status, job.summary)
    only = tracks[0] if len(tracks) == 1 else None
    current = _current(tracks)
    shown = current or only
    news = job.summary.get("newVersions")
    return JobRow(
        id=job.id,
        type=job.type,
        scope=job.scope,
        status=job.status,
        created_by=job.created_by,
        reason=job.reason,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        stack_id=job.stack_id,
        service_id=job.service_id,
        target_name=_target_name(job, names),
        dry_run=_is_dry_run(job),
        from_version=only.from_version if only else None,
        to_version=only.to_version if only else None,
        services_total=_services_total(job, tracks),
        services_settled=sum(track.state is TrackState.SETTLED for track in tracks),
        services_rolled_back=sum(track.state is TrackState.ROLLED_BACK for track in tracks),
        new_versions=news.get("count") if isinstance(news, Mapping) else None,
        **(_scan_counts(job.summary.get("scan")) or _webhook_counts(job)),
        result_summary=reason.summary if reason else None,
        result_detail=reason.detail if reason else None,
        progress=_progress(job.summary.get("progress")),
        steps=shown.steps if shown else [],
        current=current,
        stop=job.stop,
    )


def job_page(job: JobRecord, names: Names, rows: Sequence[LogRow], last_id: int) -> JobPage:
    """A job as a page of its own."""
    summary = job.summary
    news = summary.get("newVersions") or {}
    scan = summary.get("scan") or {}
    return JobPage(
        job=job_row(job, names),
        tracks=tracks_of(job, names),
        new_versions=[_new_version(item) for item in news.get("services", [])],
        actions=[
            DiscoveryActionRow(
                project=str(item.get("project", "")),
                action=str(item.get("action", "")),
                stack_id=item.get("stackId"),
                reason=problem_text(reason) if (reason := item.get("reason")) else None,
            )
            for item in scan.get("actions", [])
        ],
        warnings=_warnings(summary),
        facts={key: value for key, value in summary.items() if isinstance(value, int | float) and key != "progress"},
        logs=[LogLine(id=row.id, ts=row.ts, level=row.level, msg=row.msg) for row in rows],
        logs_last_id=last_id,
        logs_total=len(rows),
        summary=summary,
    )


def _is_dry_run(job: JobRecord) -> bool:
    return "dry-run" in (job.summary.get("mode"), job.payload.get("mode"))


def _webhook_counts(job: JobRecord) -> dict[str, int]:
    """Repositories whose webhook on GitHub needs somebody although the job itself went well (spec §9.4)."""
    if not job.type.startswith("github_packages_webhook"):
        return {}
    counts = [job.summary.get(key) for key in ("missing", "conflict")]
    return {"problems": sum(count for count in counts if isinstance(count, int))}


def _scan_counts(scan: Any) -> dict[str, int]:
    """What a discovery changed, and how many projects it could not take in."""
    counts = scan.get("summary") if isinstance(scan, Mapping) else None
    if not isinstance(counts, Mapping):
        return {}
    changed = sum(counts.get(key, 0) for key in ("stacksCreated", "stacksUpdated", "stacksMarkedMissing"))
    return {"changes": changed, "problems": counts.get("stacksFailed", 0)}


def tracks_of(job: JobRecord, names: Names) -> list[ServiceTrack]:
    """The services of an update with their steps, from `summary.timeline`."""
    if job.type not in TRACKED:
        return []
    return [_track(job, entry, names) for entry in job.summary.get("timeline", []) if isinstance(entry, Mapping)]


def _current(tracks: Sequence[ServiceTrack]) -> ServiceTrack | None:
    """Who is worked on: all images are pulled first, so that services wait for each other in the middle too."""
    running = [track for track in tracks if track.state is TrackState.RUNNING]
    return next((track for track in running if track.running is not None), next(iter(running), None))


def _track(job: JobRecord, entry: Mapping[str, Any], names: Names) -> ServiceTrack:
    service_id = str(entry.get("key", ""))
    stack_id, stack_name, service_name = names.services.get(service_id, (str(entry.get("stackId", "")), "", ""))
    label_stack, _, label_service = str(entry.get("label", "")).rpartition("/")
    steps = [step for item in entry.get("steps", []) if (step := _step(item, entry)) is not None]
    _leave_queue(steps)
    state = _track_state(job, steps)
    return ServiceTrack(
        service_id=service_id,
        stack_id=stack_id,
        service_name=service_name or label_service,
        stack_name=stack_name or label_stack,
        from_version=entry.get("fromVersion"),
        to_version=entry.get("toVersion"),
        from_digest=entry.get("fromDigest"),
        to_digest=entry.get("toDigest"),
        state=state,
        steps=_with_steps_to_come(steps, state),
        started_at=min((s.started_at for s in steps if s.started_at and s.key is not StepKey.QUEUED), default=None),
        finished_at=None
        if state is TrackState.RUNNING
        else max((step.finished_at for step in steps if step.finished_at), default=None),
        error=told(error) if isinstance(error := entry.get("error"), str) else None,
        evidence=_evidence(entry.get("evidence")),
    )


def _step(item: Mapping[str, Any], entry: Mapping[str, Any]) -> Step | None:
    try:
        key, state = StepKey(item.get("step", "")), StepState(item.get("status", ""))
    except ValueError:
        return None
    step = Step(
        key=key,
        state=state,
        started_at=_moment(item.get("startedAt")),
        finished_at=_moment(item.get("finishedAt")),
        note=_note(key, str(item.get("note", ""))),
    )
    if key is StepKey.PULL:
        step.layers = [layer for raw in entry.get("layers", [])[:100] if (layer := _layer(raw)) is not None]
        download = entry.get("download") or {}
        step.current_bytes, step.total_bytes = download.get("currentBytes"), download.get("totalBytes")
        if state is StepState.RUN:
            step.percent = entry.get("pullPercent")
    return step


def _note(key: StepKey, note: str) -> str:
    """Codes as words; of a backup its name, since where Dockrev keeps it says nothing to people."""
    if key is StepKey.BACKUP and note.startswith("/"):
        return told(f"kept as {note.rpartition('/')[2]}")
    return told(NOTES.get(note, note))


def _leave_queue(steps: Sequence[Step]) -> None:
    """A stack is backed up before its services are taken one by one: whoever is at a later step waits no more."""
    later = [step.started_at for step in steps if step.key is not StepKey.QUEUED and step.started_at]
    for step in steps:
        if later and step.key is StepKey.QUEUED and step.state is StepState.RUN:
            step.state, step.finished_at = StepState.DONE, min(later)


def _with_steps_to_come(steps: list[Step], state: TrackState) -> list[Step]:
    """All places of the timeline, so that it does not grow while it runs."""
    if state is TrackState.PLANNED:  # nothing was done, nothing will be
        return []
    if state is TrackState.SKIPPED:
        return steps
    have = {step.key: step for step in steps}
    line = [have.get(key) or Step(key=key, state=StepState.AHEAD) for key in UPDATE_STEPS]
    ends = [step for step in steps if step.key not in UPDATE_STEPS]
    if not ends:
        unchanged = state is TrackState.FAILED
        ends = [Step(key=StepKey.UNCHANGED if unchanged else StepKey.SETTLED, state=StepState.AHEAD)]
    return line + ends


def _track_state(job: JobRecord, steps: Sequence[Step]) -> TrackState:
    by_key = {step.key: step.state for step in steps}
    if by_key.get(StepKey.ROLLED_BACK) in (StepState.BACK, StepState.DONE):
        return TrackState.ROLLED_BACK
    if _is_dry_run(job) and job.status is JobStatus.SUCCESS and by_key.get(StepKey.QUEUED) is not StepState.SKIP:
        return TrackState.PLANNED
    if by_key.get(StepKey.SETTLED) is StepState.DONE:
        return TrackState.SETTLED
    if any(step.state is StepState.BAD for step in steps):
        return TrackState.RUNNING if not job.status.final else TrackState.FAILED
    if job.status is JobStatus.CANCELLED or StepState.SKIP in (
        by_key.get(StepKey.QUEUED),
        by_key.get(StepKey.UNCHANGED),
    ):
        return TrackState.SKIPPED
    started = any(key is not StepKey.QUEUED for key in by_key)
    if job.status.final:
        return TrackState.FAILED if started and job.status is not JobStatus.SUCCESS else TrackState.SKIPPED
    return TrackState.RUNNING if started else TrackState.QUEUED


def _layer(raw: Any) -> Layer | None:
    if not isinstance(raw, Mapping):
        return None
    try:
        state = LayerState(raw.get("state", "waiting"))
    except ValueError:
        state = LayerState.WAITING
    return Layer(
        id=str(raw.get("id", ""))[:20],
        state=state,
        current_bytes=raw.get("currentBytes"),
        total_bytes=raw.get("totalBytes"),
    )


def _evidence(raw: Any) -> RollbackEvidence | None:
    if not isinstance(raw, Mapping):
        return None
    evidence = RollbackEvidence.model_validate({"trigger": "unknown", **raw})
    evidence.trigger = told(evidence.trigger)
    return evidence


def _progress(raw: Any) -> JobProgress | None:
    if not isinstance(raw, Mapping):
        return None
    known = {key: value for key, value in raw.items() if key != "download"}
    progress = JobProgress.model_validate({"phase": "", "message": "", **known})
    progress.message = told(progress.message)
    if isinstance(raw.get("download"), Mapping):
        progress.download = Download.model_validate(raw["download"])
    return progress


def _new_version(item: Mapping[str, Any]) -> NewVersion:
    return NewVersion(
        stack_id=item["stackId"],
        service_id=item["serviceId"],
        service_name=item["serviceName"],
        image_ref=item.get("imageRef", ""),
        current_tag=item.get("currentTag", ""),
        current_digest=item.get("currentDigest"),
        current_version=item.get("currentDisplayTag"),
        candidate_version=item.get("candidateDisplayTag"),
        candidate_digest=item.get("candidateDigest", ""),
    )


def _warnings(summary: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for stack in summary.get("stacks", []):
        update = (stack.get("update") or {}) if isinstance(stack, Mapping) else {}
        for item in update.get("pullTagWarnings", []):
            why = item.get("error") or item.get("lastError")
            found.append(told(f"{item.get('tagRef', 'a tag')} was not pulled: {why}"))
        for item in update.get("skippedVersionAnomaly", []):
            older = f"{item.get('candidate')} is older than {item.get('current')}"
            found.append(told(f"{item.get('serviceName')} was left out: {older}"))
        found.extend(told(str(text)) for text in update.get("warnings", []))
    return found[:50]


def _services_total(job: JobRecord, tracks: Sequence[ServiceTrack]) -> int | None:
    if tracks:
        return len(tracks)
    total = job.summary.get("servicesChecked")
    return total if isinstance(total, int) else None


def _target_name(job: JobRecord, names: Names) -> str | None:
    if isinstance(about := job.payload.get("about"), str):  # no service: its room says what it is about
        return about
    if job.service_id and job.service_id in names.services:
        return names.services[job.service_id][2]
    if job.stack_id:
        return names.stacks.get(job.stack_id)
    return None


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
