"""Models of the settings page and of the deploy check: usual, refused, hostile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.features.administration.deploy_rules import CHECKS, Outcome, overall, told
from app.features.administration.deploy_schemas import DeployPage, ReportOut
from app.features.administration.settings_schemas import (
    BackupCard,
    FieldProblem,
    MonitorCard,
    ScheduleCard,
    SettingsPage,
)
from app.features.preferences import AuthOut, Sections
from tests.unit.web.pages.base import EVIL, NOW


def _sections() -> Sections:
    sections = Sections()
    sections.add("access", "backups", "monitoring", "schedules", "instance", "notifications", "deploy-check")
    return sections


def settings_page(**changes: Any) -> SettingsPage:
    """Somebody allowed, one schedule on."""
    values: dict[str, Any] = {
        "auth": AuthOut(
            forward_header_name="Remote-User",
            group_header_name="Remote-Groups",
            allow_anonymous_in_dev=False,
            allowed_user_masked="ro***in",
            current_user="robin",
            current_groups=["ad***ns"],
            matched_by="user",
        ),
        "allowed": True,
        "open_to": "nobody",
        "backup": BackupCard(
            enabled=True,
            require_success=True,
            base_dir="/data/backups",
            skip_targets_over_bytes=104_857_600,
            folder="ok",
            folder_text="is writable",
            free_bytes=21_600_000_000,
        ),
        "monitor": MonitorCard(enabled=True, sample_interval_seconds=30, intervals=[10, 30, 60, 300], retention_days=7),
        "schedules": [
            ScheduleCard(
                name="updateCheck",
                enabled=True,
                cron="0 3 * * *",
                explanation="At 03:00 every day",
                next_run_at=NOW + timedelta(hours=12),
            ),
            ScheduleCard(name="ghcrWebhookAudit", enabled=True, cron="0 4 * * *", explanation="At 04:00", works=False),
        ],
        "zone": "CET",
        "public_base_url": "https://dockrev.example/",
        "version": "0.1.0",
        "self_upgrade_url": "/supervisor/",
        "sections": _sections().links(),
    }
    return SettingsPage(**(values | changes))


def settings_refused() -> SettingsPage:
    """A card that came back."""
    return settings_page(
        problem=FieldProblem(
            field="schedules.updateCheck.cron", message="it has 6 fields", hint="Five fields.", card="schedules"
        ),
        entered={"schedules.updateCheck.cron": "0 0 3 * * *", "schedules.updateCheck.enabled": "true"},
    )


def settings_hostile() -> SettingsPage:
    """Everything that comes from outside is an attack."""
    evil = AuthOut(
        forward_header_name=EVIL,
        group_header_name=EVIL,
        allow_anonymous_in_dev=True,
        allowed_user_masked=EVIL,
        allowed_group_masked=EVIL,
        current_user=EVIL,
        current_groups=[EVIL] * 40,
        matched_by="group",
    )
    return settings_page(
        auth=evil,
        public_base_url=EVIL,
        zone=EVIL,
        version=EVIL,
        self_upgrade_url="javascript:alert(1)",
        problem=FieldProblem(field="backup.baseDir", message=EVIL, hint=EVIL),
        entered={
            "backup.baseDir": EVIL,
            "schedules.updateCheck.cron": EVIL,
            "resourceMonitor.sampleIntervalSeconds": EVIL,
        },
    )


def deploy_page(text: str = "") -> DeployPage:
    """Some of each kind."""
    outcomes = [
        Outcome("fail", text or "nobody is named", text or "allowed user none", text or "Name one."),
        Outcome("pass", text or "let in", text or "matchedBy user"),
        Outcome("na", text or "switched off", text, text, na_reason="disabled_by_switch"),
    ]
    checks = [told(check_id, outcomes[number % 3]) for number, check_id in enumerate(CHECKS)]
    report = ReportOut(overall=overall(checks), generated_at=NOW, checks=checks)
    return DeployPage(report=report, never_auto_open=False, sections=_sections().links())


def deploy_hostile() -> DeployPage:
    """What an engine or a file name may say."""
    return deploy_page(EVIL)
