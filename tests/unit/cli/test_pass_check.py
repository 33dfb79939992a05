"""What doctor says of the key that Dockrev and its supervisor share."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from app.adapters.engine import Mount
from app.cli.pass_check import Seen, judge, place_of
from tests.unit.cli.conftest import Run

KEY = PurePosixPath("/data/passes/supervisor.key")
ON = {"DOCKREV_PASSKEYS": "on", "DOCKREV_SUPERVISOR_STATE_PATH": "/data/supervisor/self-upgrade.json"}


def volume(source: str, destination: str, kind: str = "volume") -> Mount:
    return Mount(kind, source.rpartition("/")[2], source, destination, True)


DATA, PASSES = volume("/v/data", "/data"), volume("/v/passes", "/data/passes")
OWN = Seen("dockrev", (DATA, PASSES), ON)


def told(*mounts: Mount, step_up: bool = False, **variables: str) -> tuple[str, str, str]:
    other = Seen("supervisor", mounts, {**ON, **variables})
    return judge(OWN, KEY, [other], step_up=step_up)


def test_one_file_for_both_is_well() -> None:
    assert told(PASSES)[0] == "ok"
    assert told(volume("/v/passes", "/keys"), DOCKREV_PASS_KEY_PATH="/keys/supervisor.key")[0] == "ok"
    assert told(PASSES, DOCKREV_PASSKEYS_STEP_UP="true", step_up=True)[0] == "ok"


@pytest.mark.parametrize(
    ("mounts", "variables", "words"),
    [
        ([], {}, "is not the file"),
        ([volume("/v/other", "/data/passes")], {}, "is not the file"),
        ([volume("/v/data", "/data/supervisor")], {}, "is not the file"),
        ([PASSES], {"DOCKREV_PASS_KEY_PATH": "/data/passes/other.key"}, "is not the file"),
        ([PASSES], {"DOCKREV_PASS_KEY_PATH": "/data/supervisor.key"}, "is not the file"),
        ([PASSES], {"DOCKREV_PASSKEYS": "off"}, "takes no passes"),
        ([PASSES], {"DOCKREV_PASSKEYS": ""}, "takes no passes"),
    ],
)
def test_what_is_not_shared_fails_with_the_remedy(mounts: list[Mount], variables: dict[str, str], words: str) -> None:
    verdict, text, remedy = judge(OWN, KEY, [Seen("supervisor", mounts, {**ON, **variables})], step_up=False)
    assert verdict == "fail" and words in text and "DOCKREV_PASS" in remedy


def test_a_touch_for_one_alone_and_no_supervisor_are_warned_of() -> None:
    assert told(PASSES, step_up=True)[0] == "warn"
    assert judge(OWN, KEY, [], step_up=False)[0] == "warn"
    bare = Seen("dockrev", (), ON)
    assert judge(bare, KEY, [Seen("supervisor", (), ON)], step_up=False)[0] == "fail", "each has a file of its own"


def test_the_nearest_mount_counts() -> None:
    assert place_of((DATA, PASSES), KEY) == ("/v/passes", "supervisor.key")
    assert place_of((DATA,), KEY) == ("/v/data", "passes/supervisor.key")
    assert place_of((volume("", "/data/passes", "tmpfs"),), KEY) is None


def test_doctor_speaks_of_it_only_where_passkeys_are_on(run: Run, tmp_path: Path) -> None:
    env: dict[str, Any] = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    assert "passes" not in {check["name"] for check in run("doctor", "--json", env=env).document["checks"]}
    env |= {"DOCKREV_PASSKEYS": "on", "DOCKREV_PASS_KEY_PATH": str(tmp_path / "passes" / "supervisor.key")}
    [found] = run("doctor", "--json", "--only", "passes", env=env).document["checks"]
    assert found["status"] == "warn" and "engine" in found["text"]
    assert not (tmp_path / "passes").exists(), "nothing is made"
    (tmp_path / "passes").mkdir()
    (tmp_path / "passes" / "supervisor.key").write_bytes(os.urandom(32))
    (tmp_path / "passes" / "supervisor.key").chmod(0o666)
    [found] = run("doctor", "--json", "--only", "passes", env=env).document["checks"]
    assert found["status"] == "fail" and "everybody" in found["text"]
