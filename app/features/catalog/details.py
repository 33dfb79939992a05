"""Parts of the pages of one service and one stack."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.engine import Engine
from app.core.errors import AdapterError
from app.core.web.languages import told
from app.features.backups import BackupRecord, Target
from app.features.catalog.plan_schemas import BackupChoice
from app.features.catalog.schemas import (
    BackupRow,
    BackupTarget,
    CandidateEvidence,
    ComposeFile,
    ContainerInfo,
    DigestTags,
    IgnoreRow,
    InferenceInfo,
    ServiceSettings,
)
from app.features.stacks import Runtime, ServiceRecord, StackRecord
from app.features.versions import IgnoreRuleRecord, NewerVersions, Snapshot, VersionInference, VersionRecord, rules


async def container_info(engine: Engine, runtime: Runtime, service: ServiceRecord) -> ContainerInfo | None:
    """The service's newest container as the engine tells it now; None when there is none or the engine is away."""
    containers = runtime.service(service.project, service.name).containers
    if not containers or not runtime.engine.connected:
        return None
    try:
        detail = await engine.container(containers[0].id)
    except AdapterError:  # it went between the list and the look; the next event redraws the page
        return None
    return ContainerInfo(
        id=detail.id,
        status=detail.state,
        health=detail.health.status if detail.health else None,
        started_at=detail.started_at if detail.running else None,
        restarts=detail.restart_count,
        exit_code=None if detail.running else detail.exit_code,
    )


def evidence_of(
    record: VersionRecord | None, snapshots: Mapping[str, Snapshot], host_platform: str
) -> CandidateEvidence | None:
    """What is known of the candidate; None without one."""
    if record is None or not record.has_candidate or record.candidate_digest is None:
        return None
    snapshot = snapshots.get(record.candidate_digest)
    return CandidateEvidence(
        digest=record.candidate_digest,
        current_digest=record.current_digest,
        arch_match=record.candidate_arch_match or "unknown",
        platforms=list(record.candidate_arch),
        host_platform=host_platform,
        checked_at=record.checked_at,
        tags=list(snapshot.tags) if snapshot else [],
    )


def digest_tags(record: VersionRecord | None, snapshots: Mapping[str, Snapshot]) -> list[DigestTags]:
    """Running and candidate digest with the tags that share them, as last looked up."""
    if record is None:
        return []
    return [
        DigestTags(
            digest=digest,
            role="current" if digest == record.current_digest else "candidate",
            tags=list(snapshots[digest].tags),
        )
        for digest in record.digests
        if digest in snapshots
    ]


def inference_info(
    record: VersionRecord | None, state: VersionInference | None, snapshots: Mapping[str, Snapshot]
) -> InferenceInfo:
    """How the running version is known."""
    if record is None:
        return InferenceInfo(status="pending", reason="cache_miss")
    snapshot = snapshots.get(record.current_digest or "")
    return InferenceInfo(
        status=state.status if state else "ready",
        reason=state.reason if state else None,
        needed=rules.needs_inference(record.image_tag),
        version=record.current_resolved_tag,
        versions=list(record.current_resolved_tags),
        checked_at=snapshot.checked_at if snapshot else None,
        tags_total=snapshot.scan.repo_tags_total if snapshot else None,
    )


def ignore_row(rule: IgnoreRuleRecord, record: VersionRecord | None, newer: NewerVersions | None = None) -> IgnoreRow:
    """A rule, whether it is the one that holds the candidate, and which newer versions it leaves out."""
    return IgnoreRow(
        id=rule.id,
        kind=rule.kind,
        value=rule.value,
        note=rule.note,
        enabled=rule.enabled,
        matches=record is not None and rules.matches(rule.kind, rule.value, record.image_tag),
        hides=record is not None and record.has_candidate and record.ignore_rule_id == rule.id,
        leaves_out=[entry.tag for entry in newer.entries if entry.rule_id == rule.id] if newer else [],
        created_at=rule.created_at,
    )


def settings_of(
    service: ServiceRecord, targets: Sequence[Target], sizes: Mapping[tuple[str, str], int]
) -> ServiceSettings:
    """The settings with every target that exists or has a choice."""
    chosen = {("volume", name): choice for name, choice in service.volume_names.items()}
    chosen |= {("bind", path): choice for path, choice in service.bind_paths.items()}
    found = {("volume" if t.kind == "docker-volume" else "bind", t.name): sizes.get((t.kind, t.name)) for t in targets}
    return ServiceSettings(
        auto_rollback=service.auto_rollback,
        repo_url=service.repo_url,
        backup_targets=[
            BackupTarget(
                kind=key[0], name=key[1], choice=BackupChoice(chosen.get(key, "inherit")), size_bytes=found.get(key)
            )
            for key in sorted({*found, *chosen})
        ],
    )


def backup_row(backup: BackupRecord) -> BackupRow:
    """A backup and the command that brings it back."""
    kept: list[str] = []
    skipped: list[str] = []
    for entry in backup.targets:
        target = entry.get("target", {})
        name = str(target.get("name") or target.get("path") or "")
        (kept if entry.get("status") == "included" else skipped).append(name)
    return BackupRow(
        id=backup.id,
        status=backup.status.value,
        created_at=backup.created_at,
        job_id=backup.job_id,
        targets=kept,
        skipped=skipped,
        size_bytes=backup.size_bytes,
        error=told(backup.error) if backup.error else None,
        restore_command=f"dockrev backups restore {backup.id}" if backup.restorable else None,
    )


async def compose_files(stack: StackRecord) -> list[ComposeFile]:
    """The files of a stack and whether Dockrev can read them."""
    wanted = [(path, "base" if number == 0 else "override") for number, path in enumerate(stack.compose_files)]
    wanted += [(path, "environment") for path in stack.env_files]
    return await asyncio.to_thread(lambda: [_compose_file(path, role) for path, role in wanted])


def _compose_file(path: str, role: str) -> ComposeFile:
    try:
        with Path(path).open("rb"):
            changed = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
    except OSError as error:
        return ComposeFile(path=path, role=role, readable=False, problem=told(error.strerror or "cannot be read"))
    return ComposeFile(path=path, role=role, changed_at=changed)
