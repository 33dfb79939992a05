"""Every curl line of docs/api.md, run by curl against the application with no engine near and a GitHub of its own.

The recipes above those lines run on a real engine, in `lab/test_api_recipes.py`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import uvicorn

from app.core.db import Database
from app.core.jobs import Job, JobStatus
from app.features.versions.models import ServiceVersion
from tests.fakes.github import TOKEN
from tests.web.hooks_house import NOW, SECRET, STACK, WEB, House, house

DOC: Final = Path(__file__).resolve().parents[2] / "docs" / "api.md"
JOB: Final = "job_01JT5N3V0QZ8R6W2M4K7C9D1EA"
DIGEST: Final = "sha256:" + "a" * 64
LATER: Final = ("/versions", "/digest-tags-snapshot")  # 202 until something is known; all others answer 200
STREAM_SECONDS: Final = "1"


def lines(section: str) -> list[str]:
    """The commands of a section's block, each with its continuation; quotes may go over several lines."""
    block = DOC.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    found, open_line = [], ""
    for line in block.partition("```sh\n")[2].partition("\n```")[0].splitlines():
        if not open_line and (not line or line.startswith(("#", "D="))):
            continue
        open_line += line + "\n"
        if open_line.count("'") % 2 == 0 and not line.endswith("\\"):
            found.append(open_line.strip())
            open_line = ""
    assert not open_line, "a quote that is not closed"
    return found


async def fill(built: House) -> None:
    """What the lines name."""
    job = Job(
        id=JOB, type="check", scope="all", status=JobStatus.SUCCESS, created_by="a", reason="ui", created_at=NOW,
        finished_at=NOW,
    )  # fmt: skip
    known = ServiceVersion(
        service_id=WEB, image_ref="ghcr.io/acme/web:1", image_repo="ghcr.io/acme/web", image_tag="1",
        current_digest=DIGEST, checked_at=NOW,
    )  # fmt: skip
    async with built.container.get(Database).transaction() as session:
        session.add(job)
        session.add(known)


async def asked(command: str, url: str, folder: Path, **variables: str) -> tuple[str, str]:
    """Status and answer of one line, as a shell and curl make them of it."""
    for shown, value in (
        ("stk_01J…", STACK), ("svc_01J…", WEB), ("job_01J…", JOB), ("sha256:…", DIGEST), ("github_pat_…", TOKEN),
    ):  # fmt: skip
        command = command.replace(shown, value)
    assert "…" not in command, f"an example value that this test does not know: {command}"
    limited = command.replace("curl ", r"curl -s -w '\n%{http_code}' --max-time 20 ", 1)
    if " -N " in command:
        limited = limited.replace("--max-time 20", f"--max-time {STREAM_SECONDS}")
    shell = await asyncio.create_subprocess_exec(
        "bash", "-uc", limited, stdout=asyncio.subprocess.PIPE, cwd=folder,
        env={"D": url, **variables, "PATH": "/usr/local/bin:/usr/bin:/bin", "no_proxy": "*"},
    )  # fmt: skip
    said, _ = await shell.communicate()
    answer, _, status = said.decode().rpartition("\n")
    return status, answer


@asynccontextmanager
async def listening(tmp_path: Path) -> AsyncIterator[str]:
    """The application with what the lines name, on a port of its own."""
    if shutil.which("curl") is None:
        # What is tested are the very lines of the document, and those call curl.
        pytest.skip("the lines are for curl, and this machine has none")
    async with house(tmp_path) as built:
        await fill(built)
        app = built.client._transport.app  # type: ignore[attr-defined]
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        )
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_every_line_is_answered_as_documented(tmp_path: Path) -> None:
    async with listening(tmp_path) as url:
        for command in lines("The rest, line by line"):
            wanted = ("200", "202") if any(part in command for part in LATER) else ("200",)
            got = await asked(command, url, tmp_path, SECRET=SECRET)
            assert got[0] in wanted, f"{command}: {got}"


async def test_the_lines_about_tokens_work_with_the_token_they_make(tmp_path: Path) -> None:
    variables: dict[str, str] = {}
    async with listening(tmp_path) as url:
        for command in lines("Tokens"):
            status, answer = await asked(command, url, tmp_path, **variables)
            assert status in (("200", "201") if "POST" in command else ("200",)), f"{command}: {status} {answer}"
            if "-X POST $D/api/tokens" in command:
                made = json.loads(answer)
                variables = {"TOKEN": made["value"], "TOKEN_ID": made["token"]["id"]}
    assert "token.create" in (tmp_path / "audit.csv").read_text(encoding="utf-8")


def test_there_are_lines() -> None:
    for section, least in (("The rest, line by line", 20), ("Tokens", 8)):
        found = lines(section)
        assert len(found) >= least
        assert all(line.startswith("curl ") for line in found), found
