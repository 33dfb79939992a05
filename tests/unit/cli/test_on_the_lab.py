"""The command line on the lab: doctor, a check done here once, an update, a backup's restore."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.unit.cli.conftest import Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]


@pytest.fixture
def lab_env(clean_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name, value in clean_lab.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKREV_HTTP_ADDR", "127.0.0.1:1")  # nobody listens there
    monkeypatch.setenv("DOCKREV_BACKUP_DIR", str(tmp_path / "backups"))
    return clean_lab


def test_check_update_and_restore_without_a_running_dockrev(lab_env: Lab, run: Run) -> None:
    lab, name = lab_env, "cli/press"
    samples = lab.samples("press")
    lab.registry.publish(name, ["1", "1.0.0"], samples.good("1.0.0"))
    image = lab.registry.ref(name, "1")
    services = f"services: {{press: {{image: '{image}', volumes: ['ink:/ink']}}}}\nvolumes: {{ink: {{}}}}"
    lab.stack("paper", services).up(wait=True)
    found = {check["name"]: check["status"] for check in run("doctor", "--json").document["checks"]}
    assert set(found.values()) == {"ok"}, found

    lab.registry.publish(name, ["1", "1.1.0"], samples.good("1.1.0"))
    checked = run("check", "--service", "paper/press", "--exit-code", "--json")
    assert (checked.code, checked.document["updates"]) == (5, 1)

    lab.docker("exec", "paper-press-1", "sh", "-c", "echo black > /ink/colour")
    updated = run("update", "--service", "paper/press", "--yes", "--backup", "force", "--json")
    assert updated.code == 0, updated.err
    assert {check["status"] for check in run("doctor", "--json").document["checks"]} == {"ok"}

    lab.docker("exec", "paper-press-1", "sh", "-c", "echo red > /ink/colour")
    listed = run("backups", "list", "--stack", "paper", "--json")
    assert listed.code == 0, listed.err
    (backup,) = listed.document["backups"]
    assert run("backups", "restore", backup["id"], "--yes").code == 0
    assert "black" in str(lab.docker("exec", "paper-press-1", "cat", "/ink/colour"))
