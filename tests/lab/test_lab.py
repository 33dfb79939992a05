"""The lab does what its tests rely on: real containers, real registries, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.lab.errors import CommandFailed
from tests.lab.families import FAMILIES, publish_family
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT
from tests.lab.registry import free_port

pytestmark = pytest.mark.lab


def wait_for(what: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def state(lab: Lab, container: str) -> dict[str, object]:
    (found,) = json.loads(lab.docker("container", "inspect", container))
    return dict(found["State"]) | {"RestartCount": found["RestartCount"]}


def service(image: str, **more: object) -> dict[str, object]:
    return {"image": image, **more}


def project(services: dict[str, object], **more: object) -> str:
    return json.dumps({"services": services, **more})


def test_containers_have_networks_ports_volumes_and_health(each_lab: Lab, tmp_path: Path) -> None:
    lab, port = each_lab, free_port()
    lab.registry.publish("lab/paperboy", "1.4", lab.samples("paperboy").good("1.4.0"))
    image = lab.registry.ref("lab/paperboy", "1.4")
    (tmp_path / "note").write_text("from the host")
    stack = lab.stack(
        "plain",
        project(
            {
                "web": service(image, ports=[f"127.0.0.1:{port}:80"], volumes=["kept:/data", f"{tmp_path}:/note:ro"]),
                "side": service(image, depends_on={"web": {"condition": "service_healthy"}}),
            },
            volumes={"kept": {}},
        ),
    ).up(wait=True)
    assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text == "paperboy 1.4.0\n"
    assert stack.compose("exec", "-T", "side", "wget", "-qO-", "http://web/") == "paperboy 1.4.0\n"
    assert stack.compose("exec", "-T", "web", "cat", "/note/note") == "from the host"
    started = time.monotonic()
    stack.compose("stop")
    assert time.monotonic() - started < 9, "the samples stop at once on SIGTERM"


def test_the_engines_speak_the_versions_they_stand_for(each_lab: Lab) -> None:
    version = each_lab.docker("version", "--format", "{{.Server.APIVersion}}").strip()
    if each_lab.choice == "debian":
        assert version == "1.41"
    elif each_lab.choice == "new":
        assert tuple(map(int, version.split("."))) >= (1, 44)


def test_compose_runs_alone_and_as_a_plugin(clean_lab: Lab) -> None:
    alone = subprocess.run([clean_lab.compose_bin, "version", "--short"], capture_output=True, text=True, timeout=20)
    assert clean_lab.compose_bin.name == "docker-compose"
    assert alone.stdout.startswith("2.")
    assert clean_lab.docker("compose", "version", "--short") == alone.stdout


def test_each_sample_behaves_as_named(clean_lab: Lab) -> None:
    lab = clean_lab
    samples = lab.samples("actor")
    specs = {
        "good": samples.good("1"),
        "sick": samples.never_healthy("1"),
        "plain": samples.no_healthcheck("1"),
        "crash": samples.crash_looping("1"),
        "slow": samples.slow_start("1", 3),
    }
    for name, spec in specs.items():
        lab.registry.publish(f"lab/{name}", "1", spec)
    stack = lab.stack(
        "actors", project({name: service(lab.registry.ref(f"lab/{name}", "1"), restart="always") for name in specs})
    ).up()
    ids = {name: stack.container_ids(name)[0] for name in specs}

    def health(name: str) -> object:
        found = state(lab, ids[name]).get("Health")
        return found["Status"] if isinstance(found, dict) else None

    wait_for(lambda: health("good") == "healthy")
    assert health("slow") == "starting"
    wait_for(lambda: health("sick") == "unhealthy")
    wait_for(lambda: health("slow") == "healthy")
    assert health("plain") is None and state(lab, ids["plain"])["Running"] is True
    wait_for(lambda: state(lab, ids["crash"])["RestartCount"] not in (0, 1))
    assert "fatal: setting HOMEPAGE_TITLE is missing" in stack.compose("logs", "crash")
    assert "migration 7 failed" in json.dumps(state(lab, ids["sick"])["Health"])


def test_indexes_run_and_the_wrong_architecture_does_not(each_lab: Lab) -> None:
    lab, samples = each_lab, each_lab.samples("larder")
    both = [samples.good("1"), samples.for_arch("1", "arm64")]
    digest = lab.registry.publish_index("lab/larder", "1", both, attestations=True)
    lab.registry.publish_index("lab/foreign", "1", [samples.for_arch("1", "s390x")])
    lab.stack("multi", project({"a": service(lab.registry.ref("lab/larder", "1"))})).up(wait=True)
    (image,) = json.loads(lab.docker("image", "inspect", lab.registry.ref("lab/larder", "1")))
    assert image["RepoDigests"] == [f"{lab.registry.host}/lab/larder@{digest}"]
    with pytest.raises(CommandFailed, match="no matching manifest"):
        lab.docker("pull", lab.registry.ref("lab/foreign", "1"))


def test_tags_move_and_go(lab: Lab) -> None:
    registry, samples = lab.registry, lab.samples()
    first = registry.publish("lab/moving", ["1.0.0", "latest"], samples.good("1.0.0"))
    second = registry.publish("lab/moving", "1.1.0", samples.good("1.1.0"))
    assert first != second
    assert registry.retag("lab/moving", "1.1.0", "latest") == registry.digest("lab/moving", "latest") == second
    registry.delete_tag("lab/moving", "1.1.0")
    assert registry.tags("lab/moving") == ["1.0.0", "latest"]
    assert registry.digest("lab/moving", second) == second


def test_hundreds_of_tags_take_a_moment(lab: Lab) -> None:
    started = time.monotonic()
    made = lab.registry.publish_many("lab/many", [f"1.{n}.0" for n in range(305)], lab.samples().good("1"))
    assert time.monotonic() - started < 3
    assert len(set(made.values())) == 305 == len(lab.registry.tags("lab/many"))
    assert lab.registry.digest("lab/many", "1.7.0") == made["1.7.0"]


@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_versions(lab: Lab, name: str) -> None:
    family = FAMILIES[name]  # type: ignore[index]
    made = publish_family(lab.registry, f"lab/family-{name.replace('_', '-')}", name, lab.samples(name))  # type: ignore[arg-type]
    assert len({made[version] for version in family.versions}) == len(family.versions)
    assert all(made[tag] == made[version] for tag, version in family.floating.items())


def test_the_private_registry_wants_its_password(clean_lab: Lab) -> None:
    lab, private = clean_lab, clean_lab.private_registry
    private.publish("vault/safe", "1", lab.samples("safe").good("1"))
    anonymous = httpx.get(f"{private.url}/v2/vault/safe/tags/list", trust_env=False)
    assert anonymous.status_code == 401 and anonymous.headers["WWW-Authenticate"].startswith("Basic ")
    lab.stack("vault", project({"safe": service(private.ref("vault/safe", "1"))})).up(wait=True)


def test_stacks_are_taken_down_whatever_their_state(lab: Lab) -> None:
    lab.registry.publish("lab/loop", "1", lab.samples().crash_looping("1"))
    lab.stack("loop", project({"a": service(lab.registry.ref("lab/loop", "1"), restart="always")})).up()
    lab.down_all()
    assert "lab/loop" not in lab.docker("ps", "--all")


def _leftovers(folder: str) -> list[str]:
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if folder in line]
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if folder.encode() in words:
            processes.append(words.decode(errors="replace"))
    return [*mounts, *processes, *([folder] if Path(folder).exists() else [])]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_owner_is_killed(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    if lab.choice == "host":
        # The test kills the lab's owner and looks for what is left; the owner's real engine is not ours to kill.
        pytest.skip("the machine's own engine stays")
    env_file = tmp_path / "env"
    command = [sys.executable, "-m", "tests.lab.up", "--engine", lab.choice, "--env-file", str(env_file)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as owner:
        wait_for(env_file.exists)
        values = dict(
            line.removeprefix("export ").split("=", 1) for line in env_file.read_text().splitlines() if "=" in line
        )
        folder = values["LAB_FOLDER"]
        assert _leftovers(folder), "the processes are found while they run"
        os.kill(owner.pid, number)
        owner.wait(10)
    wait_for(lambda: not _leftovers(folder))


def test_the_sandbox_serves_four_stacks_and_cleans_up(lab: Lab, tmp_path: Path) -> None:
    program, seen = tmp_path / "dockrev", tmp_path / "seen"
    program.write_text(
        f"#!/bin/sh\ntrap 'echo ended >> {seen}; exit 0' TERM\n"
        f"docker ps --format '{{{{.Names}}}}' > {seen}; env | grep DOCKREV_ >> {seen}\n"
        "while :; do sleep 0.1; done\n"
    )
    program.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from tests.lab import sandbox; sandbox.raise_on_sigterm();"
        f"sys.exit(sandbox.run(Path({str(program)!r})))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "DOCKREV_LAB_ENGINE": lab.choice, "DOCKREV_HTTP_ADDR": "127.0.0.1:1"},
    ) as owner:  # fmt: skip
        wait_for(lambda: seen.exists() and "DOCKREV_SANDBOX=1" in seen.read_text(), 60)
        owner.send_signal(signal.SIGTERM)
        output, _ = owner.communicate(timeout=30)
    text = seen.read_text()
    assert owner.returncode == 0
    for name in ("news-paperboy-1", "news-inkwell-1", "photos-lightbox-1", "pantry-larder-1", "gatehouse-porter-1"):
        assert name in text
    assert text.endswith("ended\n"), "Dockrev is asked to end before its engine goes"
    folder = next(line for line in text.splitlines() if line.startswith("DOCKREV_DB_PATH=")).split("=")[1]
    assert not _leftovers(str(Path(folder).parent))
    assert "Everything it started is gone." in output
