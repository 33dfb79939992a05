"""What doctor says of the key that Dockrev and its supervisor share."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from app.adapters.engine import Mount
from app.features.passkeys.pass_check import Seen, Verdict, judge, place_of, same_key
from tests.unit.cli.conftest import Run

KEY = PurePosixPath("/data/passes/supervisor.key")
ON = {"DOCKREV_PASSKEYS": "on", "DOCKREV_SUPERVISOR_STATE_PATH": "/data/supervisor/self-upgrade.json"}


def volume(source: str, destination: str, kind: str = "volume") -> Mount:
    return Mount(kind, source.rpartition("/")[2], source, destination, True)


DATA, PASSES = volume("/v/data", "/data"), volume("/v/passes", "/data/passes")
OWN = Seen("dockrev", (DATA, PASSES), ON)


def told(*mounts: Mount, step_up: bool = False, **variables: str) -> Verdict:
    other = Seen("supervisor", mounts, {**ON, **variables})
    return judge(OWN, KEY, [other], step_up=step_up)


def test_one_file_for_both_is_well() -> None:
    assert told(PASSES).health == "ok"
    assert told(volume("/v/passes", "/keys"), DOCKREV_PASS_KEY_PATH="/keys/supervisor.key").health == "ok"
    assert told(PASSES, DOCKREV_PASSKEYS_STEP_UP="true", step_up=True).health == "ok"


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
    verdict = judge(OWN, KEY, [Seen("supervisor", mounts, {**ON, **variables})], step_up=False)
    assert verdict.health == "fail" and words in verdict.text and "DOCKREV_PASS" in verdict.remedy


def test_a_touch_for_one_alone_and_no_supervisor_are_warned_of() -> None:
    assert told(PASSES, step_up=True).health == "ok", "the pass says what Dockrev asks for"
    assert told(PASSES, DOCKREV_PASSKEYS_STEP_UP="on").health == "warn"
    assert judge(OWN, KEY, [], step_up=False).health == "warn"
    bare = Seen("dockrev", (), ON)
    assert judge(bare, KEY, [Seen("supervisor", (), ON)], step_up=False).health == "fail", "each has a file of its own"


def test_what_the_supervisor_reads_decides() -> None:
    well = told(PASSES)
    assert same_key(well, "one", "aaaa1111", None) == well, "it does not tell"
    assert same_key(well, "one", "", "bbbb2222") == well, "Dockrev has made none yet"
    assert same_key(well, "one", "aaaa1111", "aaaa1111").text.endswith("both read the key aaaa1111")
    other, none = same_key(well, "one", "aaaa1111", "bbbb2222"), same_key(well, "one", "aaaa1111", "")
    assert other.health == none.health == "fail" and "bbbb2222" in other.text and "same user" in none.remedy
    worse = told(volume("/v/other", "/data/passes"))
    assert same_key(worse, "one", "aaaa1111", "aaaa1111") == worse


def test_where_a_supervisor_is_asked() -> None:
    seen = Seen("supervisor", (), ON, hosts=["172.20.0.3", ""])
    assert seen.addresses() == ["http://172.20.0.3:50884/supervisor/self-upgrade"]
    moved = {**ON, "DOCKREV_SUPERVISOR_HTTP_ADDR": "0.0.0.0:9", "DOCKREV_SUPERVISOR_BASE_PATH": "/up/"}
    assert Seen("supervisor", (), moved, hosts=["h"]).addresses() == ["http://h:9/up/self-upgrade"]


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
