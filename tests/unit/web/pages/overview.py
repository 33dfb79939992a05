"""The overview and the page of version inference."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.features.overview import schemas as o
from app.features.versions import page_schemas as v
from tests.unit.web.pages.base import NOW, ago, digest, uid
from tests.unit.web.pages.catalog import counts, groups
from tests.unit.web.pages.jobs import history, running_job


def issues() -> list[o.Issue]:
    return [
        o.Issue(
            key="rolled-back",
            severity="back",
            title="worker went back to 2.1.1.",
            detail="2.1.4 failed its health check for 60 s.",
            remedy="The container logged: cannot reach cache:6379. Try again, or ignore this version.",
            actions=[
                o.Action(label="See evidence", href="/queue/" + uid("job", 41)),
                o.Action(
                    label="Ignore 2.1.4",
                    href="/services/a/b/ignores",
                    method="post",
                    fields={"kind": "exact"},
                ),
            ],
        ),
        o.Issue(
            key="backup",
            severity="blocked",
            title="Backups cannot be written.",
            detail="/data/backups is read-only.",
            remedy="Make it writable for Dockrev:",
            command="chown 1000:1000 /data/backups",
            actions=[o.Action(label="Check again", href="/checks", method="post", fields={"scope": "all"})],
        ),
        o.Issue(
            key="limit",
            severity="warn",
            title="docker.io limits requests.",
            detail="4 services keep their last result.",
            remedy="Wait, or give Dockrev a config.json with a read-only token.",
        ),
    ]


def overview(number: int = 9, **changes: Any) -> o.OverviewPage:
    found = groups(number, 3)
    values: dict[str, Any] = {
        "service_total": 38,
        "stack_total": 13,
        "counts": counts("open"),
        "actionable": 3,
        "checked_at": ago(minutes=7),
        "next_check_at": NOW + timedelta(hours=3, minutes=21),
        "running": [running_job()],
        "issues": issues(),
        "groups": found,
        "rows_total": number,
        "readings": o.Readings(
            engine=o.EngineReading(connected=True, version="27.3.1", api_version="1.47", latency_ms=12),
            discovery=o.DiscoveryReading(projects=13, active=12, problems=1, last_at=ago(seconds=40)),
            registries=[
                o.RegistryReading(
                    host="docker.io",
                    state="limited",
                    remaining=0,
                    limit=100,
                    quota_at=ago(minutes=37),
                    resets_at=NOW + timedelta(minutes=23),
                ),
                o.RegistryReading(host="ghcr.io", state="reachable", authenticated=True, latency_ms=184),
            ],
            inference=o.InferenceReading(known=36, total=38, pending=1),
            backups=o.BackupReading(last_at=ago(minutes=1), total_bytes=18_400_000_000),
            taken_at=NOW,
        ),
        "recent": history(),
        "self_upgrade_url": "/supervisor/",
    }
    return o.OverviewPage(**(values | changes))


def overview_empty(connected: bool = True) -> o.OverviewPage:
    return overview(
        0,
        service_total=0,
        stack_total=0,
        counts=[],
        actionable=0,
        checked_at=None,
        next_check_at=None,
        running=[],
        issues=[],
        recent=[],
        self_upgrade_url=None,
        readings=o.Readings(
            engine=o.EngineReading(connected=connected, error=None if connected else "permission denied"),
            taken_at=NOW,
        ),
    )


def inference_page(**changes: Any) -> v.InferencePage:
    def row(number: int, status: str, **more: Any) -> v.InferenceRow:
        uses = [
            v.InferenceUse(
                service_id=uid("svc", number),
                service_name=f"web-{number}",
                stack_id=uid("stk", 1),
                stack_name="stack-1",
                tag="latest",
                digest=digest(number),
                version=None if number == 2 else f"1.{number}.2",
                versions=[] if number == 2 else [f"1.{number}.2", f"1.{number}"],
            )
        ]
        values: dict[str, Any] = {"uses": uses, "checked_at": ago(hours=number), "service_count": 1}
        return v.InferenceRow(
            key=f"ghcr.io/acme/harbour-{number}@linux/amd64",
            image_repo=f"ghcr.io/acme/harbour-{number}",
            host_platform="linux/amd64",
            status=status,
            **(values | more),
        )

    progress = v.InferenceProgress(
        phase="scanning",
        assigned_current=30,
        assigned_total=40,
        result_current=24,
        result_total=40,
        percent=60,
    )
    values: dict[str, Any] = {
        "known": 36,
        "services_total": 38,
        "floating_total": 24,
        "worker": v.InferenceWorker(queued=2, running=1),
        "gc": v.InferenceGc(last_run_at=ago(hours=5), last_deleted=3),
        "counts": [
            v.InferenceCount(key=key, count=n)
            for n, key in enumerate(["all", "ready", "running", "queued", "stale", "all_failed"])
        ],
        "rows": [
            row(1, "ready"),
            row(2, "ready", tags_total=112),
            row(3, "running", progress=progress),
            row(4, "queued", reason="cache_miss"),
            row(5, "stale", reason="cache_stale"),
            row(6, "all_failed", reason="all_failed", uses=[]),
        ],
        "total": 6,
    }
    return v.InferencePage(**(values | changes))
