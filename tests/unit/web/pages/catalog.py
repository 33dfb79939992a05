"""Services and stacks as a page would get them."""

from __future__ import annotations

from typing import Any

from app.features.catalog import plan_schemas as p
from app.features.catalog import schemas as c
from tests.unit.web.pages.base import ago, digest, uid
from tests.unit.web.pages.jobs import history


def point(slot: str, kind: str, version: str | None, note: str = "", **more: Any) -> c.RailPoint:
    return c.RailPoint(slot=c.Slot(slot), kind=c.PointKind(kind), version=version, note=note, **more)


_KINDS = [
    ("updatable", "patch", "next", "patch", "Digest changed"),
    ("updatable", "minor", "next", "minor", "1 minor ahead"),
    ("blocked", "patch", "blocked", "patch", "Held by a rule: is exactly 2"),
    ("arch_mismatch", "minor", "arch", "minor", "This host is linux/amd64"),
    ("cross_tag", "major", "hint", "minor", "Candidate is in series 3"),
    ("hint", "patch", "next", "all", "Versions cannot be compared"),
    ("ok", "", "", "minor", ""),
    ("unknown", "", "", "none", "No check yet"),
    ("updating", "patch", "next", "patch", ""),
]


def service(number: int, stack: int = 1, **changes: Any) -> c.ServiceRow:
    state, slot, kind, reach, reason = _KINDS[number % len(_KINDS)]
    points = [point("now", "now", f"2.{number}.1", "2" if reach != "none" else "pinned", inferred=reach != "none")]
    if slot:
        points.append(point(slot, kind, f"2.{number}.4", "2 days old"))
    values: dict[str, Any] = {
        "id": uid("svc", number),
        "stack_id": uid("stk", stack),
        "name": ["web", "worker", "database", "cache", "search-index"][number % 5]
        + (f"-{number}" if number > 4 else ""),
        "stack_name": f"stack-{stack}",
        "image_ref": f"ghcr.io/acme/harbour-{number}:2",
        "image_tag": "2",
        "state": state,
        "reason": reason,
        "rail": c.Rail(reach=c.Reach(reach), points=points),
        "current_digest": digest(number),
        "current_version": f"2.{number}.1",
        "candidate_digest": digest(number + 100) if slot else None,
        "candidate_version": f"2.{number}.4" if slot else None,
        "checked_at": ago(minutes=7),
        "job_id": uid("job", 42) if state == "updating" else None,
        "job_phase": "Pulling" if state == "updating" else None,
        "job_percent": 62.4 if state == "updating" else None,
    }
    return c.ServiceRow(**(values | changes))


def group(number: int, services: list[c.ServiceRow], **changes: Any) -> c.StackGroup:
    counts: dict[str, int] = {}
    for row in services:
        counts[row.state] = counts.get(row.state, 0) + 1
    values: dict[str, Any] = {
        "id": uid("stk", number),
        "name": f"stack-{number}",
        "config_files": [f"/srv/stacks/stack-{number}/compose.yml"],
        "service_total": len(services),
        "counts": [c.StateCount(key=key, count=count) for key, count in counts.items()],
        "services": services,
        "last_check_at": ago(minutes=7),
    }
    return c.StackGroup(**(values | changes))


def groups(services: int, per_stack: int = 4) -> list[c.StackGroup]:
    rows = [service(n, n // per_stack + 1) for n in range(services)]
    return [group(n // per_stack + 1, rows[n : n + per_stack]) for n in range(0, services, per_stack)]


def counts(first: str) -> list[c.StateCount]:
    return [c.StateCount(key=first, count=9)] + [
        c.StateCount(key=state, count=n) for n, state in enumerate(c.ServiceState)
    ]


def service_list(number: int = 12, **changes: Any) -> c.ServiceListPage:
    found = groups(number)
    if found:
        found[-1].open = False
        found[-1].services = []
        found[-1].problem = "Compose file missing"
    values: dict[str, Any] = {
        "service_total": number,
        "stack_total": len(found),
        "archived_total": 2,
        "discovered_at": ago(seconds=12),
        "counts": counts("all"),
        "groups": found,
        "problems": [
            c.DiscoveryProblem(
                project="games",
                status="missing",
                message="No container of it runs any more.",
                remedy="Start it again, or archive it.",
                config_files=["/srv/stacks/games/compose.yml"],
                last_seen_at=ago(days=3),
            )
        ]
        if number
        else [],
    }
    return c.ServiceListPage(**(values | changes))


def plan(targets: int = 1, **changes: Any) -> p.UpdatePlan:
    values: dict[str, Any] = {
        "scope": "service" if targets == 1 else "all",
        "service_id": uid("svc", 1) if targets == 1 else None,
        "scope_name": "worker",
        "targets": [
            p.PlanTarget(
                service_id=uid("svc", n),
                service_name=f"worker-{n}",
                stack_id=uid("stk", 1),
                stack_name="stack-1",
                target_tag="2",
                target_digest=digest(200 + n),
                pull_tags=["2.1.4"],
                from_version="2.1.1",
                to_version="2.1.4",
                from_digest=digest(n),
                arch_match="match",
                backups=[
                    p.PlanBackup(kind="volume", name="worker-data", size_bytes=84_000_000),
                    p.PlanBackup(kind="bind", name="/srv/cache", included=False, reason="skipped by you"),
                ],
                pull_bytes=71_000_000,
                offline_s=12,
                offline_updates=3,
                health_s=60,
                has_health_check=n % 2 == 0,
                stays_up=["database"],
                recreated_with=["sidecar"],
            )
            for n in range(targets)
        ],
        "left_out": [
            p.LeftOut(reason="blocked", count=2, names=["cache", "web"]),
            p.LeftOut(reason="arch_mismatch", count=1),
        ],
        "arch_mismatches": 1,
        "expected_s": 240,
        "checked_at": ago(minutes=7),
    }
    return p.UpdatePlan(**(values | changes))


def service_page(**changes: Any) -> c.ServicePage:
    row = service(0)
    values: dict[str, Any] = {
        "service": row,
        "container": c.ContainerInfo(id="8f21c0aa", status="running", health="healthy", started_at=ago(days=23)),
        "rail": c.FullRail(
            points=[
                point("now", "was", "2.0.0", "rollback point"),
                point("now", "now", "2.0.1", "running", inferred=True, in_reach=True, at=ago(days=23)),
                point("patch", "ignored", "2.0.2", "ignored", in_reach=True),
                point("patch", "next", "2.0.4", at=ago(days=2), tags=["2", "2.0"]),
            ],
            reaches=[c.ReachBracket(tag="2", length=2, followed=True)],
        ),
        "evidence": c.CandidateEvidence(
            digest=digest(100),
            current_digest=digest(0),
            arch_match="match",
            platforms=["linux/amd64", "linux/arm64"],
            host_platform="linux/amd64",
            seen_at=ago(days=2),
            checked_at=ago(minutes=7),
            tags=["2", "2.0.4"],
            total_bytes=58_000_000,
        ),
        "plan": plan(),
        "digest_tags": [
            c.DigestTags(digest=digest(100), role="candidate", tags=["2.0.4", "2.0", "2"]),
            c.DigestTags(digest=digest(0), role="current", tags=["2.0.1"]),
        ],
        "versions": [
            c.VersionRow(
                version="2.0.1", inferred=True, state="current", distance="now", digest=digest(0), tags=["2.0.1"]
            ),
            c.VersionRow(
                version="2.0.4",
                state="candidate",
                distance="patch",
                digest=digest(100),
                tags=["2.0.4", "2"],
                follow="2",
                platforms=["linux/amd64", "linux/arm64"],
                published_at=ago(days=2),
                in_reach=True,
            ),
            c.VersionRow(version="2.1.0", state="ignored", distance="minor", tags=["2.1.0"], follow="2.1.0"),
            c.VersionRow(
                version="3.0.0", state="other_series", distance="major", tags=["3.0.0", "3"], follow="3", more=2
            ),
            c.VersionRow(version="3.1.0", state="held", distance="major", digest=digest(7), tags=["3.1.0"]),
            c.VersionRow(
                version="4.0.0", state="arch_mismatch", distance="major", tags=["4.0.0"], platforms=["linux/arm64"]
            ),
        ],
        "versions_checked_at": ago(minutes=9),
        "versions_refreshing": True,
        "inference": c.InferenceInfo(version="2.0.1", versions=["2.0.1"], checked_at=ago(hours=2), tags_total=214),
        "ignores": [
            c.IgnoreRow(id=uid("ign", 1), kind="exact", value="2.0.2", note="uploads fail"),
            c.IgnoreRow(id=uid("ign", 2), kind="regex", value=".*-rc.*", hides=True),
        ],
        "settings": c.ServiceSettings(
            backup_targets=[
                c.BackupTarget(
                    kind="volume", name="worker-data", choice=p.BackupChoice.FORCE, size_bytes=2_100_000_000
                ),
                c.BackupTarget(
                    kind="bind",
                    name="/srv/stacks/stack-1/cache",
                    choice=p.BackupChoice.SKIP,
                    size_bytes=780_000_000,
                ),
            ]
        ),
        "history": history()[:2],
        "homepage_url": "https://worker.example.org/",
    }
    return c.ServicePage(**(values | changes))


def service_page_bare() -> c.ServicePage:
    row = service(7, candidate_digest=None, current_digest=None, current_version=None)
    return c.ServicePage(
        service=row,
        rail=c.FullRail(points=[point("now", "unknown", None)]),
        inference=c.InferenceInfo(status="unknown", reason="all_failed"),
    )


def stack_page(**changes: Any) -> c.StackPage:
    values: dict[str, Any] = {
        "stack": group(1, [service(n) for n in range(5)]),
        "actionable": 2,
        "running": 4,
        "files": [
            c.ComposeFile(path="/srv/stacks/stack-1/compose.yml", role="base", changed_at=ago(days=3)),
            c.ComposeFile(
                path="/srv/stacks/stack-1/.env",
                role="environment",
                readable=False,
                problem="permission denied",
            ),
        ],
        "found_by": "label com.docker.compose.project=stack-1, 5 of 5 containers agree",
        "last_seen_at": ago(seconds=20),
        "backups": [
            c.BackupRow(
                id=uid("bkp", 1),
                status="success",
                created_at=ago(hours=3),
                job_id=uid("job", 41),
                targets=["worker-data"],
                skipped=["/srv/cache"],
                size_bytes=1_040_000_000,
                restore_command="dockrev restore " + uid("bkp", 1),
            ),
            c.BackupRow(id=uid("bkp", 2), status="failed", created_at=ago(days=1), error="no space left"),
        ],
        "history": history()[:3],
    }
    return c.StackPage(**(values | changes))
