"""What the book holds in English, told on the page in the reader's language."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from app.core.web.languages import LANGUAGES, speak
from app.supervisor.operations import parse_start
from app.supervisor.speaking import CATALOGUE
from app.supervisor.state import Book
from app.supervisor.telling import FORMS, SENTENCES, told
from tests.unit.supervisor.fake_world import DATABASE, FILES, REPO, FakeWorld, database_with, dockrev, image_of
from tests.unit.supervisor.house import published, supervisor_of

ROOT = Path(__file__).resolve().parents[3]
OTHERS = tuple(language for language in LANGUAGES if language != "en")
# Nobody meets these on a page: hints are in the log, and these forms are not sent by the page's own.
ELSEWHERE = (
    "must ", "rollbackOnFailure must", "target must", "the body must", "another supervisor uses",
    "the file is too large", "the schema version is not known",
)  # fmt: skip


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


def in_(language: str, text: str) -> str:
    speak(language, CATALOGUE)
    return told(text)


@pytest.mark.parametrize("language", OTHERS)
def test_every_listed_text_is_told(language: str) -> None:
    for each in (*SENTENCES, *FORMS):
        sample = each.message % Values()
        assert in_(language, sample) != sample, each.message
        assert in_("en", sample) == sample


class Values(dict[str, str]):
    """Something for every hole."""

    def __missing__(self, name: str) -> str:
        if name == "place":  # ` of a service web`, or nothing
            return ""
        return "1.5" if name.startswith(("gb_", "mb_")) else "web-1"


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("10.5 GB free in /var/lib/docker", "10,5 GB frei in /var/lib/docker"),
        ("10.5 GB free in /srv/1.5", "10,5 GB frei in /srv/1.5"),
        ("The database /a.sqlite3 can be copied, 0.4 MB", "Die Datenbank /a.sqlite3 lässt sich kopieren, 0,4 MB"),
        ("pulling x/y:1.5, 50%", "x/y:1.5 wird heruntergeladen, 50 %"),
        (
            "rollback failed: it does not stay up: it ended 3 times, its container ended with status 7",
            "Zurückrollen misslungen: es bleibt nicht am Laufen: es endete 3-mal, der Container endete mit Status 7",
        ),
        (
            "Schema 0001 to unknown: whether a rollback would start is unknown",
            "Schema 0001 auf unbekannt: Ob es nach einem Zurückrollen startet, ist unbekannt",
        ),
        ("manifest unknown", "manifest unknown"),
        ("Pulling x:1 failed: manifest unknown", "Herunterladen von x:1 misslungen: manifest unknown"),
        ("Pulling 100%(ref)s failed: %s", "Herunterladen von 100%(ref)s misslungen: %s"),
        ("", ""),
    ],
)  # fmt: skip
def test_values_stay_as_they_are_but_for_the_point_of_a_number(text: str, german: str) -> None:
    assert in_("de", text) == german
    assert in_("en", text) == text


def test_each_finding_of_a_preflight_is_told() -> None:
    one = "The image is for linux/arm64, this host is linux/amd64"
    two = (
        "The target knows schema 0001, the database has 0002: it would not start. Choose a newer version; to go back "
        "on purpose, restore the copy made before the upgrade (docs/self-upgrade.md)."
    )
    found = in_("de", f"the preflight forbids it: {two}; something else; {one}")
    assert found.startswith("die Vorprüfung verbietet es: Das Ziel kennt Schema 0001, die Datenbank hat 0002")
    assert found.endswith("; something else; Das Image ist für linux/arm64, dieser Host ist linux/amd64")


def test_what_is_long_or_deep_is_left_alone() -> None:
    for text in ("Pulling " + "x" * 3_000 + " failed: y", "rollback failed: " * 200 + "x", "%(" * 900, "; " * 900):
        assert isinstance(in_("de", text), str)
    assert in_("de", "the preflight forbids it: " + "; " * 900).startswith("die Vorprüfung")


# ---- all that can happen


class Deaf(FakeWorld):
    """The container ends again and again."""

    async def service(self, project: str, service: str) -> list[object]:  # type: ignore[override]  # only counted
        found = await super().service(project, service)
        new = [each for each in found if each.image_id == "sha256:id-0.2.0"]
        return [replace(each, running=False, restarting=True, restarts=3, exit_code=7) for each in new] or list(found)


class NoCopy(FakeWorld):
    """The database is gone when it is to be copied."""

    @asynccontextmanager
    async def file(self, id: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if "stop" in self.calls:
            raise FileNotFoundError(path)
        async with super().file(id, path) as chunks:
            yield chunks


def worlds() -> dict[str, FakeWorld]:
    new, newer = published("0.2.0"), published("0.2.0", schema="0002")
    full = {DATABASE: database_with("0001", "x")}
    stopped = [dockrev(running=False, exit_code=3)]
    return {
        "fine": FakeWorld(registry=new),
        "database": FakeWorld(registry=newer, files=dict(full)),
        "sick": FakeWorld(registry=newer, files=dict(full), sick={"0.2.0"}),
        "ends": Deaf(registry=new),
        "no copy": NoCopy(registry=newer, files=dict(full)),
        "stopped": FakeWorld(registry=new, containers=stopped),
        "no files": FakeWorld(registry=new, missing=set(FILES)),
        "no room": FakeWorld(registry=new, free_bytes=1000),
        "unknown room": FakeWorld(registry=new, free_bytes=None),
        "unreachable": FakeWorld(registry=new, unreachable=True),
        "healthy but unreachable": FakeWorld(registry=new, unreachable=True, containers=[dockrev(health="healthy")]),
        "no address": FakeWorld(registry=new, containers=[dockrev(addresses=())]),
        "no volume": FakeWorld(registry=new, containers=[dockrev(mounts=())], files=dict(full)),
        "other platform": FakeWorld(registry=published("0.2.0", platform="linux/arm64")),
        "no platform": FakeWorld(registry=published("0.2.0", platform="")),
        "no schema": FakeWorld(registry=published("0.2.0", schema=None)),
        "older schema": FakeWorld(registry=published("0.0.9", schema="0000"), files=dict(full)),
        "no digest": FakeWorld(registry={f"{REPO}:latest": replace(image_of("0.2.0"), repo_digests=())}),
        "built here": FakeWorld(registry=new, local={f"{REPO}:latest": replace(image_of("0.1.0"), repo_digests=())}),
        "same": FakeWorld(registry=published("0.1.0")),
        "no such image": FakeWorld(),
        "none": FakeWorld(containers=[]),
        "two": FakeWorld(containers=[dockrev(), dockrev(id="c" * 64, project="other", name="other-dockrev-1")]),
        "twice": FakeWorld(containers=[dockrev(), dockrev(id="c" * 64, name="house-dockrev-2")]),
        "no compose": FakeWorld(containers=[dockrev(project="", service="")]),
        "the engine is away": FakeWorld(fails={"look"}),
        "it cannot be replaced": FakeWorld(registry=new, fails={"up"}),
    }


async def told_by(folder: Path, world: FakeWorld) -> set[str]:
    """What the page was told while it was tried, and taken back."""
    seen: set[str] = set()
    supervisor = supervisor_of(folder, world)
    put = supervisor.ledger.put

    def keep(book: Book) -> None:
        seen.update([book.progress.message, *(check.text for check in book.preflight)])
        put(book)

    supervisor.ledger.put = keep  # type: ignore[method-assign]  # listens in
    for mode in ("dry-run", "apply"):
        body = {"target": {"tag": "latest"}, "mode": mode, "rollbackOnFailure": True}
        await supervisor.start(*parse_start(body, REPO), "tester")
        await supervisor.finished()
    if supervisor.book.state == "succeeded":
        await supervisor.roll_back(supervisor.book.op_id, "tester")
        await supervisor.finished()
    return seen


@pytest.mark.parametrize("name", worlds())
async def test_all_that_an_operation_says_on_the_page_is_told(tmp_path: Path, name: str) -> None:
    seen = await told_by(tmp_path, worlds()[name])
    assert len(seen) > 1
    for language in OTHERS:
        left = [text for text in seen if text and in_(language, text) == text]
        # Words of the engine, which the world of these tests makes up.
        assert [text for text in left if "password=***" not in text] == []


# ---- all that is raised


def reader() -> ModuleType:
    """`.ci/error_texts.py`, which reads sentences of errors out of code."""
    spec = importlib.util.spec_from_file_location("error_texts", ROOT / ".ci/error_texts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_supervisor_raises_is_told() -> None:
    reading = reader()
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "app").rglob("*.py"))}
    kinds = reading.classes_of_errors(trees.values())
    for path, tree in trees.items():
        if path.parent == ROOT / "app/supervisor" or path == ROOT / "app/core/web/origin.py":
            for text in raised(tree):
                for found in reading.Reading(tree, kinds)._said(text):
                    sample = found % Values() if "%(" in found else found
                    if reading.is_sentence(found) and not found.startswith(ELSEWHERE):
                        assert in_("de", sample) != sample, f"{path.name}: {found}"


def raised(tree: ast.Module) -> Iterator[ast.expr]:
    """First arguments of what is raised, and of what makes it (`_invalid`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield node.exc.args[-1] if getattr(node.exc.func, "id", "") == "_invalid" else node.exc.args[0]
