"""Dockrev's own image, as somebody runs it: small, not root, writing to /data alone, gone at once when stopped."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab import own_image
from tests.lab.debian_image import debian_image
from tests.lab.errors import CommandFailed
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT
from tests.lab.registry import free_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
SLIM_MB = 160


class Running:
    """A container of the image with the lab's socket, and its address."""

    def __init__(self, lab: Lab, image: str, *arguments: str, command: tuple[str, ...] = ()) -> None:
        self.lab = lab
        self.port = free_port()
        socket = lab.docker_host.removeprefix("unix://")
        group = str(Path(socket).stat().st_gid)
        self.id = lab.docker(
            *("run", "--detach", *LOCKED_DOWN, "--group-add", group, "--volume", f"{socket}:/var/run/docker.sock"),
            *("--publish", f"127.0.0.1:{self.port}:50883", *arguments, image, *command),
        ).strip()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False, headers={"Remote-User": "alice"}
        )

    def inspect(self, *path: str) -> Any:
        """A part of what the engine knows of the container."""
        found = json.loads(self.lab.docker("inspect", self.id))[0]
        for name in path:
            found = found[name]
        return found

    def wait(self, good: Callable[[], bool], what: str, seconds: float = 45) -> None:
        """Until it is so."""
        deadline = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < deadline, f"{what}\n{self.logs()}"
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether the server is up."""
        try:
            return self.http.get("/api/health").status_code == 200
        except httpx.TransportError:
            return False

    def logs(self) -> str:
        return self.lab.docker("logs", self.id)

    def exec(self, *words: str) -> str:
        return self.lab.docker("exec", self.id, *words)


@pytest.fixture
def start(lab: Lab, own: dict[str, str]) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def run(version: str = "0.1.0", *arguments: str, command: tuple[str, ...] = ()) -> Running:
        settings = {"AUTH_ALLOWED_USER": "alice", "AUTH_FORWARD_HEADER_NAME": "Remote-User"}
        given = [part for key, value in settings.items() for part in ("--env", f"DOCKREV_{key}={value}")]
        started.append(Running(lab, own[version], *given, *arguments, command=command))
        return started[-1]

    yield run
    for each in started:
        each.http.close()
        lab.docker("rm", "--force", "--volumes", each.id, check=False)


def test_labels_tell_what_it_is(lab: Lab, own: dict[str, str]) -> None:
    for version in own_image.GOOD:
        config = json.loads(lab.docker("image", "inspect", own[version]))[0]["Config"]
        labels = config["Labels"]
        assert labels["org.opencontainers.image.version"] == version
        assert labels["org.opencontainers.image.title"] == "Dockrev"
        assert labels["org.opencontainers.image.licenses"] == "MIT"
        assert labels["org.opencontainers.image.revision"] == own_image.revision()
        assert labels["org.opencontainers.image.source"].startswith("https://")
        assert labels["org.dockrev.schema"] == own_image.schema()
        assert config["User"] == "1000:1000"
        assert set(config["Volumes"]) == {"/data"}
        assert lab.docker("run", "--rm", own[version], "version").strip() == version


def test_a_build_with_another_schema_is_refused(lab: Lab, own: dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match="this tree has schema"):
        own_image.docker_build(lab, "lab/dockrev:wrong", {"BASE": debian_image(lab), "SCHEMA": "0000"}, "schema")
    own_image.docker_build(
        lab, "lab/dockrev:right", {"BASE": debian_image(lab), "SCHEMA": own_image.schema()}, "schema"
    )


def test_it_is_small_and_brings_no_tools_to_build_with(lab: Lab, own: dict[str, str]) -> None:
    sizes = own_image.sizes(lab)
    print(json.dumps(sizes))
    assert sizes["slim"] < SLIM_MB
    assert sizes["full"] - sizes["slim"] == pytest.approx(sizes["tools"], abs=1)
    code = (
        "import shutil, importlib.util as i, pathlib as p; "
        "print([n for n in ('sh','gcc','cc','apt-get','pip','curl','wget') if shutil.which(n)],"
        "[n for n in ('pip','setuptools','ensurepip') if i.find_spec(n)])"
    )
    shown = lab.docker("run", "--rm", "--entrypoint", "python3", own["0.1.0"], "-c", code)
    assert shown.strip() == "[] []"
    slim = ("run", "--rm", "--entrypoint", "python3", f"{own_image.LOCAL}:0.1.0-slim")
    assert lab.docker(*slim, "-c", "import shutil; print(shutil.which('docker'))").strip() == "None"


def test_locked_down_it_serves_pages_api_and_the_stacks_of_the_engine(
    clean_lab: Lab, start: Callable[..., Running]
) -> None:
    samples = clean_lab.samples("paperboy")
    clean_lab.registry.publish("homelab/paperboy", "1.4", samples.good("1.4.0"))
    yaml = f"services: {{web: {{image: {clean_lab.registry.ref('homelab/paperboy', '1.4')}}}}}"
    news = clean_lab.stack("news", yaml).up()
    began = time.monotonic()
    dockrev = start("0.1.0", "--volume", f"{news.folder}:{news.folder}:ro")
    dockrev.wait(dockrev.answers, "no answer")
    first_answer = time.monotonic() - began

    def found() -> bool:
        return any(stack["name"] == news.name for stack in dockrev.http.get("/api/stacks").json()["stacks"])

    dockrev.wait(found, "the stack is not discovered")
    page = dockrev.http.get("/services", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "web" in page.text
    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
    assert style
    assert dockrev.http.get(style[1]).headers["content-type"].startswith("text/css")
    memory = int(dockrev.exec("python3", "-c", "print(open('/proc/1/status').read().split('VmRSS:')[1].split()[0])"))
    assert dockrev.http.get("/schema/openapi.json").json()["info"]["version"]
    assert dockrev.http.get("/api/stacks", headers={"Remote-User": "mallory"}).status_code == 401
    dockrev.wait(lambda: bool(dockrev.inspect("State", "Health", "Status") == "healthy"), "never healthy")

    report = json.loads(dockrev.exec("dockrev", "doctor", "--json"))
    assert report["ok"], report
    assert {check["name"]: check["status"] for check in report["checks"]}["files"] == "ok"
    for program in (("docker", "compose"), ("docker-compose",)):
        assert re.search(r"version v?2\.", dockrev.exec(*program, "version"))

    script = "import os; print(os.getuid(), os.getgid(), os.access('/opt', os.W_OK), os.access('/data', os.W_OK))"
    assert dockrev.exec("python3", "-c", script).strip() == "1000 1000 False True"
    bytecode = (
        "import os, json, litestar.app as a, app.main as m; print([os.path.exists(x.__cached__) for x in (a, m, json)])"
    )
    assert dockrev.exec("python3", "-c", bytecode).strip() == "[True, True, True]"

    began = time.monotonic()
    clean_lab.docker("stop", "--time", "20", dockrev.id)
    stopping = time.monotonic() - began
    assert stopping < 5
    assert dockrev.inspect("State", "ExitCode") == 0
    print(f"first answer {first_answer:.1f} s, memory {memory / 1000:.0f} MB, stop {stopping:.1f} s")


def test_a_stop_while_it_starts_is_heard_too(lab: Lab, start: Callable[..., Running]) -> None:
    dockrev = start("0.1.0", "--init")
    began = time.monotonic()
    lab.docker("stop", "--time", "20", dockrev.id)
    assert time.monotonic() - began < 5


def test_its_data_outlives_the_container_and_an_upgrade(lab: Lab, start: Callable[..., Running]) -> None:
    volume = "dockrev-data"
    try:
        first = start("0.1.0", "--volume", f"{volume}:/data")
        first.wait(first.answers, "no answer")
        rule = {
            "enabled": True,
            "scope": {"type": "service", "serviceId": "svc_1"},
            "match": {"kind": "exact", "value": "9.9.9"},
        }
        written = first.http.post("/api/ignores", json=rule)
        assert written.status_code == 200, written.text
        lab.docker("rm", "--force", first.id)
        second = start("0.2.0", "--volume", f"{volume}:/data")
        second.wait(second.answers, "no answer")
        assert second.http.get("/api/version").json()["version"] == "0.2.0"
        assert [found["id"] for found in second.http.get("/api/ignores").json()["rules"]] == [written.json()["ruleId"]]
    finally:
        for running in lab.docker("ps", "--all", "--quiet", "--filter", f"volume={volume}").split():
            lab.docker("rm", "--force", running)
        lab.docker("volume", "rm", "--force", volume)


def test_its_own_backup_is_taken_while_it_runs_and_restored_when_it_does_not(
    lab: Lab, own: dict[str, str], start: Callable[..., Running]
) -> None:
    volume = "dockrev-backup"

    def alone(*words: str) -> str:
        mount = ("--volume", f"{volume}:/data")
        return lab.docker("run", "--rm", *LOCKED_DOWN, *mount, own["0.1.0"], *words)

    try:
        dockrev = start("0.1.0", "--volume", f"{volume}:/data")
        dockrev.wait(dockrev.answers, "no answer")
        rule = {"scope": {"type": "service", "serviceId": "svc_1"}, "match": {"kind": "exact", "value": "1"}}
        kept = dockrev.http.post("/api/ignores", json=rule).json()["ruleId"]
        dockrev.exec("dockrev", "backup", "/data/kept.backup")
        assert dockrev.http.request("DELETE", "/api/ignores", json={"ruleId": kept}).json() == {"deleted": True}
        with pytest.raises(CommandFailed) as refused:
            alone("restore", "/data/kept.backup", "--yes")
        assert refused.value.code == 4
        lab.docker("rm", "--force", dockrev.id)
        assert "is in place" in alone("restore", "/data/kept.backup", "--yes")
        again = start("0.1.0", "--volume", f"{volume}:/data")
        again.wait(again.answers, "no answer")
        assert [found["id"] for found in again.http.get("/api/ignores").json()["rules"]] == [kept]
    finally:
        for running in lab.docker("ps", "--all", "--quiet", "--filter", f"volume={volume}").split():
            lab.docker("rm", "--force", running)
        lab.docker("volume", "rm", "--force", volume)


def test_one_that_never_answers_never_gets_healthy(lab: Lab, start: Callable[..., Running]) -> None:
    broken = start(own_image.SILENT, "--health-interval", "1s", "--health-start-period", "1ms")
    broken.wait(lambda: bool(broken.inspect("State", "Health", "Status") == "unhealthy"), "not unhealthy")
    assert "/api/health at 127.0.0.1:50883" in broken.inspect("State", "Health", "Log")[-1]["Output"]


def test_the_same_image_is_the_supervisor(start: Callable[..., Running]) -> None:
    supervisor = start("0.1.0", "--health-interval", "1s", command=("supervisor",))
    supervisor.wait(lambda: bool(supervisor.inspect("State", "Health", "Status") == "healthy"), "never healthy")
    memory = supervisor.exec("python3", "-c", "print(open('/proc/1/status').read().split('VmRSS:')[1].split()[0])")
    print(f"supervisor {int(memory) / 1000:.0f} MB")
    assert int(memory) < 90_000


def test_the_containerfiles_version_is_this_trees() -> None:
    text = (PROJECT / "Containerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE)) == {own_image.own_version()}
