"""Languages: which one is spoken, right forms in each, catalogues that are complete."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import Environment

from app.core.web.languages import LANGUAGES, N_, negotiate, ngettext, plural, script_texts, speak, spoken
from app.core.web.presentation import absolute, duration, relative, size, stamp
from tests.unit.web.pages.cases import CASES, environment

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 22, 14, 32, 8, tzinfo=UTC)
DOMAINS = sorted(path.stem for path in (ROOT / "app/languages/de").glob("*.po"))


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


@pytest.fixture(scope="module")
def made() -> Environment:
    return environment()


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de", "de"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en-US,en;q=0.9,de;q=0.8", "en"),
        ("", "fr, es;q=0.9, de;q=0.2, zh;q=0.3", "zh"),
        ("", "de;q=0, zh;q=0", "en"),
        ("", "de;q=nan, zh;q=inf, *;q=1", "en"),
        ("", "fr", "en"),
        ("zh", "de", "zh"),
        ("en", "de", "en"),
        ("../../etc/passwd", "de", "de"),
        ("zh\x00", "", "en"),
        ("<script>", "," * 100_000, "en"),
    ],
)
def test_who_chose_is_heard_then_the_browser_then_english(cookie: str, accepted: str, language: str) -> None:
    assert negotiate(cookie, accepted) == language


def test_an_unknown_language_is_english() -> None:
    speak("../de")
    assert spoken() == "en"


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [("en", "1 service", "3 services"), ("de", "1 Dienst", "3 Dienste"), ("zh", "1 个服务", "3 个服务")],
)
def test_plurals_are_those_of_the_language(made: Environment, language: str, one: str, many: str) -> None:
    speak(language)
    assert [plural(n, "service") for n in (1, 3)] == [one, many]
    shown = made.from_string("{{ n | plural('service') }}|{{ ngettext('%(num)s service', '%(num)s services', n) }}")
    assert [shown.render(n=n) for n in (1, 3)] == [f"{one}|{one}", f"{many}|{many}"]
    assert ngettext("%(num)s service", "%(num)s services", 0).startswith("0")


@pytest.mark.parametrize(
    ("language", "full", "short", "ago", "ahead", "span", "bytes_"),
    [
        ("en", "22 Nov 2026, 14:32:08 UTC", "20 Nov 13:32", "2 days ago", "in 1 day", "2 h 05 min", "1.04 GB"),
        ("de", "22. Nov. 2026, 14:32:08 UTC", "20. Nov. 13:32", "vor 2 Tagen", "in 1 Tag", "2 h 05 min", "1,04 GB"),
        ("zh", "2026年11月22日, 14:32:08 UTC", "11月20日 13:32", "2天前", "1天后", "2 小时 05 分", "1.04 GB"),
    ],
)
def test_dates_and_spans_are_those_of_the_language(
    language: str, full: str, short: str, ago: str, ahead: str, span: str, bytes_: str
) -> None:
    speak(language)
    earlier = NOW - timedelta(days=2, hours=1)
    assert (absolute(NOW), stamp(earlier, NOW), relative(earlier, NOW)) == (full, short, ago)
    assert relative(NOW + timedelta(days=1, hours=3), NOW) == ahead
    assert (duration(7500), size(1.04e9)) == (span, bytes_)


def test_a_table_made_once_speaks_the_language_of_each_reader(made: Environment) -> None:
    shown = made.from_string(
        '{% from "ui/words.html" import STATES %}{% from "ui/status.html" import word %}{{ word(STATES.ok) }}'
    )
    for language, text in (("de", "Aktuell"), ("en", "Up to date"), ("zh", "已是最新"), ("en", "Up to date")):
        speak(language)
        assert f"<span>{text}</span>" in shown.render()
    assert N_("Up to date") == "Up to date"


def test_values_are_escaped_and_texts_are_not(made: Environment) -> None:
    shown = made.from_string(
        '{{ _("Type %(word)s to confirm", word=w) }}{% trans w=w %}Its supervisor {{ w }}{% endtrans %}'
    )
    assert shown.render(w="<b>") == "Type &lt;b&gt; to confirmIts supervisor &lt;b&gt;"
    speak("de")
    assert shown.render(w="<b>").startswith("Zum Bestätigen &lt;b&gt; eingeben")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_every_page_is_there_in_every_language(made: Environment, name: str, language: str) -> None:
    speak(language)
    html = CASES[name].render(made)
    tag = {"zh": "zh-Hans"}.get(language, language)
    assert "%(" not in html
    if "<html" in html:
        assert f'<html lang="{tag}"' in html and ("data-texts=" in html) == (language != "en")
        assert {"de": "Zum Inhalt springen", "zh": "跳到正文", "en": "Skip to content"}[language] in html


def test_scripts_bring_their_texts_only_where_they_are_needed() -> None:
    assert script_texts("en") == {}
    assert script_texts("de")["Trying again in {n} s."] == "Neuer Versuch in {n} s"


@pytest.mark.parametrize("domain", ["", *DOMAINS])
def test_catalogues_are_complete_and_compiled(domain: str) -> None:
    """Without a domain: all of them, and that the compiled ones are what they give."""
    command = [sys.executable, ".ci/messages", "--check", *([domain] if domain else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_function_that_translates_uses_its_name_for_something_else() -> None:
    """`_` as a name for what nobody wants makes of `_("Saved.")` a call of a string; no type checker says so."""
    wrong = []
    for path in (ROOT / "app").rglob("*.py"):
        for made in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                names = [each for each in ast.walk(made) if isinstance(each, ast.Name) and each.id == "_"]
                given = any(each.arg == "_" for each in ast.walk(made.args) if isinstance(each, ast.arg))
                called = any(
                    isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "_"
                    for each in ast.walk(made)
                )
                if called and (given or any(isinstance(each.ctx, ast.Store) for each in names)):
                    wrong.append(f"{path.relative_to(ROOT)}:{made.lineno}")
    assert not wrong
