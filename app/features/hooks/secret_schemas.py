"""What is told of webhooks' secrets, over the API and on their page; a secret itself only where it is made."""

from __future__ import annotations

from datetime import datetime

from app.core.web.schema import ApiInput, ApiModel, Maybe, Whole
from app.features.hooks.page_schemas import Problem
from app.features.hooks.rules.secrets import MASK
from app.features.hooks.secrets import OVERLAP_HOURS, SecretState, Which
from app.features.preferences import SectionLink


class WebhookSecretOut(ApiModel):
    """A secret: masked, and left out when there is none. `usedAt` and `previousUsedAt` are known from `rotatedAt` on;
    while `previousCounts`, the old one is taken too, until `previousUntil`."""

    which: Which
    secret_masked: Maybe[str] = None
    from_environment: bool
    rotated_at: Maybe[datetime] = None
    used_at: Maybe[datetime] = None
    previous_counts: bool
    previous_until: Maybe[datetime] = None
    previous_used_at: Maybe[datetime] = None

    @classmethod
    def of(cls, state: SecretState) -> WebhookSecretOut:
        """From the state."""
        return cls(
            which=state.which,
            secret_masked=MASK if state.configured else None,
            from_environment=state.from_environment,
            rotated_at=state.rotated_at,
            used_at=state.used_at,
            previous_counts=state.previous_counts,
            previous_until=state.previous_until,
            previous_used_at=state.previous_used_at,
        )


class WebhookSecretsOut(ApiModel):
    """`GET /api/webhook-secrets`."""

    secrets: list[WebhookSecretOut]


class RotateInput(ApiInput):
    """How many hours the old secret counts beside the new one: 0 to 168."""

    overlap_hours: Whole = OVERLAP_HOURS


class RotatedOut(ApiModel):
    """The only answer with `value`, the new secret. `jobId` brings it to the webhooks on GitHub; with `reused` that job
    was under way before, and may have used the old one."""

    ok: bool = True
    secret: WebhookSecretOut
    value: str
    job_id: Maybe[str] = None
    reused: Maybe[bool] = None


class WebhookSecretsPage(ApiModel):
    """`/settings/webhook-secrets`."""

    secrets: list[WebhookSecretOut]
    sections: list[SectionLink]
    problem: Maybe[Problem] = None


class SecretMadePage(ApiModel):
    """The answer to the form: the only page that shows a secret."""

    made: RotatedOut
    sections: list[SectionLink]
