"""The Compose adapter with real Compose: 2.26 on API 1.41, and the newest that can be had."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.compose import (
    Compose,
    ComposeCommandFailed,
    Project,
    model_from_config,
    override_file,
    pull_message,
    read_model,
    staged_docker_config,
)
from app.adapters.engine import Engine, PullProgress
from tests.lab.lab import Lab
from tests.lab.stacks import Stack

pytestmark = pytest.mark.lab

BASE = """
services:
  web:
    image: {host}/compose/paperboy:${{TAG:-9.9}}
    depends_on:
      db: {{condition: service_healthy}}
    volumes: ["data:/data", "./conf:/conf:ro", "named:/named"]
    environment: {{SECRET: "hunter22"}}
  db:
    image: {host}/compose/paperboy:1.0
    labels: {{price: "5$$"}}
  tool:
    image: {host}/compose/private:1
    profiles: [debug]
volumes:
  data:
  named: {{name: my-own-name}}
"""
OVERRIDE = """
services:
  web:
    volumes: ["other:/data"]
volumes:
  other:
"""


@pytest.fixture(params=["docker-compose", "docker"])
async def compose(request: pytest.FixtureRequest, each_lab: Lab) -> AsyncIterator[Compose]:
    """Both ways to call it, with staged logins that also hold the plugin."""
    binary = each_lab.compose_bin if request.param == "docker-compose" else each_lab.docker_bin
    async with staged_docker_config(each_lab.docker_config / "config.json") as folder:
        yield Compose(str(binary), docker_host=each_lab.docker_host, docker_config=folder)


@pytest.fixture
def stack(each_lab: Lab) -> Stack:
    samples, registry = each_lab.samples("paperboy"), each_lab.registry
    for version in ("1.0", "1.1"):
        registry.publish("compose/paperboy", version, samples.good(f"{version}.0"))
    each_lab.private_registry.publish("compose/private", "1", samples.good("1.0.0"))
    base = BASE.format(host=registry.host)
    made = each_lab.stack("composelab", base.replace(f"{registry.host}/compose/private", _private(each_lab)))
    made.write(OVERRIDE, "more.yaml")
    made.write("TAG=1.0", ".env")
    return made


def _private(lab: Lab) -> str:
    return f"{lab.private_registry.host}/compose/private"


def project_of(stack: Stack, *files: str) -> Project:
    return Project(stack.name, (stack.file, *(stack.folder / name for name in files)))


async def test_files_and_cli_agree_on_the_model(
    compose: Compose, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAG", "from-dockrevs-own-environment")
    monkeypatch.setenv("COMPOSE_FILE", "/none.yaml")
    project = project_of(stack, "more.yaml")
    told, read = model_from_config(await compose.config(project)), read_model(project.files)
    by_target = {
        name: (spec.image, dict(spec.depends_on), {m.target: m for m in spec.volumes}, spec.profiles)
        for name, spec in told.services.items()
    }
    assert by_target == {
        name: (spec.image, dict(spec.depends_on), {m.target: m for m in spec.volumes}, spec.profiles)
        for name, spec in read.services.items()
    }
    assert read.services["web"].image is not None
    assert read.services["web"].image.endswith("/compose/paperboy:1.0")
    assert set(told.services) == {"web", "db", "tool"}, "services of profiles are part of the model"
    for key in ("data", "other", "named"):
        if key in told.volumes:
            assert told.volume_name(key, stack.name) == read.volume_name(key, stack.name)


async def test_an_update_by_digest_and_back(each_lab: Lab, compose: Compose, stack: Stack) -> None:
    stack.up(wait=True)
    engine, project = Engine(each_lab.docker_host), project_of(stack)
    (old,) = await compose.ps_ids(project, "web")
    (db,) = await compose.ps_ids(project, "db")
    each_lab.docker("image", "rm", "-f", each_lab.registry.ref("compose/paperboy", "1.1"), check=False)
    digest = each_lab.registry.digest("compose/paperboy", "1.1")
    progress, commands = PullProgress(), list[str]()

    def on_line(line: str) -> None:
        if (message := pull_message(line)) is not None:
            progress.feed(message)

    async with override_file({"web": f"{each_lab.registry.host}/compose/paperboy@{digest}"}) as override:
        await compose.pull(project, ["web"], override=override, on_line=on_line, on_command=commands.append)
        result = await compose.up(project, ["web"], override=override, on_command=commands.append)
    assert "status=0" in compose.outcome(result)
    assert [command.split()[-1] for command in commands] == ["web", "web"]
    (new,) = await compose.ps_ids(project, "web")
    assert new != old
    assert await compose.ps_ids(project, "db") == [db], "dependencies are left alone"
    detail = await engine.container(new)
    assert detail.image_ref.endswith(digest)
    assert detail.labels["org.opencontainers.image.version"] == "1.1.0"
    assert str(override) in detail.labels["com.docker.compose.project.config_files"]

    await compose.up(project, ["web"])
    (back,) = await compose.ps_ids(project, "web")
    assert (await engine.container(back)).image_ref.endswith(":1.0")
    await compose.stop(project, ["web"])
    assert await compose.ps_ids(project, "web") == []
    assert await compose.ps_ids(project, "web", all=True) == [back]
    await compose.start(project, ["web"])
    assert (await engine.container(back)).running
    await engine.close()


async def test_the_words_of_a_pull_add_up(each_lab: Lab, compose: Compose) -> None:
    each_lab.registry.publish("compose/big", "1", each_lab.samples("album").big("1.0.0"))
    ref = each_lab.registry.ref("compose/big", "1")
    each_lab.docker("image", "rm", "-f", ref, check=False)
    stack = each_lab.stack("composebig", f"services: {{web: {{image: '{ref}'}}}}")
    progress, fractions = PullProgress(), list[float]()

    def on_line(line: str) -> None:
        if (message := pull_message(line)) is not None:
            progress.feed(message)
            if progress.fraction is not None:
                fractions.append(progress.fraction)

    await compose.pull(project_of(stack), ["web"], on_line=on_line)
    assert fractions == sorted(fractions)
    assert progress.download()["completedLayers"] == progress.download()["totalLayers"] >= 4
    each_lab.docker("image", "rm", "-f", ref)


async def test_logins_reach_the_cli(each_lab: Lab, compose: Compose, stack: Stack, tmp_path: Path) -> None:
    each_lab.docker("image", "rm", "-f", f"{_private(each_lab)}:1", check=False)
    async with staged_docker_config(tmp_path / "none.json") as empty:
        (empty / "cli-plugins/docker-compose").unlink(missing_ok=True)
        (empty / "cli-plugins/docker-compose").symlink_to(each_lab.compose_bin)
        with pytest.raises(ComposeCommandFailed) as caught:
            await compose.with_docker_config(empty).pull(project_of(stack), ["tool"])
    assert "no basic auth credentials" in caught.value.message
    await compose.pull(project_of(stack), ["tool"])


async def test_failures_speak(compose: Compose, stack: Stack) -> None:
    with pytest.raises(ComposeCommandFailed) as caught:
        await compose.ps_ids(project_of(stack), "nobody")
    assert "no such service: nobody" in caught.value.message
    stack.write("services: {web: {image: x, depends_on: [missing]}}", "broken.yaml")
    with pytest.raises(ComposeCommandFailed) as caught:
        await compose.config(Project(stack.name, (stack.folder / "broken.yaml",)))
    assert "missing" in caught.value.message
    with pytest.raises(ComposeCommandFailed):
        await compose.config(Project(stack.name, (stack.folder / "none.yaml",)))
