"""The recipes of docs/api.md, as they stand there: curl and jq in a shell, `dockrev serve` on a real engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.lab.lab import Lab
from tests.lab.test_crash import Server, server

__all__ = ["server"]
pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

DOC: Final = Path(__file__).resolve().parents[2] / "docs" / "api.md"
MARK: Final = "=== "
INFERRED: Final = """
until curl -fsS -H 'Accept: application/json' "$D/services?state=updatable" | jq -e '.groups | length > 0' >/dev/null
do sleep 0.2; done
"""


def recipes() -> dict[str, str]:
    """Heading → its shell block, up to the lines that are tested one by one."""
    text = DOC.read_text(encoding="utf-8").partition("## The rest, line by line")[0]
    found: dict[str, str] = {}
    heading = ""
    for line in re.findall(r"^```sh\n.*?^```$|^##[^\n]+", text, re.MULTILINE | re.DOTALL):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        else:
            assert heading not in found, f"two blocks under {heading}"
            found[heading] = line.removeprefix("```sh\n").removesuffix("```")
    return found


def script(project: str, url: str) -> str:
    """All of them after each other, each after its name; the version of the candidate is waited for once."""
    parts = ["set -euo pipefail"]
    for heading, block in recipes().items():
        asked = block.replace("D=http://127.0.0.1:50883", f"D={url}").replace('"news"', json.dumps(project))
        parts += [f"echo '{MARK}{heading}'", INFERRED if heading == "List what has updates" else "", asked]
    return "\n".join(parts)


def test_every_recipe_does_what_it_says(clean_lab: Lab, server: Server, tmp_path: Path) -> None:
    if shutil.which("jq") is None or shutil.which("curl") is None:
        # curl and jq are what a reader of the recipes has; without them there is no line that could be run.
        pytest.skip("the recipes are for a shell with curl and jq, and this machine does not have both")
    lab, samples = clean_lab, clean_lab.samples("recipes")
    lab.registry.publish("recipes/web", ["1", "1.0.0"], samples.good("1.0.0"))
    ref = lab.registry.ref("recipes/web", "1")
    stack = lab.stack("news", f"services: {{web: {{image: '{ref}'}}}}")
    stack.up(wait=True)
    lab.registry.publish("recipes/web", ["1", "1.1.0"], samples.good("1.1.0"))
    ran = subprocess.run(
        ["bash", "-c", script(stack.name, str(server.http.base_url).rstrip("/"))],
        cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    told = dict(part.partition("\n")[::2] for part in ran.stdout.split(MARK)[1:])
    assert ran.returncode == 0, f"{list(told)[-1:]}: {ran.stdout[-1500:]}\n{ran.stderr[-1500:]}"
    assert list(told) == list(recipes())
    assert told["Look for stacks"] == told["Check now and wait"] == "success\n"
    assert told["List what has updates"] == f"{stack.name}/web 1.0.0 1.1.0\n"
    assert re.fullmatch(r"stk_\w+ svc_\w+\n", told["Find the id of a service"])
    assert told["See what an update would do"].startswith("success\n")
    assert json.loads(told["See what an update would do"].partition("\n")[2])["mode"] == "dry-run"
    followed = told["Update one service and follow its job"]
    assert followed.endswith("success\n") and followed.count("\n") > 3, followed
    assert json.loads(told["Stop an update"])["error"]["details"]["reason"] == "job_finished"
    target, _, ended = told["Roll back"].partition("\n")
    assert json.loads(target)["available"] is True
    assert ended == "success\n"
    rule, deleted = told["Ignore a version, and no longer"].splitlines()
    assert json.loads(rule)["match"] == {"kind": "prefix", "value": "2."}
    assert json.loads(deleted) == {"deleted": True}
    assert told["Archive a service, and bring it back"].count('{"ok":true}') == 2
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z info  ", (tmp_path / "job.log").read_text())
    assert "dockrev_engine_up 1.0" in told["Metrics"]
    counts = json.loads(told["Dashboards"])
    assert (counts["services"], counts["updates"], counts["engineReachable"]) == (1, 1, True)
    (container,) = lab.docker("ps", "-q", "--filter", f"label=com.docker.compose.project={stack.name}").split()
    assert lab.docker("exec", container, "cat", "/app/version").strip() == "1.0.0", "it was rolled back"


def test_the_recipes_cover_the_main_tasks() -> None:
    assert list(recipes()) == [
        "Recipes", "Look for stacks", "Check now and wait", "List what has updates", "Find the id of a service",
        "See what an update would do", "Update one service and follow its job", "Stop an update", "Roll back",
        "Ignore a version, and no longer", "Archive a service, and bring it back", "Keep the log of a job", "Metrics",
        "Dashboards",
    ]  # fmt: skip
