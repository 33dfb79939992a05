"""The CLI runner, on a small program that does as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.compose import (
    Compose,
    ComposeCommandFailed,
    ComposeInvalidName,
    ComposeMissing,
    ComposeTimeout,
    Project,
)

NEWS = Project("news", (Path("/srv/news/compose.yaml"), Path("/srv/news/more.yaml")))

Program = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Writes a fake Compose: notes arguments and environment, then runs `body`."""

    def write(body: str = "", *, name: str = "docker-compose", version: str = "2.26.1") -> Path:
        path = tmp_path / name
        path.write_text(
            "#!/bin/sh\n"
            f'case " $* " in *" version --short "*) echo probe >>{tmp_path}/probes; {version_body(version)};; esac\n'
            f'for a in "$@"; do printf \'%s\\n\' "$a"; done >{tmp_path}/arguments\n'
            f"env >{tmp_path}/environment; pwd >{tmp_path}/folder\n"
            f"{body}\n"
        )
        path.chmod(0o755)
        return path

    return write


def version_body(version: str) -> str:
    return f"echo {version}; exit 0" if version else "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"


def arguments(tmp_path: Path) -> list[str]:
    return (tmp_path / "arguments").read_text().splitlines()


async def until_exists(path: Path) -> str:
    for _ in range(500):
        if path.exists() and path.read_text().strip():
            return path.read_text()
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} never came")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_arguments_of_up(program: Program, tmp_path: Path) -> None:
    project = Project("news", NEWS.files, (Path("/srv/news/a.env"), Path("/srv/news/prod.env")), Path("/srv/news"))
    compose = Compose(str(program()))
    await compose.up(project, ["web", "db"], override=Path("/tmp/o.yml"), force_recreate=True)
    assert arguments(tmp_path) == [
        "--ansi", "never", "--project-name", "news", "--file", "/srv/news/compose.yaml", "--file",
        "/srv/news/more.yaml", "--file", "/tmp/o.yml", "--env-file", "/srv/news/a.env", "--env-file",
        "/srv/news/prod.env", "--project-directory", "/srv/news", "--profile", "*", "up", "--detach", "--no-build",
        "--pull", "never", "--no-deps", "--force-recreate", "web", "db",
    ]  # fmt: skip
    assert (tmp_path / "folder").read_text() == "/\n"


async def test_arguments_of_the_others(program: Program, tmp_path: Path) -> None:
    base = ["--ansi", "never", "--project-name", "n", "--file", "/n.yaml"]
    project, compose = Project("n", (Path("/n.yaml"),)), Compose(str(program("echo 0123456789ab; echo warning")))
    await compose.pull(project, ["web"])
    assert arguments(tmp_path) == [*base, "pull", "web"]
    assert await compose.ps_ids(project, "web", all=True) == ["0123456789ab"]
    assert arguments(tmp_path) == [*base, "ps", "--all", "--quiet", "web"]
    await compose.stop(project, ["web"])
    assert arguments(tmp_path) == [*base, "stop", "web"]
    await compose.start(project, ["web"])
    assert arguments(tmp_path) == [*base, "start", "web"]
    await compose.up(project, [], no_deps=False, pull="always")
    assert arguments(tmp_path) == [*base, "up", "--detach", "--no-build", "--pull", "always"]


async def test_a_program_named_docker_gets_the_word(program: Program, tmp_path: Path) -> None:
    await Compose(str(program(name="docker"))).stop(NEWS, ["web"])
    assert arguments(tmp_path)[0] == "compose"


@pytest.mark.parametrize("name", ["-x", "--pull=always", "a b", "$(touch x)", "a;b", "x" * 1_000_000])
async def test_hostile_names_never_start_a_process(program: Program, tmp_path: Path, name: str) -> None:
    compose = Compose(str(program()))
    for call in (
        compose.up(NEWS, [name]), compose.pull(NEWS, ["web", name]), compose.ps_ids(NEWS, name),
        compose.stop(NEWS, [name]), compose.start(NEWS, [name]), compose.up(Project(name, NEWS.files), ["web"]),
    ):  # fmt: skip
        with pytest.raises(ComposeInvalidName):
            await call
    assert not (tmp_path / "arguments").exists()


async def test_the_shell_has_no_say(program: Program, tmp_path: Path) -> None:
    file = Path("/srv/$(touch hacked)/`id`;x/compose.yaml")
    await Compose(str(program())).stop(Project("n", (file,)), ["web"])
    assert str(file) in arguments(tmp_path)


async def test_the_environment_is_bare(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "TAG", "DOCKREV_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "foreign")
    monkeypatch.setenv("DOCKER_CONTEXT", "foreign")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    folder = tmp_path / "config"
    compose = Compose(str(program()), docker_host="tcp://h:1", docker_config=folder / "config.json")
    await compose.stop(NEWS, ["web"])
    lines = (tmp_path / "environment").read_text().splitlines()
    assert "foreign" not in "\n".join(lines)
    assert {"DOCKER_HOST=tcp://h:1", f"DOCKER_CONFIG={folder}", "DOCKER_CERT_PATH=/certs"} <= set(lines)
    await compose.with_docker_config(tmp_path / "staged").stop(NEWS, ["web"])
    assert f"DOCKER_CONFIG={tmp_path}/staged" in (tmp_path / "environment").read_text().splitlines()


@pytest.mark.parametrize(
    ("told", "version"),
    [("2.26.1-4", (2, 26, 1)), ("v2.40.3-desktop.1", (2, 40, 3)), ("'Docker Compose version v5.0'", (5, 0, 0))],
)
async def test_the_version_is_asked_once(
    program: Program, tmp_path: Path, told: str, version: tuple[int, int, int]
) -> None:
    compose = Compose(str(program(version=told)))
    found, again = await asyncio.gather(compose.version(), compose.version())
    await compose.with_docker_config(tmp_path).version()
    assert (found.major, found.minor, found.patch) == version
    assert again is found
    assert (tmp_path / "probes").read_text().count("probe") == 1


@pytest.mark.parametrize("version", ["1.29.2", "", "nonsense"])
async def test_no_compose_2_is_missing_with_a_remedy(program: Program, version: str) -> None:
    with pytest.raises(ComposeMissing) as caught:
        await Compose(str(program(version=version))).up(NEWS, ["web"])
    assert "DOCKREV_COMPOSE_BIN" in caught.value.hint
    assert caught.value.permanent


async def test_no_program_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose"
    file.write_text("no program")
    for path in (tmp_path / "nowhere", file):
        with pytest.raises(ComposeMissing):
            await Compose(str(path)).version()


async def test_a_program_that_appears_is_found(program: Program, tmp_path: Path) -> None:
    compose = Compose(str(tmp_path / "docker-compose"))
    with pytest.raises(ComposeMissing):
        await compose.version()
    program()
    assert (await compose.version()).major == 2


async def test_lines_come_while_it_runs_redacted(program: Program) -> None:
    body = r"printf 'one\rtwo\n\033[31mthree\033[0m\n'; sleep 0.5; echo password=hunter22 >&2; printf last"
    lines: list[tuple[float, str]] = []
    commands: list[str] = []

    async def on_line(line: str) -> None:
        lines.append((time.monotonic(), line))

    result = await Compose(str(program(body))).up(NEWS, ["web"], on_line=on_line, on_command=commands.append)
    said = [line for _, line in lines]
    assert said[:3] == ["one", "two", "three"]
    assert set(said[3:]) == {"password=***", "last"}
    assert lines[3][0] - lines[0][0] > 0.3
    assert result.duration > 0.3
    assert commands == [
        f"$ {result.argv[0]} --ansi never --project-name news --file /srv/news/compose.yaml"
        " --file /srv/news/more.yaml --profile '*' up --detach --no-build --pull never --no-deps web"
    ]


async def test_words_for_the_log(program: Program) -> None:
    compose = Compose(str(program("echo token=hunter22; head -c 9000 /dev/zero | tr '\\0' x")))
    compose.redactor.add("s3cret")
    result = await compose.stop(NEWS, ["web"])
    told = compose.outcome(result)
    assert told.startswith("status=0 stdout=token=***")
    assert len(told) == 2000
    assert (
        compose.describe(["docker", "--x=s3cret", "a b", "https://u:p@h/"]) == "$ docker --x=*** 'a b' https://***@h/"
    )


async def test_failures_carry_the_end_of_what_was_said(program: Program) -> None:
    said = "printf 'Authorization: Bearer hunter22\\n\\033[31mno such service: web\\033[0m' >&2"
    body = f"echo noise; {said}; exit 14"
    with pytest.raises(ComposeCommandFailed) as caught:
        await Compose(str(program(body))).up(NEWS, ["web"])
    error = caught.value
    assert "status 14" in error.message
    assert error.message.endswith("no such service: web")
    assert "hunter22" not in error.message
    assert error.result.returncode == 14
    assert error.permanent


@pytest.mark.parametrize(
    ("said", "limited", "permanent"),
    [
        ("toomanyrequests: You have reached your pull rate limit", True, True),
        ("dial tcp: i/o timeout", False, False),
        ("manifest unknown", False, True),
    ],
)
async def test_failed_pulls(program: Program, said: str, limited: bool, permanent: bool) -> None:
    with pytest.raises(ComposeCommandFailed) as caught:
        await Compose(str(program(f"echo '{said}' >&2; exit 1"))).pull(NEWS, ["web"])
    assert (caught.value.rate_limited, caught.value.permanent) == (limited, permanent)
    assert ("registry rate limited" in caught.value.message) is limited


async def test_the_effective_model(program: Program, tmp_path: Path) -> None:
    model = {"name": "news", "services": {"web": {"image": "a" * 200_000}}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    compose = Compose(str(program(f"echo warning >&2; cat {tmp_path}/model.json")))
    assert await compose.config(NEWS) == model
    assert arguments(tmp_path)[-5:] == ["--profile", "*", "config", "--format", "json"]
    for body in ("echo no json", "echo []"):
        with pytest.raises(ComposeCommandFailed):
            await Compose(str(program(body))).config(NEWS)


async def test_what_it_says_is_bounded(program: Program) -> None:
    longest = 0

    def on_line(line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    body = "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end"
    result = await Compose(str(program(body))).stop(NEWS, ["web"], on_line=on_line)
    assert len(result.stdout) <= 128 * 1024
    assert result.stdout.endswith("xx\nend\n")
    assert longest <= 4096


async def test_a_timeout_ends_all_its_children(program: Program, tmp_path: Path) -> None:
    # One child in a process group of its own, as the docker CLI starts its plugins; one that ignores SIGTERM.
    body = (
        f'python3 -c \'import os,time; os.setpgid(0,0); open("{tmp_path}/child","w").write(str(os.getpid()));'
        " time.sleep(60)' &\n"
        f"sh -c 'trap \"\" TERM; echo $$ >{tmp_path}/stubborn; sleep 60; sleep 60' &\n"
        "echo began; wait"
    )
    compose = Compose(str(program(body)))
    began = time.monotonic()
    with pytest.raises(ComposeTimeout) as caught:
        await compose.up(NEWS, ["web"], timeout=1.5)
    assert time.monotonic() - began < 12
    assert caught.value.result.stdout == "began\n"
    assert not caught.value.permanent
    pids = [int(await until_exists(tmp_path / name)) for name in ("child", "stubborn")]
    await asyncio.sleep(0.2)
    assert not any(map(alive, pids))


async def test_cancelling_ends_it(program: Program, tmp_path: Path) -> None:
    task = asyncio.create_task(Compose(str(program(f"echo $$ >{tmp_path}/pid; sleep 60"))).stop(NEWS, ["web"]))
    pid = int(await until_exists(tmp_path / "pid"))
    assert alive(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_a_listener_that_fails_ends_it(program: Program, tmp_path: Path) -> None:
    def on_line(line: str) -> None:
        raise RuntimeError("the listener failed")

    body = f"echo $$ >{tmp_path}/pid; echo line; sleep 60"
    with pytest.raises(RuntimeError, match="listener"):
        await Compose(str(program(body))).stop(NEWS, ["web"], on_line=on_line)
    assert not alive(int((tmp_path / "pid").read_text()))
