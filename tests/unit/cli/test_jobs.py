"""`dockrev jobs`, and following a job through a connection that breaks."""

from __future__ import annotations

import pytest

from app.cli.client import Client
from app.cli.follow import Bars, Silent, follow
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_dockrev import FakeDockrev


def test_list_show_and_logs(run: Run, dockrev: FakeDockrev) -> None:
    assert "job_1" in run("jobs").out
    assert "job_1" in run("jobs", "list", "--status", "running", "--limit", "5").out
    assert dockrev.asked[-1] == ("GET", "/api/jobs", {"limit": ["5"], "status": ["running"]})
    assert "alice" in run("jobs", "show", "job_1").out
    assert "hello red" in run("jobs", "logs", "job_1").out
    assert run("jobs", "logs", "job_1", "--json").document[0]["level"] == "info"


def test_follow_ends_with_the_jobs_result(run: Run, dockrev: FakeDockrev) -> None:
    ran = run("jobs", "follow", "job_1")
    assert ran.code == 0
    assert "pulling" in ran.out
    dockrev.status = "rolled_back"
    assert run("jobs", "follow", "job_1").code == 1


@pytest.mark.parametrize("job_id", ["../../metrics", "job_1/../x", "a b", "ä", "x" * 65])
def test_ids_that_would_change_the_address_are_refused(run: Run, dockrev: FakeDockrev, job_id: str) -> None:
    assert run("jobs", "show", job_id).code == 2
    assert not [path for _, path, _ in dockrev.asked if path != "/api/version"]


def test_a_broken_stream_is_taken_up_where_it_broke(dockrev: FakeDockrev) -> None:
    class Seen(Silent):
        lines: list[str] = []

        def line(self, document: dict[str, object]) -> None:
            self.lines.append(str(document["msg"]))

    dockrev.status, dockrev.cut_after = "running", 1
    original = dockrev.answer

    def finished_later(method: str, path: str, body: object) -> tuple[int, dict[str, object]]:
        if len(dockrev.resumed) > 1:
            dockrev.status = "success"
        return original(method, path, body)

    dockrev.answer = finished_later  # type: ignore[method-assign]
    client, seen = Client(dockrev.url), Seen()
    try:
        assert follow(client, "job_1", seen)["status"] == "success"
    finally:
        client.close()
    assert dockrev.resumed == ["", "1"]
    assert seen.lines == ["pulling"]


def test_bars_take_any_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars("updating [bold]x") as bars:
        bars.progress({"message": "pull [red]", "percent": 12.5, "total": 2, "download": {"currentBytes": 2_000_000}})
        bars.progress({"message": "checking", "percent": 0, "total": 0})
        bars.progress({})
        bars.step({"label": "news/web", "step": "pull", "status": "done", "note": "3 layers"})
        bars.line({"level": "warn", "msg": "[/nonsense] careful"})
    said = capsys.readouterr().out
    assert "news/web: pull (3 layers)" in said
    assert "! [/nonsense] careful" in said, "what others write is text, not markup"
