"""The supervisor on a real engine, registry and Compose (spec §10)."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.selfupgrade import DATABASE, REPOSITORY, ROOT, Deployment, Likeness, SupervisorProcess, log_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

Supervise = Callable[..., SupervisorProcess]


@pytest.fixture
def repository(clean_lab: Lab) -> str:
    return clean_lab.registry.ref(REPOSITORY, "x").rpartition(":")[0]


@pytest.fixture
def likeness(clean_lab: Lab) -> Likeness:
    return Likeness(clean_lab)


@pytest.fixture
def supervise(clean_lab: Lab, tmp_path: Path, repository: str) -> Iterator[Supervise]:
    made: list[SupervisorProcess] = []

    def start(environment: Mapping[str, str] | None = None, repository: str = repository) -> SupervisorProcess:
        folder = tmp_path / f"supervisor-{len(made)}"
        folder.mkdir()
        process = SupervisorProcess(clean_lab, folder, repository, environment)
        made.append(process)
        return process.start()

    yield start
    for process in made:
        process.stop()


@pytest.fixture
def deployed(clean_lab: Lab, likeness: Likeness) -> Deployment:
    """Dockrev 0.1.0 behind the tag `latest`, with 0.2.0 published."""
    registry = clean_lab.registry
    registry.publish(REPOSITORY, ["0.1.0", "latest"], likeness.good("0.1.0", schema="0001"))
    clean_lab.docker("pull", registry.ref(REPOSITORY, "latest"))  # an earlier test left another one here
    deployment = Deployment(clean_lab, "house", registry.ref(REPOSITORY, "latest")).up().wait_up()
    registry.publish(REPOSITORY, ["0.2.0", "latest"], likeness.good("0.2.0", schema="0001"))
    return deployment


def test_dry_run_then_upgrade_then_back_by_hand(deployed: Deployment, supervise: Supervise, repository: str) -> None:
    supervisor, before = supervise(), deployed.container()["Id"]
    op_id = supervisor.begin("latest", "dry-run")
    state = supervisor.finished()
    assert (state["state"], state["progress"]["message"], state["opId"]) == ("succeeded", "dry-run completed", op_id)
    assert state["previous"]["tag"] == f"{repository}:latest"
    assert state["previous"]["digest"].startswith("sha256:")
    assert deployed.container()["Id"] == before, "a dry run recreates nothing"
    assert supervisor.roll_back(op_id).status_code == 409
    for name in ("current", "target", "platform", "disk", "files", "reach", "database", "schema"):
        assert f"preflight, {name}: " in log_of(state)
    assert "Both versions use schema 0001" in log_of(state)

    op_id = supervisor.begin("latest")
    assert supervisor.ask("latest").json()["opId"] == op_id, "a double click is one operation"
    other = supervisor.ask("0.2.0")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert supervisor.roll_back(op_id).status_code == 409
    state = supervisor.finished()
    assert (state["state"], state["progress"]["step"]) == ("succeeded", "done"), log_of(state)
    assert "request" not in state
    assert "Dockrev says that it is 0.2.0" in log_of(state)
    assert f"pulled {repository}:0.2.0, the version its label names" in log_of(state)
    assert deployed.version() == "0.2.0"
    override = supervisor.state_path.with_name("self-upgrade.override.yml").read_text()
    assert override == f'services:\n  "dockrev":\n    image: "{repository}:latest"\n'
    assert "a-secret-of-the-container" not in supervisor.state_path.read_text() + supervisor.tail()
    assert stat.S_IMODE(supervisor.state_path.stat().st_mode) == 0o600

    assert supervisor.roll_back("sup_01ARZ3NDEKTSV4RRFFQ69G5FAV").json()["error"]["message"] == "opId not found"
    assert supervisor.roll_back(op_id).json() == {"ok": True}
    state = supervisor.finished()
    assert state["state"] == "rolled_back", log_of(state)
    assert deployed.version() == "0.1.0"
    assert deployed.image() == f"{repository}@{state['previous']['digest']}"
    assert [operation["state"] for operation in state["operations"]] == ["rolled_back", "succeeded"]

    # What was upgraded once is found and upgraded again, although its labels name our own override.
    supervisor.begin("0.2.0")
    state = supervisor.finished()
    assert state["state"] == "succeeded", log_of(state)
    assert deployed.image() == f"{repository}:0.2.0"


def test_what_never_answers_is_taken_back_with_its_database(
    clean_lab: Lab, deployed: Deployment, likeness: Likeness, supervise: Supervise, repository: str
) -> None:
    clean_lab.registry.publish(REPOSITORY, "0.3.0", likeness.crashing("0.3.0"))
    supervisor = supervise()
    supervisor.begin("0.3.0")
    state = supervisor.finished()
    assert state["state"] == "rolled_back", log_of(state)
    log = log_of(state)
    assert "status 7" in log
    assert "dockrev: cannot start" in log
    assert deployed.wait_up().version() == "0.1.0"
    assert "schema-is-0001" in deployed.notes()

    digest = clean_lab.registry.publish(REPOSITORY, "0.4.0", likeness.good("0.4.0", schema="0002"))
    op_id = supervisor.begin("0.4.0", digest=digest)
    state = supervisor.finished()
    assert state["state"] == "succeeded", log_of(state)
    assert deployed.image() == f"{repository}@{digest}"
    assert "schema-is-0002" in deployed.notes()
    assert f"database {DATABASE} can be copied" in log_of(state)
    copy = supervisor.state_path.with_name(f"{op_id}.database.tar")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    # The older version would refuse this database: going back brings the copy.
    assert supervisor.roll_back(op_id).status_code == 200
    state = supervisor.finished()
    assert state["state"] == "rolled_back", log_of(state)
    assert "is back (schema 0001)" in log_of(state)
    assert deployed.version() == "0.1.0"
    assert "schema-is-0001" in deployed.notes()
    assert supervisor.state_path.with_name(f"{op_id}.newer.tar").exists()


def test_an_older_schema_is_refused_before_anything_is_touched(
    clean_lab: Lab, likeness: Likeness, supervise: Supervise
) -> None:
    registry = clean_lab.registry
    registry.publish(REPOSITORY, "0.5.0", likeness.good("0.5.0", schema="0003"))
    registry.publish(REPOSITORY, "0.4.0", likeness.good("0.4.0", schema="0002"))
    deployment = Deployment(clean_lab, "ahead", registry.ref(REPOSITORY, "0.5.0")).up().wait_up()
    before, supervisor = deployment.container()["Id"], supervise()
    supervisor.begin("0.4.0")
    state = supervisor.finished()
    assert (state["state"], state["progress"]["step"]) == ("failed", "pull")
    assert "The target knows schema 0002, the database has 0003" in log_of(state)
    assert deployment.container()["Id"] == before
    assert deployment.version() == "0.5.0"


def test_a_pull_that_fails_changes_nothing(deployed: Deployment, supervise: Supervise) -> None:
    before, supervisor = deployed.container()["Id"], supervise()
    supervisor.begin("9.9.9")
    state = supervisor.finished()
    assert (state["state"], state["progress"]["step"]) == ("failed", "pull")
    assert "remedy: " in log_of(state)
    assert deployed.container()["Id"] == before


def test_wrong_repository_and_two_candidates_are_explained(
    clean_lab: Lab, deployed: Deployment, likeness: Likeness, supervise: Supervise, repository: str
) -> None:
    wrong = supervise(repository="ghcr.io/somebody/dockrev")
    wrong.begin("latest")
    state = wrong.finished()
    assert (state["state"], state["progress"]["step"]) == ("failed", "precheck")
    assert "no container uses an image of ghcr.io/somebody/dockrev" in log_of(state)
    assert f"In use here: {repository}:latest" in log_of(state)
    assert wrong.roll_back(state["opId"]).json()["error"]["message"] == "no rollback target available"

    second = Deployment(clean_lab, "second", clean_lab.registry.ref(REPOSITORY, "0.2.0")).up().wait_up()
    supervisor = supervise()
    supervisor.begin("0.2.0")
    state = supervisor.finished()
    assert state["state"] == "failed"
    assert "2 containers may be Dockrev" in log_of(state)
    assert "DOCKREV_SUPERVISOR_TARGET_COMPOSE_PROJECT" in log_of(state)
    chosen = supervise(
        {
            "DOCKREV_SUPERVISOR_TARGET_COMPOSE_PROJECT": deployed.stack.name,
            "DOCKREV_SUPERVISOR_TARGET_COMPOSE_SERVICE": "dockrev",
        }
    )
    chosen.begin("0.2.0")
    assert chosen.finished()["state"] == "succeeded"
    assert deployed.image() == f"{repository}:0.2.0"
    assert second.version() == "0.2.0"


def test_compose_files_that_cannot_be_read(
    clean_lab: Lab, deployed: Deployment, supervise: Supervise, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "compose.yaml"
    shutil.move(deployed.stack.file, elsewhere)
    supervisor = supervise()
    supervisor.begin("0.2.0")
    state = supervisor.finished()
    assert (state["state"], state["progress"]["step"]) == ("failed", "precheck")
    assert str(deployed.stack.file) in log_of(state)
    assert "DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES" in log_of(state)
    told = supervise({"DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES": str(elsewhere)})
    told.begin("0.2.0")
    state = told.finished()
    shutil.move(elsewhere, deployed.stack.file)
    assert state["state"] == "succeeded", log_of(state)
    assert deployed.version() == "0.2.0"


@pytest.mark.parametrize("step", ["pull", "apply", "wait_healthy"])
def test_killed_in_the_middle_it_tells_the_truth_and_can_go_back(
    clean_lab: Lab, deployed: Deployment, likeness: Likeness, supervise: Supervise, step: str
) -> None:
    clean_lab.registry.publish(REPOSITORY, "0.3.0", likeness.sick("0.3.0", schema="0002"))
    supervisor = supervise()
    op_id = supervisor.begin("0.3.0", back=False)
    supervisor.until(lambda state: state["progress"]["step"] == step)
    supervisor.kill()
    supervisor.start()
    state = supervisor.until(lambda state: "now: " in log_of(state) or "nothing had been changed" in log_of(state))
    assert (state["state"], state["progress"]["step"], state["opId"]) == ("failed", "postcheck", op_id)
    assert state["progress"]["message"] == "supervisor restarted; previous operation interrupted"
    assert "request" not in state
    assert f"it was at step {step}" in log_of(state)
    time.sleep(2)  # what Compose had begun comes to its end
    assert supervisor.roll_back(op_id).status_code == 200
    state = supervisor.finished()
    assert state["state"] == "rolled_back", log_of(state)
    assert deployed.wait_up().version() == "0.1.0"
    assert "schema-is-0001" in deployed.notes()


def test_logins_are_used_and_never_told(clean_lab: Lab, likeness: Likeness, supervise: Supervise) -> None:
    private = clean_lab.private_registry
    private.publish(REPOSITORY, "0.1.0", likeness.good("0.1.0"))
    private.publish(REPOSITORY, "0.2.0", likeness.good("0.2.0"))
    credentials = private.credentials
    assert credentials is not None
    clean_lab.docker("pull", private.ref(REPOSITORY, "0.1.0"))
    deployment = Deployment(clean_lab, "locked", private.ref(REPOSITORY, "0.1.0")).up().wait_up()
    repository = private.ref(REPOSITORY, "x").rpartition(":")[0]
    supervisor = supervise(repository=repository)
    supervisor.begin("0.2.0")
    state = supervisor.finished()
    assert state["state"] == "succeeded", log_of(state)
    assert deployment.version() == "0.2.0"
    without = supervise({"DOCKREV_DOCKER_CONFIG": "", "DOCKER_CONFIG": str(supervisor.folder)}, repository=repository)
    private.publish(REPOSITORY, "0.3.0", likeness.good("0.3.0"))
    without.begin("0.3.0")
    state = without.finished()
    assert (state["state"], state["progress"]["step"]) == ("failed", "pull"), log_of(state)
    for process in (supervisor, without):
        written = process.state_path.read_text() + process.tail()
        assert credentials.password not in written


def test_dockrev_dying_in_the_middle_disturbs_nothing(
    clean_lab: Lab, deployed: Deployment, likeness: Likeness, supervise: Supervise
) -> None:
    clean_lab.registry.publish(REPOSITORY, "0.6.0", likeness.good("0.6.0", schema="0001", after=2))
    supervisor, old = supervise(), deployed.container()["Id"]
    supervisor.begin("0.6.0")
    clean_lab.docker("exec", old, "kill", "1", check=False)
    supervisor.until(lambda state: state["progress"]["step"] == "wait_healthy")
    new = deployed.container()["Id"]
    clean_lab.docker("exec", new, "kill", "1")  # on its way up
    state = supervisor.finished()
    assert state["state"] == "succeeded", log_of(state)
    assert deployed.version() == "0.6.0"
    assert deployed.container()["RestartCount"] == 1


def test_the_stream_tells_at_once_and_whenever_something_moves(deployed: Deployment, supervise: Supervise) -> None:
    supervisor = supervise()
    with supervisor.http.stream("GET", f"{supervisor.url}/self-upgrade/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        lines = stream.iter_lines()
        first = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert "No upgrade of Dockrev" in first["regions"]["headline"]
        supervisor.begin("0.2.0", "dry-run")
        for line in lines:
            if line.startswith("data: ") and "The dry run for 0.2.0 is done" in line:
                break
        began = time.monotonic()
        supervisor.process.terminate()  # type: ignore[union-attr]
        assert any("bye" in line for line in lines)
        assert supervisor.process.wait(5) == 0  # type: ignore[union-attr]
        assert time.monotonic() - began < 4


def test_a_state_has_one_supervisor(supervise: Supervise) -> None:
    first = supervise()
    second = subprocess.run(
        [sys.executable, "-m", "app.cli", "supervisor"],
        cwd=ROOT,
        env={**first.env, "DOCKREV_SUPERVISOR_HTTP_ADDR": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 4
    assert "another supervisor uses the state" in second.stderr
