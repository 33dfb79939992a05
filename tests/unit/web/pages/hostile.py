"""Models full of text that nobody should trust."""

from __future__ import annotations

from typing import Any

from app.features.catalog import schemas as c
from app.features.jobs import schemas as j
from app.features.overview import schemas as o
from app.features.versions import page_schemas as v
from tests.unit.web.pages import base, catalog, jobs, overview
from tests.unit.web.pages.base import EVIL, NOW


def hostile_rows() -> list[c.ServiceRow]:
    rows = []
    for number in range(9):
        row = catalog.service(
            number,
            name=EVIL,
            stack_name=EVIL,
            image_ref=f"{EVIL}/{EVIL}:x",
            image_tag=EVIL,
            reason=EVIL,
            job_phase=EVIL,
            current_version=EVIL,
            candidate_version=EVIL,
            current_digest=EVIL,
            candidate_digest=EVIL,
        )
        for point in row.rail.points:
            point.version = point.note = EVIL
        rows.append(row)
    return rows


def hostile_group() -> c.StackGroup:
    return catalog.group(
        1, hostile_rows(), name=EVIL, config_files=[EVIL], problem=EVIL, remedy=EVIL, discovery="invalid", archived=True
    )


def offline_frame() -> dict[str, Any]:
    return {
        "frame": base.frame(
            engine_error="/var/run/docker.sock: permission denied",
            engine_hint="Mount the socket.",
            sandbox=True,
            open_to_anyone=True,
            pill=None,
        )
    }


def hostile_overview() -> dict[str, Any]:
    issue = o.Issue(
        key=EVIL,
        severity="bad",
        title=EVIL,
        detail=EVIL,
        remedy=EVIL,
        command=EVIL,
        actions=[
            o.Action(label=EVIL, href="javascript:alert(1)"),
            o.Action(label=EVIL, href="/a", method="post", fields={"x": EVIL}),
        ],
    )
    job = jobs.job(3, target_name=EVIL, result_summary=EVIL, from_version=EVIL, to_version=EVIL, created_by=EVIL)
    page = overview.overview(groups=[hostile_group()], issues=[issue], recent=[job], query=o.OverviewQuery(q=EVIL))
    return {"page": page, "frame": base.frame(user=EVIL, engine_error=EVIL, engine_hint=EVIL)}


def hostile_service() -> c.ServicePage:
    return catalog.service_page(
        service=hostile_rows()[0],
        homepage_url="javascript:alert(1)",
        container=c.ContainerInfo(id=EVIL, status=EVIL, health=EVIL),
        rail=c.FullRail(
            points=[catalog.point("now", "now", EVIL, EVIL, tags=[EVIL])], reaches=[c.ReachBracket(tag=EVIL, length=1)]
        ),
        ignores=[c.IgnoreRow(id="ign_1", kind=EVIL, value=EVIL, note=EVIL)],
        inference=c.InferenceInfo(version=EVIL, versions=[EVIL]),
        settings=c.ServiceSettings(repo_url=EVIL, backup_targets=[c.BackupTarget(kind="bind", name=EVIL)]),
        digest_tags=[c.DigestTags(digest=EVIL, tags=[EVIL])],
        versions=[
            c.VersionRow(version=EVIL, state="current", distance="now", tags=[EVIL]),
            c.VersionRow(
                version=EVIL, state="other_series", distance="major", digest=EVIL, platforms=[EVIL], follow=EVIL
            ),
        ],
        versions_error=EVIL,
    )


def hostile_stack() -> c.StackPage:
    return catalog.stack_page(
        stack=hostile_group(),
        files=[c.ComposeFile(path=EVIL, role=EVIL, readable=False, problem=EVIL)],
        found_by=EVIL,
        backups=[
            c.BackupRow(
                id="b",
                status="failed",
                created_at=NOW,
                targets=[EVIL],
                skipped=[EVIL],
                error=EVIL,
                restore_command=EVIL,
            )
        ],
    )


def hostile_job() -> j.JobPage:
    found = jobs.evidence(trigger=EVIL, last_output=[EVIL], health_output=EVIL, failed_digest=EVIL)
    row = jobs.job(
        3,
        EVIL,
        target_name=EVIL,
        result_summary=EVIL,
        result_detail=EVIL,
        created_by=EVIL,
        reason=EVIL,
        status="failed",
    )
    return jobs.job_page(
        job=row,
        tracks=[jobs.track(2, "rolled_back", jobs.back_steps(), error=EVIL, evidence=found)],
        facts={EVIL: EVIL},
        logs=[j.LogLine(id=1, ts=NOW, source=EVIL, msg=EVIL, level=EVIL)],
        warnings=[EVIL],
        actions=[j.DiscoveryActionRow(project=EVIL, action=EVIL, reason=EVIL)],
    )


def hostile_inference() -> v.InferencePage:
    use = v.InferenceUse(
        service_id=EVIL,
        service_name=EVIL,
        stack_id=EVIL,
        stack_name=EVIL,
        tag=EVIL,
        digest=EVIL,
        version=EVIL,
        versions=[EVIL, EVIL],
    )
    row = v.InferenceRow(key=EVIL, image_repo=EVIL, host_platform=EVIL, status=EVIL, reason=EVIL, uses=[use])
    return overview.inference_page(rows=[row], query=v.InferenceQuery(q=EVIL))


def no_decision() -> o.OverviewPage:
    return overview.overview(0, counts=[c.StateCount(key="open", count=0)], running=[], issues=[], actionable=0)


def ended_job() -> j.JobPage:
    back = jobs.track(2, "rolled_back", jobs.back_steps(), evidence=jobs.evidence(restored_ok=False))
    return j.JobPage(job=jobs.history()[0], tracks=[back], logs=jobs.log_lines(12), logs_total=12)


def missed_search() -> c.ServiceListPage:
    return catalog.service_list(0, query=c.ServiceQuery(q="wrokr", state="hint"), closest=catalog.service(1))
