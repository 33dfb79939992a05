"""The supervisor's page in three languages: who decides which, what is told in it and what never is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.web.auth import AuthPolicy
from app.core.web.languages import COOKIE
from app.supervisor.main import create_supervisor
from app.supervisor.settings import SupervisorSettings
from tests.unit.supervisor.fake_world import DATABASE, FakeWorld, database_with, dockrev
from tests.unit.supervisor.house import TestClient, published
from tests.web.test_supervisor import BODY, BROWSER, Slow, client_of, finished, token_of

WORDS = {
    "en": ("en", "Skip to content", "Choose a version", "No upgrade of Dockrev has been made here"),
    "de": ("de", "Zum Inhalt springen", "Version wählen", "Dockrev wurde hier noch nie aktualisiert"),
    "zh": ("zh-Hans", "跳到正文", "选择版本", "此处尚未升级过 Dockrev"),
}
GERMAN = {**BROWSER, "Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def world() -> FakeWorld:
    return Slow(registry=published("0.2.0", schema="0002"), files={DATABASE: database_with("0001", "x")})


@pytest.fixture
def client(tmp_path: Path, world: FakeWorld) -> Iterator[TestClient]:
    with client_of(tmp_path, world, anonymous="any") as client:
        yield client


def upgrade(client: TestClient, **changes: Any) -> dict[str, Any]:
    assert client.post("/supervisor/self-upgrade", json={**BODY, **changes}).status_code == 200
    return finished(client)


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("by_cookie", [True, False])
def test_the_page_speaks_what_was_chosen_or_else_the_browser_wants(
    client: TestClient, language: str, by_cookie: bool
) -> None:
    wanted = {"Cookie": f"{COOKIE}={language}", "Accept-Language": "fr"} if by_cookie else {"Accept-Language": language}
    page = client.get("/supervisor/", headers={**BROWSER, **wanted})
    tag, *words = WORDS[language]
    assert f'<html lang="{tag}"' in page.text and all(word in page.text for word in words)
    assert ("data-texts=" in page.text) == (language != "en")
    assert {"Accept-Language", "Cookie"} <= {part.strip() for part in page.headers["vary"].split(",")}
    assert page.headers["cache-control"] == "no-store"
    assert "%(" not in page.text


def test_the_language_of_the_house_is_for_browsers_that_want_none_there_is(tmp_path: Path) -> None:
    settings = SupervisorSettings(state_path=tmp_path / "self-upgrade.json")
    application = create_supervisor(settings, AuthPolicy(anonymous="any"), language="zh", world=FakeWorld)
    with TestClient(application, base_url="http://localhost") as client:
        for wanted, tag in (("fr", "zh-Hans"), ("", "zh-Hans"), ("de", "de"), ("en", "en")):
            page = client.get("/supervisor/", headers={**BROWSER, "Accept-Language": wanted})
            assert f'<html lang="{tag}"' in page.text
        assert client.get("/supervisor/self-upgrade/nothing").json()["error"]["message"].startswith("there is nothing")


def test_scripts_bring_their_own_texts_and_no_others(client: TestClient) -> None:
    page = client.get("/supervisor/", headers=GERMAN).text
    texts = json.loads(re.findall(r'data-texts="([^"]+)"', page)[0].replace("&#34;", '"').replace("&#39;", "'"))
    assert texts["offline, still asking"] == "offline, es wird weiter gefragt"
    assert texts["just now"] == "gerade eben"
    assert len(texts) < 30


@pytest.mark.parametrize("wanted", ["de", "zh-CN"])
def test_json_is_english_whatever_is_wanted(client: TestClient, wanted: str) -> None:
    op_id = upgrade(client)["opId"]
    code = {"Accept": "application/json", "Accept-Language": wanted, "Cookie": f"{COOKIE}={wanted[:2]}"}
    for path in ("/self-upgrade", "/health", "/version", "/nothing"):
        english = client.get(f"/supervisor{path}", headers={"Accept": "application/json"})
        other = client.get(f"/supervisor{path}", headers=code)
        assert (other.status_code, other.json()) == (english.status_code, english.json()), path
    told = client.post("/supervisor/self-upgrade", json={}, headers=code).json()["error"]
    assert told["message"] == "target must be an object with a tag"
    told = client.post("/supervisor/self-upgrade/rollback", json={"opId": "x"}, headers=code).json()["error"]
    assert told["message"] == "opId not found"
    client.post("/supervisor/self-upgrade/rollback", json={"opId": op_id}, headers=code)
    state = finished(client)
    assert state["progress"]["message"].startswith("back on ")
    assert all(line["msg"].isascii() for line in state["logs"]), "the log is English"


def test_what_moves_speaks_as_the_page_does(client: TestClient) -> None:
    upgrade(client)
    view = client.get("/supervisor/self-upgrade/view", headers={"Accept": "application/json", "Accept-Language": "zh"})
    assert "Dockrev 已升级到 0.2.0" in view.json()["regions"]["headline"]
    assert "Accept-Language" in view.headers["vary"]
    switched = {"Accept-Language": "zh", "Cookie": f"{COOKIE}=zh"}
    older = client.get("/supervisor/self-upgrade/view?language=de", headers=switched).json()["regions"]
    assert "Dockrev wurde auf 0.2.0 aktualisiert" in older["headline"], "another tab switched since"
    plain = client.get("/supervisor/self-upgrade/view").json()["regions"]
    assert "Dockrev was upgraded to 0.2.0" in plain["headline"]
    assert (plain["state"], plain["action"]) == ("succeeded", "")


def test_states_steps_and_findings_are_told_and_the_log_is_marked_english(client: TestClient) -> None:
    upgrade(client)
    page = client.get("/supervisor/", headers=GERMAN).text
    for text in (
        "Dockrev wurde auf 0.2.0 aktualisiert", "Gelungen", "Vorprüfung", "Herunterladen", "8 von 8 bestanden",
        "Abgeschlossen: Dockrev 0.2.0 läuft", "house/dockrev läuft mit ghcr.io/ivanli-cn/dockrev:latest 0.1.0",
        "10,0 GB frei in /var/lib/docker",
        "Schema 0001 auf 0002: Die Datenbank wird vorher kopiert", "Zurückrollen auf 0.1.0", "Von Hand",
    ):  # fmt: skip
        assert text in page, text
    assert '<span lang="en">preflight, disk: 10.0 GB free in /var/lib/docker</span>' in page
    assert re.search(r"die Kopie von <time [^>]*>[0-9:]+</time> zurückgelegt", page)
    assert re.search(r'title="\d+\. [A-ZÄ]\w+\.? \d{4}, [0-9:]+ UTC"', page), "dates as Germans write them"
    english = client.get("/supervisor/", headers=BROWSER).text
    assert "10.0 GB free in /var/lib/docker" in english and '<span lang="en">' not in english
    confirm = client.get("/supervisor/rollback", headers=GERMAN).text
    assert "Was geschehen wird" in confirm and "Behalten" in confirm


@pytest.mark.parametrize("language", WORDS)
def test_hostile_texts_are_escaped_in_every_language(client: TestClient, world: FakeWorld, language: str) -> None:
    world.containers = [replace(dockrev(), name=EVIL, project=EVIL, files=(f"/srv/{EVIL}.yaml",))]
    world.registry = {ref: replace(image, platform=f"{EVIL}/x") for ref, image in published("0.2.0").items()}
    assert upgrade(client)["state"] == "failed"
    page = client.get("/supervisor/", headers={**BROWSER, "Accept-Language": language})
    assert "<script>alert" not in page.text
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 4
    told = {"en": "The image is for", "de": "Das Image ist für", "zh": "镜像适用于"}[language]
    assert f"{told} &lt;script&gt;alert(1)&lt;/script&gt;/x" in page.text


def test_words_of_others_stay_and_are_marked(client: TestClient, world: FakeWorld) -> None:
    world.fails = {"look"}
    upgrade(client)
    page = client.get("/supervisor/", headers=GERMAN).text
    assert "Die Aktualisierung auf latest ist misslungen" in page
    assert 'Vorprüfung: <span lang="en">look failed, password=***</span>' in page


# ---- forms and errors


def test_a_refused_form_says_why_in_the_readers_language(client: TestClient) -> None:
    form = {"csrf": token_of(client), "tag": "a b", "digest": "", "mode": "apply"}
    refused = client.post("/supervisor/self-upgrade", data=form, headers=GERMAN)
    assert refused.status_code == 400
    assert "<b>Es wurde nichts begonnen:</b> das Tag muss ein Tag sein, etwa latest oder 0.2.0" in refused.text
    upgrade(client, mode="dry-run")
    form = {"csrf": form["csrf"], "opId": finished(client)["opId"]}
    refused = client.post("/supervisor/self-upgrade/rollback", data=form, headers=GERMAN)
    assert refused.status_code == 409 and "Ein Probelauf ändert nichts" in refused.text


def test_error_pages_speak_it_too(client: TestClient) -> None:
    missing = client.get("/elsewhere", headers=GERMAN)
    assert missing.status_code == 404 and '<html lang="de">' in missing.text
    assert "<h1>Unter dieser Adresse ist nichts</h1>" in missing.text and "Accept-Language" in missing.headers["vary"]
    stale = client.post("/supervisor/self-upgrade", data={"csrf": "x"}, headers=GERMAN)
    assert stale.status_code == 403 and "Die Seite neu laden und das Formular erneut senden." in stale.text
    told = client.get("/elsewhere", headers={"Accept": "application/json", "Accept-Language": "de"})
    assert told.json()["error"]["message"] == "there is nothing at this address"
    assert "Accept" in told.headers["vary"]


def test_who_is_not_let_in_reads_why_and_can_switch(tmp_path: Path) -> None:
    with client_of(tmp_path, allowed_user="alice") as client:
        page = client.get("/supervisor/", headers=GERMAN)
        assert page.status_code == 401 and "<h1>Kein Zutritt</h1>" in page.text
        assert "<code>X-Forwarded-User</code>" in page.text and "al***ce" in page.text
        switched = client.get("/supervisor/?language=zh", headers=GERMAN)
        assert '<html lang="zh-Hans">' in switched.text and "未获准进入" in switched.text
        assert COOKIE not in switched.cookies
        evil = client.get(f"/supervisor/?language={EVIL}", headers=GERMAN)
        assert "<h1>Kein Zutritt</h1>" in evil.text and EVIL not in evil.text
        asked = client.get("/supervisor/", headers={**GERMAN, "X-Forwarded-User": EVIL})
        assert "Dieser Benutzer ist für den Supervisor nicht zugelassen." in asked.text and EVIL not in asked.text
        refused = client.post("/supervisor/language", data={"language": "de"}, headers=BROWSER)
        assert refused.status_code == 401 and COOKIE not in refused.cookies


# ---- the switch


def test_the_switch_needs_no_script_keeps_the_choice_and_comes_back(client: TestClient) -> None:
    page = client.get("/supervisor/rollback", headers=BROWSER).text
    for name, tag in (("English", "en"), ("Deutsch", "de"), ("中文", "zh-Hans")):
        assert re.search(rf'<button [^>]*lang="{tag}"[^>]*>{name}</button>', page)
    token, here = token_of(client), "http://localhost/supervisor"
    for referer, back in (
        (f"{here}/rollback", "/supervisor/rollback"),
        (f"{here}/?op=sup_x", "/supervisor/?op=sup_x"),
        (f"{here}/self-upgrade", "/supervisor/"),
        ("http://evil.example/supervisor/", "/supervisor/"),
        ("http://localhost//evil.example/", "/supervisor/"),
        ("", "/supervisor/"),
    ):
        form = {"csrf": token, "language": "zh"}
        chosen = client.post("/supervisor/language", data=form, headers={**BROWSER, "Referer": referer})
        assert (chosen.status_code, chosen.headers["location"]) == (303, back)
    kept = chosen.headers["set-cookie"]
    assert f"{COOKIE}=zh" in kept and "Path=/;" in kept + ";" and "Max-Age=31536000" in kept and "HttpOnly" in kept
    assert "选择版本" in client.get("/supervisor/", headers=GERMAN).text, "the choice goes before the browser"


def test_the_switch_takes_nothing_else_and_from_nobody_else(client: TestClient) -> None:
    token = token_of(client)
    for form, status in (({"csrf": token, "language": "fr"}, 400), ({"csrf": "x", "language": "de"}, 403)):
        answer = client.post("/supervisor/language", data=form, headers=BROWSER)
        assert answer.status_code == status and COOKIE not in answer.cookies
    other = {**BROWSER, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/supervisor/language", data={"csrf": token, "language": "de"}, headers=other).status_code == 403


def test_two_readers_at_once_each_read_their_own(client: TestClient) -> None:
    for _ in range(3):
        for language, (_tag, _skip, choose, _none) in WORDS.items():
            assert choose in client.get("/supervisor/", headers={**BROWSER, "Accept-Language": language}).text
        assert client.get("/supervisor/self-upgrade").json()["progress"]["message"] == "idle"


def test_the_catalogue_is_small_and_its_own() -> None:
    folder = Path(__file__).resolve().parents[2] / "app/languages"
    for language, text in (("de", "Dockrev-Supervisor"), ("zh", "Dockrev 监管程序")):
        own, main = ((folder / f"{name}{language}.mo").read_bytes() for name in ("supervisor.", ""))
        assert text.encode() in own and len(own) < 40_000
        assert text.encode() not in main, "Dockrev does not carry them too"
