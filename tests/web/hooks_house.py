"""The application with a GitHub of its own: two stacks that use images of ghcr.io, checks that ask no registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobRecord
from app.features.hooks import WebhookJobs
from app.features.hooks.rules.delivery import sign
from app.features.hooks.settings import HookSettings
from app.features.stacks.models import ServiceRow, StackRow
from tests.fakes.github import TOKEN, FakeGitHub
from tests.web.test_contract import error, running

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
STACK, OTHER = "stk_01JT5N3V0QZ8R6W2M4K7C9D1EA", "stk_01JT5N3V0QZ8R6W2M4K7C9D1EB"
WEB, API, LONE, GONE = (f"svc_01JT5N3V0QZ8R6W2M4K7C9D1E{n}" for n in "ABCD")
CALLBACK = "https://dockrev.example/api/webhooks/github-packages"
SECRET = "trigger-s3cret"
DELIVER = "/api/webhooks/github-packages"


@dataclass
class House:
    """`gate` holds back checks and discoveries while it is closed."""

    client: httpx.AsyncClient
    container: Container
    github: FakeGitHub
    gate: asyncio.Event

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """One call; the envelope's inside when an error is expected."""
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if status < 300 else error(answer)

    async def get(self, path: str, *, status: int = 200) -> Any:
        """A GET below `/api/github-packages`."""
        return await self.call("GET", f"/api/github-packages{path}", status=status)

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        """A POST below `/api/github-packages`."""
        return await self.call("POST", f"/api/github-packages{path}", body, status=status)

    async def settings(self, *, status: int = 200, **changed: Any) -> Any:
        """PUT of the settings: on, with callback URL and token, unless told otherwise."""
        body = {"enabled": True, "callbackUrl": CALLBACK, "pat": TOKEN, **changed}
        return await self.call("PUT", "/api/github-packages/settings", body, status=status)

    async def repo(self, full_name: str) -> dict[str, Any] | None:
        """A tracked repository as the API tells it."""
        found = (await self.get(f"/repos?q={full_name}"))["repos"]
        return next((each for each in found if each["fullName"].lower() == full_name.lower()), None)

    async def finished(self, job_id: str) -> JobRecord:
        """The job once it has ended."""
        jobs = self.container.get(JobEngine)
        async with asyncio.timeout(20):
            while (job := await jobs.store.get(job_id)) is None or not job.status.final:
                await asyncio.sleep(0.01)
        return job

    async def job(self, job_id: str) -> JobRecord:
        """The job as it stands."""
        job = await self.container.get(JobEngine).store.get(job_id)
        assert job is not None
        return job

    async def deliver(
        self,
        body: Any,
        *,
        delivery: str | None = "d-1",
        event: str | None = "package",
        secret: str | None = None,
        status: int = 200,
        signature: str | None = None,
    ) -> Any:
        """A delivery as GitHub sends it, signed with the stored secret."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = secret or (await self.container.get(HookSettings).read()).secret or "none"
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature or sign(known, raw)}
        if signature == "":
            del headers["X-Hub-Signature-256"]
        headers |= {"X-GitHub-Delivery": delivery} if delivery is not None else {}
        headers |= {"X-GitHub-Event": event} if event is not None else {}
        answer = await self.client.post(DELIVER, content=raw, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else error(answer)


def published(full_name: str = "acme/web", **more: Any) -> dict[str, Any]:
    """A `package` event of a published image."""
    owner = full_name.partition("/")[0]
    return {
        "action": "published",
        "package": {"name": full_name.rpartition("/")[2], "package_type": "CONTAINER"},
        "repository": {"full_name": full_name, "owner": {"login": owner}},
        "sender": {"login": "alice"},
        **more,
    }


async def _fill(container: Container) -> None:
    services = (
        (WEB, STACK, "web", "ghcr.io/acme/web:1", False),
        (API, STACK, "api", "ghcr.io/acme/web:latest", False),
        (LONE, OTHER, "lone", "docker.io/acme/web:1", False),
        (GONE, OTHER, "gone", "ghcr.io/acme/web:1", True),
    )
    async with container.get(Database).transaction() as session:
        for stack_id, name in ((STACK, "shop"), (OTHER, "far")):
            session.add(StackRow(id=stack_id, name=name, compose_files=["/x.yml"], created_at=NOW, updated_at=NOW))
        await session.flush()
        for service_id, stack_id, name, image, archived in services:
            session.add(
                ServiceRow(
                    id=service_id,
                    stack_id=stack_id,
                    name=name,
                    image_ref=image,
                    image_tag=image.rpartition(":")[2],
                    archived=archived,
                    created_at=NOW,
                    updated_at=NOW,
                )
            )


@asynccontextmanager
async def house(tmp_path: Path, **settings: Any) -> AsyncIterator[House]:
    """A running application. Its waits between tries take no time."""
    with FakeGitHub() as github:
        github.users["acme"] = ["web", "api", "tools"]
        wanted = {"github_api_url": github.url, "webhook_secret": SECRET, **settings}
        async with running(tmp_path, **wanted) as (app, client):
            container: Container = app.state.container
            await _fill(container)
            gate = asyncio.Event()
            gate.set()

            async def job(ctx: JobContext) -> JobOutcome:
                ctx.merge({"servicesChecked": 1})
                await gate.wait()
                return JobOutcome()

            async def no_time(_: float) -> None:
                await asyncio.sleep(0)

            engine = container.get(JobEngine)
            engine.register(JobKind("check", job, prefix="chk"))
            engine.register(JobKind("discovery", job, prefix="dsc"))
            container.get(WebhookJobs)._sleep = no_time
            yield House(client, container, github, gate)
            gate.set()
