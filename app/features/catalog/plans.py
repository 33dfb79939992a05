"""From the plan of an update to what the dialog shows of it."""

from __future__ import annotations

from app.core.web.languages import _
from app.features.catalog.plan_schemas import LeftOut, PlanBackup, PlanTarget, UpdatePlan
from app.features.catalog.rows import known_version
from app.features.updates import PlannedService
from app.features.updates import UpdatePlan as Plan
from app.features.versions import rules


def plan_page(plan: Plan) -> UpdatePlan:
    """The same plan in the words of the page; nothing is added."""
    return UpdatePlan(
        scope=plan.scope,
        stack_id=plan.stack_id,
        service_id=plan.service_id,
        scope_name=plan.scope_name,
        targets=[_target(one) for one in plan.targets],
        left_out=[
            LeftOut(reason=group.reason, count=len(group.names), names=list(group.names)) for group in plan.left_out
        ],
        arch_mismatches=plan.arch_mismatches,
        allow_arch_mismatch=plan.allow_arch_mismatch,
        backup_enabled=plan.backup.enabled,
        backup_required=plan.backup.require_success,
        checked_at=plan.checked_at,
        busy_job_id=plan.busy_job_id,
    )


def _caution(one: PlannedService) -> str:
    """Why somebody may not want this service in an update of many; nothing for an ordinary step ahead."""
    if one.running is False:
        return _("Does not run, so it is left as it is")
    version = known_version(one.to_version)
    if version is None:
        return _("Its version is not known")
    if rules.is_cross_tag(one.target_tag, version):
        return _("The tag %(tag)s moved to another series", tag=one.target_tag)
    return _("Older than what runs") if rules.is_downgrade(one.from_version or "", version) else ""


def _target(one: PlannedService) -> PlanTarget:
    return PlanTarget(
        service_id=one.service_id,
        service_name=one.service_name,
        stack_id=one.stack_id,
        stack_name=one.stack_name,
        target_tag=one.target_tag,
        target_digest=one.target_digest,
        pull_tags=list(one.pull_tags),
        from_version=known_version(one.from_version),
        to_version=known_version(one.to_version),
        caution=_caution(one),
        from_digest=one.from_digest,
        arch_match=one.arch_match,
        arch=list(one.arch),
        backups=[
            PlanBackup(
                kind=backup.kind,
                name=backup.name,
                size_bytes=backup.size_bytes,
                included=backup.included,
                reason=backup.reason,
            )
            for backup in one.backups
        ],
        pull_bytes=one.pull_bytes,
        offline_s=one.away.seconds if one.away else None,
        offline_updates=one.away.updates if one.away else 0,
        health_s=one.health_s,
        has_health_check=one.has_health_check,
        auto_rollback=one.auto_rollback,
        stays_up=list(one.stays_up),
        recreated_with=list(one.recreated_with),
        restarted_after=list(one.restarted_after),
    )
