"""Stacks and services over the API (spec §5.2)."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery

from app.core.web.openapi import ErrorOut
from app.features.catalog.api_schemas import (
    BackupTargetsOut,
    CandidateOut,
    ComposeOut,
    IgnoreOut,
    ImageOut,
    InferenceOut,
    ServiceOut,
    SettingsOut,
    StackDetail,
    StackDetailOut,
    StackListOut,
    StackSummary,
)
from app.features.stacks import ServiceRecord, Stacks, parse_archived
from app.features.versions import Inference, VersionInference, VersionRecord, Versions


def service_out(service: ServiceRecord, record: VersionRecord | None, inference: VersionInference | None) -> ServiceOut:
    """The service with its evidence; without a record nothing is claimed."""
    candidate = ignore = None
    image = ImageOut(ref=service.image_ref, tag=service.image_tag)
    if record is not None:
        image.digest = record.current_digest
        image.resolved_tag = record.current_resolved_tag
        image.resolved_tags = list(record.current_resolved_tags) if len(record.current_resolved_tags) > 1 else None
        if record.candidate_tag is not None and record.candidate_digest is not None:
            candidate = CandidateOut(
                tag=record.candidate_tag,
                resolved_tag=record.candidate_resolved_tag,
                digest=record.candidate_digest,
                arch_match=record.candidate_arch_match or "unknown",
                arch=list(record.candidate_arch),
            )
            if record.ignore_rule_id:
                ignore = IgnoreOut(rule_id=record.ignore_rule_id, reason=record.ignore_reason or "")
    pending = None
    if inference is not None and inference.status == "pending":
        pending = InferenceOut(status="pending", reason=inference.reason, checked_at=inference.checked_at)
    return ServiceOut(
        id=service.id,
        name=service.name,
        image=image,
        candidate=candidate,
        ignore=ignore,
        version_inference=pending,
        settings=SettingsOut(
            auto_rollback=service.auto_rollback,
            backup_targets=BackupTargetsOut(
                bind_paths=dict(service.bind_paths), volume_names=dict(service.volume_names)
            ),
            repo_url=service.repo_url,
        ),
        archived=service.archived,
    )


def counts_as_update(service: ServiceRecord, record: VersionRecord | None) -> bool:
    """Whether the stack list counts it under `updates`: a candidate for this host that no rule hides."""
    return (
        record is not None
        and not service.archived
        and record.has_candidate
        and record.ignore_rule_id is None
        and record.candidate_arch_match == "match"
    )


@get(
    "/api/stacks",
    operation_id="listStacks",
    summary="Stacks, newest first",
    tags=["stacks"],
    responses={400: ResponseSpec(ErrorOut, description="invalid archived filter")},
)
async def stack_list(
    stacks: NamedDependency[Stacks], versions: NamedDependency[Versions], archived: FromQuery[str | None] = None
) -> StackListOut:
    """All stacks with their number of services and updates; `archived` is exclude, include or only."""
    found = await stacks.stacks(parse_archived(archived))
    records, checks = await versions.records(), await versions.last_checks()
    return StackListOut(
        stacks=[
            StackSummary(
                id=stack.id,
                name=stack.name,
                services=len(stack.services),
                updates=sum(counts_as_update(service, records.get(service.id)) for service in stack.services),
                last_check_at=checks.get(stack.id, stack.created_at),
                archived=stack.archived,
                archived_services=sum(service.archived for service in stack.services),
            )
            for stack in found
        ]
    )


@get(
    "/api/stacks/{stack_id:str}",
    operation_id="getStack",
    summary="One stack with its services",
    tags=["stacks"],
    responses={404: ResponseSpec(ErrorOut, description="stack not found")},
)
async def stack_detail(
    stacks: NamedDependency[Stacks],
    versions: NamedDependency[Versions],
    inference: NamedDependency[Inference],
    stack_id: FromPath[str],
) -> StackDetailOut:
    """The stack; versions that are not known yet are looked up in the background because of this read."""
    stack = await stacks.stack(stack_id)
    records = await versions.records([service.id for service in stack.services])
    states = await versions.inference_state(records.values())
    inference.note_read(records.values())
    return StackDetailOut(
        stack=StackDetail(
            id=stack.id,
            name=stack.name,
            archived=stack.archived,
            compose=ComposeOut(compose_files=list(stack.compose_files), env_file=stack.env_file),
            services=[
                service_out(service, records.get(service.id), states.get(service.id)) for service in stack.services
            ],
        )
    )


HANDLERS = (stack_list, stack_detail)
