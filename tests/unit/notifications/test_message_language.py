"""The language of messages: the one that was set for them, whoever set them off and whatever is spoken around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.core.jobs import JobStatus
from app.core.web.languages import speak, spoken
from app.features.jobs import told_of_job
from app.features.notifications import payload as p
from app.features.notifications.texts import Texts
from app.settings import SettingsError, load_settings
from tests.unit.notifications.rendering import Templates
from tests.unit.notifications.test_payload import ABSOLUTE, JOB, RELATIVE, repo, service, versions

TEMPLATES = Templates()
GERMAN, CHINESE = (Texts(lambda: TEMPLATES, language) for language in ("de", "zh"))


@pytest.fixture(autouse=True)
def english_around() -> Iterator[None]:
    speak("en")
    yield
    assert spoken() == "en", "a message must not change what is spoken around it"


def test_of_a_finished_update() -> None:
    GERMAN.retell = told_of_job
    human = GERMAN.job(JOB, [service()], "the container ended with exit code 3")
    assert human == p.Human("Update zurückgerollt", "demo/web1", "der Container endete mit Exit-Code 3")
    assert GERMAN.job(JOB, [service(1), service(2)], "").summary == "2 Dienste"
    assert CHINESE.job(replace(JOB, status=JobStatus.FAILED, scope="all"), [], "").title == "更新失败"
    assert CHINESE.job(replace(JOB, scope="all"), [], "").summary == "全部"
    assert GERMAN.job(JOB, [service()], "manifest unknown").detail == "manifest unknown", "what others said stays"


def test_of_new_versions_and_webhooks() -> None:
    many = [versions(number) for number in range(5)]
    human = GERMAN.new_versions(many)
    assert human.title == "Neue Versionen von 5 Diensten"
    assert human.summary == "demo/web0, demo/web1, demo/web2 und 2 weitere"
    assert GERMAN.new_versions([versions()]).title == "Neue Version von demo/web1"
    assert CHINESE.new_versions([versions(1, "latest", "latest")]).summary == "同一标签指向了更新的镜像"
    assert GERMAN.ghcr_anomaly([repo(1)]).title == "1 GitHub-Webhook braucht Aufmerksamkeit"
    assert GERMAN.ghcr_anomaly([repo(1, "conflict")]).detail == "acme/r1: Konflikt"


def test_in_the_words_of_each_channel() -> None:
    document = p.job_finished(JOB, GERMAN.job(JOB, [service()], "x"), [service()], RELATIVE)
    mail = GERMAN.message("d1", "email", p.for_channel(document, "email"))
    assert '<html lang="de">' in mail.html and "Auftrag <code>job_01</code>" in mail.html
    assert mail.text.endswith("Auftrag job_01\nDockrev 0.1.0\n") and "öffentliche Adresse" in mail.text
    linked = p.job_finished(JOB, CHINESE.job(JOB, [service()], ""), [service()], ABSOLUTE)
    telegram = CHINESE.message("d1", "telegram", p.for_channel(linked, "telegram"))
    assert ">在 Dockrev 中打开</a>" in telegram.html and telegram.text.startswith("更新已回滚\n")
    with GERMAN.speaking():
        push = p.for_channel(p.test_message("hi", None, GERMAN.test("hi"), RELATIVE), "webPush")
    assert push["title"] == "Dockrev-Test"
    assert push["body"].split("\n")[2:] == ["Angeforderter Kanal: alle", "Dockrev 0.1.0"]


@pytest.mark.parametrize(("given", "kept"), [("de", "de"), (" ZH ", "zh"), ("en", "en")])
def test_it_is_set(given: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_LANGUAGE", given)
    assert load_settings().language == kept


def test_one_that_there_is_not_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_LANGUAGE", "fr")
    with pytest.raises(SettingsError, match=r"DOCKREV_LANGUAGE: must be one of en, de, zh"):
        load_settings()
