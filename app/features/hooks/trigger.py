"""`POST /api/webhooks/trigger`: a check or an update for whoever knows the shared secret (spec §3.4, §5.7)."""

from __future__ import annotations

from app.core.errors import InvalidArgument
from app.core.ids import new_id
from app.features.hooks.rules.delivery import Signed
from app.features.hooks.schemas import TriggerAction, TriggerInput
from app.features.hooks.secrets import WebhookSecrets, Which
from app.features.updates import Mode, Reason, Scope, UpdateInput, Updates
from app.features.versions import Checks

WEBHOOK = "webhook"


class Trigger:
    """Starts what a webhook asks for."""

    def __init__(self, checks: Checks, updates: Updates, secrets: WebhookSecrets) -> None:
        self._checks = checks
        self._updates = updates
        self._secrets = secrets

    async def require(self, given: str | None) -> Signed:
        """Which secret that is. Raises Unauthorized unless it is right."""
        signed = await self._secrets.require_trigger(given)
        await self._secrets.used(Which.TRIGGER, signed)
        return signed

    async def start(self, wanted: TriggerInput) -> str:
        """The id of the job. Raises what a check or an update of the API raises."""
        if wanted.action is TriggerAction.CHECK:
            return await self._checks.start(
                wanted.scope.value,
                stack_id=wanted.stack_id,
                service_id=wanted.service_id,
                created_by=WEBHOOK,
                reason=WEBHOOK,
                job_id=new_id("job"),
                alone=False,
            )
        return await self._updates.start(update_of(wanted), WEBHOOK, WEBHOOK)


def update_of(wanted: TriggerInput) -> UpdateInput:
    """The update of a webhook in the form of `POST /api/updates`, which takes one service's target apart."""
    if not wanted.targets:
        raise InvalidArgument("targets is required for webhook update", details={"field": "targets"})
    common = UpdateInput(
        scope=wanted.scope,
        stack_id=wanted.stack_id,
        service_id=wanted.service_id,
        mode=Mode.APPLY,
        allow_arch_mismatch=wanted.allow_arch_mismatch,
        backup_mode=wanted.backup_mode,
        reason=Reason.WEBHOOK,
    )
    if wanted.scope is not Scope.SERVICE:
        return common.model_copy(update={"targets": wanted.targets})
    service_id = (wanted.service_id or "").strip()
    if not service_id:
        raise InvalidArgument("serviceId is required for scope=service", details={"field": "serviceId"})
    only = wanted.targets[0]
    if len(wanted.targets) != 1 or only.service_id.strip() != service_id:
        raise InvalidArgument(
            "targets must contain exactly one entry for serviceId",
            hint="Leave out the others, or use scope=stack.",
            details={"field": "targets", "serviceId": service_id},
        )
    return common.model_copy(
        update={
            "service_id": service_id,
            "target_tag": only.target_tag,
            "target_digest": only.target_digest,
            "pull_tags": only.pull_tags,
        }
    )
