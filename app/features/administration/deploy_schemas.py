"""The deploy check as it is told (spec §5.7)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.core.web.schema import ApiModel, Maybe
from app.features.administration.settings_schemas import IgnoredSender
from app.features.preferences import SectionLink

NaReason = Literal["disabled_by_switch", "missing_prerequisite", "not_applicable"]


class CheckOut(ApiModel):
    """One check: what it found, what that means, and what to do. `recommendation` is empty when it passed."""

    id: str
    title: str
    group: Literal["core", "feature"]
    required: bool
    status: Literal["pass", "fail", "na"]
    na_reason: Maybe[NaReason] = None
    summary: str
    impact: str
    evidence: str
    recommendation: str


class OverallOut(ApiModel):
    """`fail` when a required check failed; those are the blocking ones."""

    result: Literal["pass", "fail"]
    blocking_check_ids: list[str]
    summary: str


class ReportOut(ApiModel):
    """`GET /api/deploy-check/report`: always the same checks in the same order."""

    overall: OverallOut
    generated_at: datetime
    checks: list[CheckOut]


class PassesOut(ApiModel):
    """Whether Dockrev and its supervisor share what opens the supervisor with a passkey."""

    status: Literal["ok", "warn", "fail"]
    summary: str
    recommendation: str = ""


class DeployPage(ApiModel):
    """The page `/deploy-check`."""

    report: ReportOut
    never_auto_open: bool
    passes: Maybe[PassesOut] = None
    ignored: Maybe[IgnoredSender] = None
    sections: list[SectionLink] = []

    def of(self, status: str) -> list[CheckOut]:
        """The checks that ended so."""
        return [check for check in self.report.checks if check.status == status]
