"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from app.cli import COMMANDS, main
from app.cli.exits import MEANINGS
from app.core.environment import EnvSettings
from app.settings import DEFAULT_TRUSTED, IGNORED, Settings
from app.supervisor.settings import SupervisorSettings

PROJECT = Path(__file__).resolve().parents[2]
DOCS = sorted([PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])
SPELLED = {"trusted_proxies": DEFAULT_TRUSTED, "effective_version": None}  # None: said in words


def text_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """First and second cell of the rows of all tables that begin with a variable."""
    return dict(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \| (.*?) \|", text, re.MULTILINE))


def variables(settings: type[EnvSettings]) -> Iterator[tuple[str, str | None]]:
    """Each variable and how its default must be written."""
    for name, field in settings.model_fields.items():
        yield settings.variables()[name], SPELLED[name] if name in SPELLED else spelled(field.default)


def spelled(default: Any) -> str:
    match default:
        case None | frozenset():
            return "unset"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case Path():
            return f"./{default}"
    return str(default)


@pytest.mark.parametrize(
    ("variable", "default"),
    [pair for settings in (Settings, SupervisorSettings) for pair in variables(settings)],
)
def test_every_setting_is_documented_with_its_default(variable: str, default: str | None) -> None:
    documented = rows(text_of("docs/configuration.md"))
    assert variable in documented
    if default is not None:
        assert documented[variable].strip("`") == default


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {variable for settings in (Settings, SupervisorSettings) for variable, _ in variables(settings)}
    for document in DOCS:
        named = set(re.findall(r"\bDOCKREV_[A-Z0-9_]+\b", document.read_text(encoding="utf-8")))
        assert named - known - set(IGNORED) <= {"DOCKREV_URL", "DOCKREV_USER", "DOCKREV_TOKEN"}, document.name


def test_the_readmes_defaults_are_those_of_the_reference() -> None:
    reference = rows(text_of("docs/configuration.md"))
    for variable, default in rows(text_of("README.md")).items():
        if variable != "DOCKREV_TRUSTED_PROXIES":  # in words there
            assert reference[variable] == default


def test_every_command_is_documented() -> None:
    reference = text_of("docs/cli.md")
    for name in COMMANDS:
        assert f"`dockrev {name}`" in reference
    for group in ("jobs", "backups", "passkeys", "homeassistant"):
        command = main.get_command(click.Context(main), group)
        assert isinstance(command, click.Group)
        for name in command.commands:
            assert re.search(rf"`dockrev {group}` \|.*`{name}`", reference)


def test_every_command_line_in_the_docs_can_be_parsed() -> None:
    for document in DOCS:
        for line in re.findall(r"dockrev ([a-z]+[^\n|;&`#]*)", "\n".join(_shell_blocks(document))):
            words = [word for word in line.split() if word]
            if words[0] not in COMMANDS:
                continue
            command: click.Command | None = main.get_command(click.Context(main), words[0])
            assert command is not None
            rest = words[1:]
            while isinstance(command, click.Group) and rest:
                command, rest = command.commands[rest[0]], rest[1:]
            assert command is not None
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("-") and word != "-"} <= known | {"--help"}, line


def _shell_blocks(document: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


def test_exit_codes_are_documented() -> None:
    documented = dict(re.findall(r"^\| (\d) \| (.*?) \|$", text_of("docs/cli.md"), re.MULTILINE))
    assert {int(code): text.replace("`", "") for code, text in documented.items()} == {
        int(code): text for code, text in MEANINGS.items()
    }


def test_every_kind_of_job_and_every_room_is_documented(tmp_path: Path) -> None:
    from app.core.jobs import JobEngine
    from app.installed import INSTALLED
    from app.main import build_container

    container = build_container(Settings(db_path=tmp_path / "dockrev.sqlite3"))
    documented = dict(re.findall(r"^\| `([a-z_]+)` \| ([a-z]+) \|", text_of("docs/architecture.md"), re.MULTILINE))
    assert set(documented) == set(container.get(JobEngine)._kinds)
    for room in INSTALLED:
        assert re.search(rf"^│   {room.name} ", text_of("docs/architecture.md"), re.MULTILINE)


def test_files_and_names_in_the_architecture_exist() -> None:
    text = text_of("docs/architecture.md")
    for name in set(re.findall(r"`([a-z_/]+\.py)`", text)):
        assert (
            any((PROJECT / "app" / folder / name).exists() for folder in ("", "features")) or (PROJECT / name).exists()
        ), name
    code = "\n".join(file.read_text(encoding="utf-8") for file in (PROJECT / "app").rglob("*.py"))
    named = {part for name in re.findall(r"`([A-Z][A-Za-z]+(?:\.[a-z_]+)?)`", text) for part in name.split(".")}
    assert {"ServiceUpdate", "recheck"} <= named
    for name in named:
        assert re.search(rf"\b{name}\b", code), name


def test_make_knows_the_targets_the_docs_name() -> None:
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, timeout=20, check=True)
    known = set(re.findall(r"^  make ([a-z0-9-]+)", listed.stdout, re.MULTILINE))
    assert {"setup", "run", "demo", "test", "bench", "lint", "clean", "lock"} <= known
    for document in DOCS:
        named = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= known, document.name


def test_links_lead_somewhere() -> None:
    for document in DOCS:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_ci_runs_what_the_readme_says() -> None:
    script = text_of(".ci/run")
    assert os.access(PROJECT / ".ci/run", os.X_OK)
    assert "make test" in script
    assert "make lint" in script


def test_locks_name_hashes_and_no_registry() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = text_of(name)
        pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==\S+", lock, re.MULTILINE)
        assert len(pins) > 40
        assert lock.count("--hash=sha256:") >= len(pins)
        assert "://" not in lock
