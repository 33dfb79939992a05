"""`POST /api/updates`, rollbacks and backups over HTTP, with no engine near (spec §5.3, §5b, §13 15 to 22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import Job, JobEngine, JobRecord, JobStatus, JobTarget
from app.features.stacks.models import ServiceRow, StackRow
from app.features.versions.models import IgnoreRule, ServiceVersion
from tests.web.test_contract import error, running

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
STACK, OTHER = "stk_01JT5N3V0QZ8R6W2M4K7C9D1EA", "stk_01JT5N3V0QZ8R6W2M4K7C9D1EB"
WEB, APP, DB, OWN, FAR = (f"svc_01JT5N3V0QZ8R6W2M4K7C9D1E{n}" for n in "ABCDE")
NEW = "sha256:" + "b" * 64
SERVICE = {
    "scope": "service", "serviceId": WEB, "targetTag": "1", "targetDigest": NEW, "pullTags": [],
    "mode": "apply", "allowArchMismatch": False, "backupMode": "skip", "reason": "ui",
}  # fmt: skip


def entry(service_id: str, **changed: Any) -> dict[str, Any]:
    return {"serviceId": service_id, "targetTag": "1", "targetDigest": NEW, "pullTags": [], **changed}


@dataclass
class Api:
    """The application with two stacks: web, app (no candidate), db, Dockrev itself; and one far away."""

    client: httpx.AsyncClient
    container: Container

    async def post(self, status: int, base: dict[str, Any], path: str = "/api/updates", **changed: Any) -> Any:
        """A request with some members changed; `...` leaves a member out."""
        body = {key: value for key, value in {**base, **changed}.items() if value is not ...}
        answer = await self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else error(answer)

    async def finished(self, job_id: str) -> JobRecord:
        jobs = self.container.get(JobEngine)
        async with asyncio.timeout(20):
            while (job := await jobs.store.get(job_id)) is None or not job.status.final:
                await asyncio.sleep(0.02)
        return job

    async def occupy(self, scope: str, stack: str | None, service: str | None, type: str = "update") -> str:
        """A job of another time that runs and never ends."""
        job = Job(
            id=f"job_{scope}_{stack}_{service}_{type}", type=type, scope=scope, stack_id=stack, service_id=service,
            status=JobStatus.RUNNING, created_by="bob", reason="ui", created_at=NOW, payload={"mode": "apply"},
        )  # fmt: skip
        async with self.container.get(Database).transaction() as session:
            session.add(job)
            await session.flush()
            if service and stack:
                session.add(JobTarget(job_id=job.id, service_id=service, stack_id=stack))
        return job.id

    async def set(self, service_id: str, **values: Any) -> None:
        """Change what is known of a service."""
        async with self.container.get(Database).transaction() as session:
            row = await session.get_one(ServiceVersion, service_id)
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running(tmp_path, image_repo="ghcr.io/me/dockrev") as (app, client):
        container: Container = app.state.container
        async with container.get(Database).transaction() as session:
            for stack_id, name in ((STACK, "shop"), (OTHER, "far")):
                session.add(StackRow(id=stack_id, name=name, compose_files=["/x.yml"], created_at=NOW, updated_at=NOW))
            await session.flush()
            for service_id, name in ((WEB, "web"), (APP, "app"), (DB, "db"), (OWN, "own"), (FAR, "far")):
                image = "ghcr.io/me/dockrev:1" if name == "own" else f"docker.io/acme/{name}:1"
                session.add(
                    ServiceRow(
                        id=service_id, stack_id=OTHER if name == "far" else STACK, name=name, image_ref=image,
                        image_tag="1", created_at=NOW, updated_at=NOW,
                    )
                )  # fmt: skip
                await session.flush()
                session.add(
                    ServiceVersion(
                        service_id=service_id, image_ref=image, image_repo=image[:-2], image_tag="1",
                        current_digest="sha256:" + "a" * 64, checked_at=NOW,
                        candidate_tag=None if name == "app" else "1",
                        candidate_digest=None if name == "app" else NEW,
                        candidate_arch_match="match", candidate_arch=["linux/amd64"],
                    )
                )  # fmt: skip
        yield Api(client, container)


REFUSED: list[tuple[dict[str, Any], int, str, str | None, dict[str, Any] | None]] = [
    ({"serviceId": ...}, 400, "invalid_argument", "serviceId is required for scope=service",
         {"field": "serviceId"}),
    ({"pullTags": ...}, 400, "invalid_argument", "pullTags is required for scope=service", {"field": "pullTags"}),
    ({"targets": []}, 400, "invalid_argument",
     "targets is not supported for scope=service; use targetTag/targetDigest/pullTags", {"field": "targets"}),
    ({"serviceId": "svc_none"}, 404, "not_found", "service not found", {"serviceId": "svc_none"}),
    ({"targetTag": "2"}, 400, "invalid_argument", None,
     {"serviceId": WEB, "expectedTag": "1", "gotTag": "2"}),
    ({"targetDigest": "cc"}, 409, "conflict", "target digest no longer matches latest scan (rescan required)",
     {"serviceId": WEB, "expectedDigest": NEW, "gotDigest": "sha256:cc"}),
    ({"serviceId": APP}, 409, "conflict", "target digest no longer matches latest scan (rescan required)",
     {"serviceId": APP, "expectedDigest": None, "gotDigest": NEW}),
    ({"serviceId": OWN}, 409, "conflict", None,
     {"serviceId": OWN, "reason": "dockrev_service_managed_via_supervisor"}),
    ({"scope": "everything"}, 400, "invalid_argument", None, None),
    ({"mode": ...}, 400, "invalid_argument", None, None),
    ({"mode": "now"}, 400, "invalid_argument", None, None),
    ({"backupMode": "maybe"}, 400, "invalid_argument", None, None),
    ({"pullTags": "1.5"}, 400, "invalid_argument", None, None),
    ({"pullTags": ["; rm -rf /"]}, 400, "invalid_argument", "pullTags[0] is not a valid tag",
     {"field": "pullTags[0]"}),
    ({"serviceId": "x" * 2000}, 400, "invalid_argument", None, None),
    ({"serviceId": 7}, 400, "invalid_argument", None, None),
]  # fmt: skip


async def test_what_is_wrong_is_refused_and_named(api: Api) -> None:
    for changed, status, code, message, details in REFUSED:
        found = await api.post(status, SERVICE, **changed)
        assert found["code"] == code, changed
        assert message is None or found["message"] == message, changed
        if details is not None:
            assert {key: found["details"].get(key) for key in details} == details, changed
    assert await api.container.get(JobEngine).store.counts() == {}


async def test_an_update_of_a_service_is_a_job_of_the_caller(api: Api) -> None:
    answer = await api.post(200, SERVICE, allowArchMismatch=..., backupMode=..., reason=...)
    assert set(answer) == {"jobId"} and answer["jobId"].startswith("job_")
    job = await api.finished(answer["jobId"])
    assert (job.type, job.scope, job.service_id, job.stack_id) == ("update", "service", WEB, STACK)
    assert (job.backup_mode, job.reason, job.created_by) == ("inherit", "ui", "anonymous")
    assert job.status is JobStatus.FAILED, "there is no engine here"
    assert job.summary["stacks"][0]["stackId"] == STACK and job.summary["error"]


async def test_a_batch_must_cover_exactly_what_is_offered(api: Api) -> None:
    stack = {"scope": "stack", "stackId": STACK, "mode": "dry-run"}
    assert (await api.post(400, stack))["message"] == "targets is required for scope=stack/all"
    assert (await api.post(404, {**stack, "stackId": "stk_none"}, targets=[]))["message"] == "stack not found"
    found = await api.post(400, stack, targets=[entry(WEB)])
    assert found["message"] == "targets must exactly cover the selected services for this scope"
    assert found["details"]["missingServiceIds"] == [DB] and found["details"]["extraServiceIds"] == []
    found = await api.post(400, stack, targets=[entry(WEB), entry(DB), entry(FAR), entry(OWN)])
    assert found["details"]["extraServiceIds"] == sorted([FAR, OWN])
    rule = IgnoreRule(id="ign_1", scope_service_id=DB, match_kind="exact", match_value="1", created_at=NOW,
                      updated_at=NOW)  # fmt: skip
    async with api.container.get(Database).transaction() as session:
        session.add(rule)
    await api.set(DB, ignore_rule_id="ign_1", ignore_reason="matched ignore rule for tag 1")
    found = await api.post(400, stack, targets=[entry(WEB), entry(DB)])
    assert found["details"]["extraServiceIds"] == [DB]
    job = await api.finished((await api.post(200, stack, targets=[entry(WEB)]))["jobId"])
    assert job.status is JobStatus.SUCCESS
    assert (await api.post(400, {"scope": "all", "mode": "apply"}, targets=[]))["details"]["missingServiceIds"] == [
        WEB, FAR,
    ]  # fmt: skip


async def test_another_architecture_needs_a_yes(api: Api) -> None:
    await api.set(WEB, candidate_arch_match="mismatch")
    found = await api.post(400, SERVICE)
    assert found["details"] == {"serviceId": WEB, "archMatch": "mismatch", **_hint(found)}
    await api.post(200, SERVICE, allowArchMismatch=True, mode="dry-run")
    await api.set(WEB, candidate_arch_match="unknown")
    await api.post(200, SERVICE, mode="dry-run")


async def test_a_downgrade_is_left_out_of_what_nobody_watches(api: Api) -> None:
    await api.set(DB, current_resolved_tag="2.0.0", candidate_resolved_tag="1.9.0")
    stack = {"scope": "stack", "stackId": STACK, "mode": "dry-run", "reason": "schedule"}
    found = await api.post(400, stack, targets=[entry(WEB), entry(DB)])
    assert found["details"]["extraServiceIds"] == [DB]
    job = await api.finished((await api.post(200, stack, targets=[entry(WEB)]))["jobId"])
    (anomaly,) = job.summary["stacks"][0]["update"]["skippedVersionAnomaly"]
    assert anomaly == {
        "serviceId": DB, "serviceName": "db", "current": "2.0.0", "candidate": "1.9.0", "reason": "semver_downgrade",
    }  # fmt: skip
    await api.post(200, {**stack, "reason": "ui"}, targets=[entry(WEB), entry(DB)])


OCCUPIED: list[tuple[tuple[Any, ...], str | None]] = [
    (("all", None, None), "global_update_in_progress"),
    (("stack", STACK, None), "stack_update_in_progress"),
    (("service", STACK, WEB), "service_update_in_progress"),
    (("service", STACK, WEB, "rollback"), "rollback_in_progress"),
    (("stack", STACK, None, "restore"), "service_operation_in_progress"),
    (("service", STACK, DB), None),
    (("stack", OTHER, None), None),
    (("all", None, None, "check"), None),
]


async def test_what_runs_blocks_what_touches_it(api: Api) -> None:
    for occupied, reason in OCCUPIED:
        job_id = await api.occupy(*occupied)
        await api.finished((await api.post(200, SERVICE, mode="dry-run"))["jobId"])
        if reason is None:
            await api.finished((await api.post(200, SERVICE))["jobId"])
        else:
            found = await api.post(409, SERVICE)
            assert found["message"] == "service operation in progress"
            assert (found["details"]["reason"], found["details"]["existingJobId"]) == (reason, job_id)
        async with api.container.get(Database).transaction() as session:
            await session.delete(await session.get_one(Job, job_id))


async def test_a_dry_run_tells_the_keys_of_an_update(api: Api) -> None:
    job = await api.finished((await api.post(200, SERVICE, mode="dry-run", pullTags=["1.5.0"]))["jobId"])
    assert job.status is JobStatus.SUCCESS and job.summary["mode"] == "dry-run"
    (stack,) = job.summary["stacks"]
    assert stack["backup"] == {"status": "skipped", "reason": "dry_run"}
    update = stack["update"]
    assert (update["mode"], update["changedServices"]) == ("dry-run", 1)
    assert update["newDigests"] == {WEB: NEW} and update["oldDigests"] == {WEB: "sha256:" + "a" * 64}
    assert update["targetTagsPulled"] == ["acme/web:1"] and update["pullTagsPulled"] == ["acme/web:1.5.0"]
    assert (update["semverPulled"], update["semverPullWarnings"], update["pullTagWarnings"]) == ([], {}, [])


async def test_there_is_no_way_back_without_a_history(api: Api) -> None:
    answer = await api.client.get(f"/api/services/{WEB}/rollback-target")
    assert answer.status_code == 200
    assert (answer.json()["available"], answer.json()["unavailableReason"]) == (False, "no_matching_update_history")
    found = await api.post(409, {}, f"/api/services/{WEB}/rollback")
    assert found["details"]["reason"] == "no_matching_update_history"
    answer = await api.client.get(f"/api/services/{OWN}/rollback-target")
    assert answer.json()["unavailableReason"] == "dockrev_service_managed_via_supervisor"
    assert (await api.client.get("/api/services/svc_none/rollback-target")).status_code == 404
    assert (await api.post(404, {}, "/api/services/svc_none/rollback"))["message"] == "service not found"


async def test_backups_are_listed_and_unknown_ones_not_restored(api: Api) -> None:
    answer = await api.client.get("/api/backups", params={"stackId": STACK})
    assert (answer.status_code, answer.json()) == (200, {"backups": []})
    assert (await api.post(404, {}, "/api/backups/bkp_none/restore"))["message"] == "backup not found"


def _hint(found: dict[str, Any]) -> dict[str, Any]:
    """The remedy may stand among the details."""
    return {"hint": found["details"]["hint"]} if "hint" in found["details"] else {}
