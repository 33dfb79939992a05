"""Texts with values are found again by their form, and what was kept in English is told in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.web.languages import N_, speak
from app.core.web.retelling import Retelling
from app.core.web.wording import Form, fill
from app.features.jobs.stored import told as of_jobs
from app.features.notifications.stored import told as of_messages
from app.features.passkeys.rules import device, device_text

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


@pytest.mark.parametrize(
    ("form", "text", "values"),
    [
        ("%(name)s has no image", "web has no image", {"name": "web"}),
        ("%(name)s has no image", "web has no images", None),
        ("%(name)s has no image", " has no image", None),
        ("kept as %(name)s", "kept as kept as x", {"name": "kept as x"}),
        ("%(a)s of %(b)s", "1 of 2 of 3", {"a": "1", "b": "2 of 3"}),
        ("%(a)s%(b)s!", "xyz!", {"a": "x", "b": "yz"}),
        ("%(a)s: %(b)s (%(c)s)", "x: y (z)", {"a": "x", "b": "y", "c": "z"}),
        ("%(a)s: %(b)s (%(c)s)", "x: y ()", None),
        ("%(n)s %% used", "90 % used", {"n": "90"}),
        ("%(n)s %% used", "90 %% used", None),
        ("no holes", "no holes", {}),
        ("no holes", "no holes at all", None),
        ("ab%(x)sb", "ab", None),
        ("%(x)s\nend", "two\nlines\nend", {"x": "two\nlines"}),
        (".*%(x)s", "anything", None),
    ],
)
def test_values_are_read_out_of_a_text(form: str, text: str, values: dict[str, str] | None) -> None:
    assert Form(form).values(text) == values
    if values:
        assert fill(form, values) == text


def test_a_value_is_never_filled_itself() -> None:
    assert fill("%(a)s, %(b)s, 5 %%", {"a": "%(b)s", "b": "100%%"}) == "%(b)s, 100%%, 5 %"


def test_the_heavier_form_says_more() -> None:
    assert Form("%(host)s did not answer in time").weight > Form("%(host)s answered %(x)s").weight


def test_a_room_tells_its_texts_and_what_stands_in_them() -> None:
    tell = Retelling((N_("running"), N_("the health check failed")), (N_("backup failed: %(why)s"),))
    assert tell("backup failed: running") == "backup failed: running", "English costs nothing and changes nothing"
    speak("de")
    assert tell("running") == "läuft"
    assert tell("backup failed: the health check failed") == (
        "Sicherung fehlgeschlagen: die Zustandsprüfung schlug fehl"
    )
    assert tell("backup failed: exit status 1") == "Sicherung fehlgeschlagen: exit status 1"
    assert tell("") == "" and tell("compose said no") == "compose said no"


def test_what_errors_say_needs_no_list() -> None:
    tell = Retelling((), ())
    speak("de")
    assert tell("service not found") == "Dienst nicht gefunden"
    assert tell("it is empty. compose said no") == "leer. compose said no"
    speak("zh")
    assert tell("service not found. Try again later.") == "未找到服务。请稍后重试。"


def test_depth_and_length_have_an_end() -> None:
    speak("de")
    deep = "backup failed: " * 6 + "running"
    told = of_jobs(deep)
    assert told.startswith("Sicherung fehlgeschlagen: ") and told.endswith("backup failed: running")
    assert of_jobs("backup failed: " + "x" * 2000) == "backup failed: " + "x" * 2000


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("backup failed: the backup was interrupted", "Sicherung fehlgeschlagen: die Sicherung wurde unterbrochen"),
        ("not healthy after 60 s", "nach 60 s nicht gesund"),
        ("Pulling ghcr.io/a/b failed: registry rate limited", None),
    ],
)
def test_jobs_tell_their_own_words_and_those_of_errors(text: str, german: str | None) -> None:
    speak("de")
    told = of_jobs(text)
    assert told != text and (german is None or told == german)


def test_the_outbox_tells_why_a_message_failed() -> None:
    speak("de")
    assert of_messages("no SMTP address is set. Store one in the notification settings.").count(". ") == 1
    assert "SMTP" in of_messages("no SMTP address is set") and "is set" not in of_messages("no SMTP address is set")


def test_a_browser_is_called_in_the_readers_language() -> None:
    kept = [device(FIREFOX), device("curl/8 (Linux)"), device("something else")]
    assert [device_text(one) for one in kept] == ["Firefox on Linux", "A browser on Linux", "An unknown browser"]
    speak("de")
    assert [device_text(one) for one in kept] == ["Firefox auf Linux", "Browser auf Linux", "Unbekannter Browser"]
    speak("zh")
    assert [device_text(one) for one in kept] == ["Linux 上的 Firefox", "Linux 上的 浏览器", "未知浏览器"]
