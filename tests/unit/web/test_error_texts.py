"""What errors say: found in the code that raises them, told in the reader's language, English everywhere else."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from app.core.errors import InvalidArgument, NotFound
from app.core.web.languages import known, speak, told
from app.core.web.problems import envelope
from tests.unit.web.pages.cases import CASES, environment

ROOT = Path(__file__).resolve().parents[3]
ENGINE = "The Docker engine at unix:///run/x.sock cannot be reached: "


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """`.ci/error_texts.py`, which is no part of the application."""
    spec = importlib.util.spec_from_file_location("error_texts", ROOT / ".ci/error_texts.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def house(folder: Path, source: str, path: str = "app/features/attic/service.py") -> Path:
    """A project of the errors there are and one more file."""
    for name, text in (("app/core/errors.py", (ROOT / "app/core/errors.py").read_text()), (path, source)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('raise NotFound("no such attic")', {"no such attic"}),
        (
            'raise NotFound(f"the attic {name} is full", hint="Make room.")',
            {"the attic %(name)s is full", "Make room."},
        ),
        ('raise Conflict(f"{a.size:g} of {b[0].size} % are used")', {"%(size)s of %(size2)s %% are used"}),
        ('raise NotFound("at 90% of its size")', {"at 90% of its size"}),
        ('hint = "Sweep " + place\nraise NotFound("", hint=hint)', {"Sweep %(place)s"}),
        (
            'WHY = {"a": ("x", "it is dusty")}\nraise Conflict(f"not now: {WHY[key]}")',
            {"not now: %(why)s", "it is dusty"},
        ),
        (
            'def _why(x):\n    return "it is dark" if x else f"it has {x} bats"\nraise Conflict(f"not now: {_why(3)}")',
            {"not now: %(value)s", "it is dark", "it has %(x)s bats"},
        ),
        (
            'class Dusty(Conflict):\n    def __init__(self):\n        super().__init__("it is all dusty")',
            {"it is all dusty"},
        ),
        ('BAD = N_("at most %(count)s bats")\nproblem = BAD.message % {"count": 3}', {"at most %(count)s bats"}),
        ('return Conflict("given back, not raised")', {"given back, not raised"}),
        ('raise _refused("bats", "there are bats")', {"there are bats"}),
        ('raise NotFound(_("extracted as any other text"))', set()),
        ('raise Conflict("busy", details={"reason": "some reason"})', set()),
        ('raise RuntimeError("a mistake of ours")', set()),
        ('log.warning("said to the log alone")', set()),
    ],
)
def test_sentences_are_found_where_they_are_raised(
    reader: ModuleType, tmp_path: Path, source: str, texts: set[str]
) -> None:
    if "class" not in source:
        source = "def raising():\n" + "\n".join(f"    {line}" for line in source.splitlines())
    made = house(tmp_path, f"{source}\n")
    assert reader.sentences(made) - set(reader.OF_LIBRARIES) == texts


def test_what_is_said_in_a_terminal_alone_is_left_out(reader: ModuleType, tmp_path: Path) -> None:
    for path in reader.NOT_ON_PAGES:
        assert (ROOT / path).exists(), "an exemption that nothing needs"
        file = f"{path}new.py" if path.endswith("/") else path
        assert reader.sentences(house(tmp_path, 'raise NotFound("no such attic")', file)) == set(reader.OF_LIBRARIES)


def test_a_new_sentence_without_a_translation_is_told(tmp_path: Path) -> None:
    """`.ci/messages --check`, which test_languages.py runs, in a project with one raise more."""
    house(tmp_path, 'raise NotFound(f"the attic {name} is not there", hint="Build an attic.")')
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "app/languages", tmp_path / "app/languages")
    command = [sys.executable, ".ci/messages", "--check", "errors"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    for language in ("de", "zh"):
        assert f"{language}/errors.po: 'the attic %(name)s is not there' is not there" in done.stdout
        assert f"{language}/errors.po: 'Build an attic.' is not there" in done.stdout


@pytest.mark.parametrize(
    ("english", "german", "chinese"),
    [
        ("service not found", "Dienst nicht gefunden", "未找到服务"),
        ("limit must be between 1 and 200", "limit muss zwischen 1 und 200 liegen", "limit 必须在 1 到 200 之间"),
        (
            f"{ENGINE}connection refused",
            "Die Docker-Engine unter unix:///run/x.sock ist nicht erreichbar: Verbindung abgelehnt",
            "无法连接位于 unix:///run/x.sock 的 Docker 引擎：连接被拒绝",
        ),
        (
            "name: String should have at most 60 characters",
            "name: darf höchstens 60 Zeichen haben",
            "name：最多 60 个字符",
        ),
        (
            "backup.baseDir must be one of 10/30/60/300",
            "backup.baseDir muss 10/30/60/300 sein",
            "backup.baseDir 必须是 10/30/60/300 之一",
        ),
        (
            "rebase: Value error, must be true or false",
            "rebase: muss true oder false sein",
            "rebase：必须是 true 或 false",
        ),
        (
            "service not found. Try again later.",
            "Dienst nicht gefunden. Später erneut versuchen.",
            "未找到服务。请稍后重试。",
        ),
    ],
)
def test_an_error_is_told_with_its_values(english: str, german: str, chinese: str) -> None:
    for language, text in (("de", german), ("zh", chinese), ("en", english)):
        speak(language)
        assert known(english) == told(english) == text


def test_what_nobody_translated_is_as_it_is() -> None:
    speak("de")
    for text in ("exec /bin/sh: no", "nothing like any text", "x" * 5000, ENGINE * 100, ""):
        assert told(text) == text
    assert known("exec /bin/sh: no") is None


def test_names_in_an_error_stay_names() -> None:
    """A thing may be called like a word of a page, or like a hole."""
    speak("de")
    for name in ("Services", "Settings", "%(name)s", "%s", "100%", "<b>x</b>"):
        told_of_it = told(f"the key of passes {name} cannot be had: permission denied")
        assert told_of_it == f"der Schlüssel {name} für Pässe ist nicht verfügbar: Zugriff verweigert"


def test_a_value_from_outside_is_escaped_and_cannot_take_time() -> None:
    made = environment()
    speak("de")
    shown = made.from_string('{% from "errors/_words.html" import said %}{{ said(text) }}')
    text = "the key of passes <script>x</script> cannot be had: permission denied"
    assert shown.render(text=text) == (
        "Der Schlüssel &lt;script&gt;x&lt;/script&gt; für Pässe ist nicht verfügbar: Zugriff verweigert."
    )
    began = time.process_time()
    for piece in (" must be between 1 and ", ": answered ", ". ", ": ", " (a) "):
        told((piece * 1000)[:999])
    assert time.process_time() - began < 10  # seconds; it takes about a tenth of one


def test_json_stays_english_whatever_is_spoken() -> None:
    error = InvalidArgument("limit must be between 1 and 200", hint="Try again later.", details={"field": "limit"})
    before = json.dumps(envelope(error))
    speak("zh")
    assert json.dumps(envelope(error)) == before
    assert str(NotFound("service not found")) == "service not found"


def test_every_error_of_the_application_that_is_no_exemption_has_its_texts(reader: ModuleType) -> None:
    found = reader.sentences(ROOT)
    assert len(found) > 450
    said = {re.sub(r"%\(\w+\)s", "7", text).replace("%%", "%") for text in found}
    for language in ("de", "zh"):
        speak(language)
        assert not [text for text in said if known(text) is None]


@pytest.mark.parametrize("name", CASES)
def test_chinese_sentences_follow_each_other_without_a_space(name: str) -> None:
    speak("zh")
    shown = CASES[name].render(environment())
    inline = r"(?:</?(?:b|code|span|small|a|time)\b[^>]*>)*"
    assert not re.findall(rf"[^>]{{0,20}}[。！？；]{inline} {inline}[\u4e00-\u9fff].{{0,20}}", shown)
