"""What Home Assistant would hear of a real Dockrev, through Debian's Mosquitto, and what it may start."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.adapters.mqtt import Place, Published
from app.adapters.mqtt.published import NAME
from tests.lab.broker import PASSWORD, USER, Ear, Mosquitto, certificate
from tests.lab.lab import Lab
from tests.lab.test_crash import ROOT, Server
from tests.unit.homeassistant.contract import broken

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

Start = Callable[..., Server]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def ear(mosquitto: Mosquitto) -> Iterator[Ear]:
    listening = Ear(mosquitto.port)
    try:
        yield listening
    finally:
        listening.close()


@pytest.fixture
def start(clean_lab: Lab, tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Start]:
    started: list[Server] = []

    def run(password: str = PASSWORD, **env: str) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        server = Server(clean_lab, folder)
        url = f"mqtt://{USER}:{quote(password, safe='')}@127.0.0.1:{mosquitto.port}"
        server.env |= {"DOCKREV_MQTT_URL": url, "DOCKREV_UPDATE_SETTLE_SECONDS": "4", **env}
        server.start()
        started.append(server)
        return server

    yield run
    for server in started:
        server.end()
        server.http.close()


def stack(lab: Lab, repo: str) -> None:
    """A stack `news` whose service `web` runs 1.0.0 of a repository of this test."""
    lab.registry.publish(repo, ["1", "1.0.0"], lab.samples("web").good("1.0.0"))
    ref = lab.registry.ref(repo, "1")
    lab.stack("news", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)


def release(lab: Lab, repo: str) -> str:
    """Publish 1.1.0 under the same tag; its digest."""
    return lab.registry.publish(repo, ["1", "1.1.0"], lab.samples("web").good("1.1.0"))


def look(server: Server) -> None:
    """Discover and check."""
    server.finished(server.post("/api/discovery/scan")["jobId"])
    server.finished(server.post("/api/checks", scope="all")["checkId"])


def status(server: Server) -> dict[str, Any]:
    return server.get("/settings/home-assistant")


def until(wanted: Callable[[], Any]) -> None:
    """Wait for something true."""
    deadline = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def doctor(server: Server) -> tuple[str, str]:
    """What `dockrev doctor` says of the broker."""
    command = [sys.executable, "-m", "app.cli", "doctor", "--only", "mqtt", "--json"]
    ran = subprocess.run(command, cwd=ROOT, env=server.env, capture_output=True, text=True, timeout=60)
    assert PASSWORD not in ran.stdout + ran.stderr
    (check,) = json.loads(ran.stdout)["checks"]
    return check["status"], check["text"]


def clear(server: Server, *options: str) -> tuple[int, dict[str, Any]]:
    """`dockrev homeassistant clear`: its exit code and document."""
    command = [sys.executable, "-m", "app.cli", "homeassistant", "clear", "--json", *options]
    ran = subprocess.run(command, cwd=ROOT, env=server.env, capture_output=True, text=True, timeout=90)
    assert PASSWORD not in ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return ran.returncode, found


def jobs(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/api/jobs")["jobs"]
    return [job for job in found if job["type"] == "update"]


def test_updates_are_told_started_and_followed(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/told")
    server = start(DOCKREV_MQTT_INSTALL="on")
    ear.until(lambda: ear.kept.get("dockrev/status") == "online", "online")
    own = ear.until(lambda: len(ear.configs("sensor")) == 2 and ear.configs("binary_sensor"), "the own device")
    assert own["Problem"]["device"]["identifiers"] == ["dockrev"]
    assert ear.document("dockrev/state")["updates"] == "None", "nobody has looked yet"
    server.finished(server.post("/api/discovery/scan")["jobId"])
    config = ear.until(lambda: ear.configs().get("web"), "the entity")
    assert config["default_entity_id"] == "update.dockrev_news_web"
    assert config["device"]["name"] == "news" and config["device"]["via_device"] == "dockrev"
    known = config["availability"][1]["topic"]
    assert "latest_version" not in ear.state("web") and ear.kept[known] == "offline", "never checked is not up to date"
    look(server)
    ear.until(lambda: ear.kept[known] == "online", "the first check")
    ear.until(lambda: ear.state("web").get("installed_version") == "1.0.0", "the version behind the tag")
    assert ear.state("web") | {"release_url": ""} == {
        "title": "news/web",
        "in_progress": False,
        "update_percentage": None,
        "installed_version": "1.0.0",
        "latest_version": "1.0.0",
        "release_url": "",
    }
    assert "command_topic" not in ear.configs()["web"]
    digest = release(clean_lab, "ha/told")
    look(server)
    ear.until(lambda: ear.state("web").get("latest_version") == "1.1.0", "the update")
    assert ear.state("web")["installed_version"] == "1.0.0"
    ear.until(lambda: ear.document("dockrev/state")["updates"] == 1, "the count")
    assert ear.document("dockrev/state")["problem"] == "OFF"
    config = ear.configs()["web"]
    assert config["payload_install"] == digest

    ear.say(config["command_topic"], config["payload_install"])
    ear.say(config["command_topic"], config["payload_install"])
    ear.until(lambda: ear.state("web")["in_progress"], "progress")
    ear.until(
        lambda: not ear.state("web")["in_progress"] and ear.state("web")["installed_version"] == "1.1.0",
        "the end of the update",
        90,
    )
    assert ear.state("web")["latest_version"] == "1.1.0"
    (job,) = jobs(server)
    assert job["status"] == "success" and job["createdBy"] == "mqtt"
    ear.until(lambda: ear.document("dockrev/state")["updates"] == 0, "nothing waits")
    trail = server.get("/api/audit?action=update.start")["events"]
    assert {(event["means"], event["outcome"]) for event in trail} == {("mqtt", "ok"), ("mqtt", "refused")}
    assert status(server)["connected"] and status(server)["entities"] == 4
    assert broken(dict(ear.kept)) == []


def test_nothing_is_started_that_was_not_offered(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/refused")
    digest = release(clean_lab, "ha/refused")
    server = start()
    look(server)
    ear.until(lambda: ear.state("web").get("latest_version", "").startswith("1.1.0"), "the update")
    config = ear.configs()["web"]
    assert "command_topic" not in config and "payload_install" not in config
    topic = config["state_topic"].replace("/state", "/install")
    ear.say(topic, digest)
    server.end(signal.SIGTERM)
    ear.until(lambda: ear.kept["dockrev/status"] == "offline", "goodbye")
    again = start(DOCKREV_DB_PATH=str(server.database), DOCKREV_MQTT_INSTALL="on")
    ear.until(lambda: ear.kept["dockrev/status"] == "online", "online again")
    assert ear.configs()["web"]["payload_install"] == digest
    attributes = ear.configs()["web"]["json_attributes_topic"]

    def answered(words: str) -> bool:
        return words in ear.document(attributes).get("last_command", "")

    for payload, retain, told in (
        ("sha256:" + "0" * 64, False, "another version"),
        ("install", False, "the digest to install"),
        ("x" * 100_000, False, "the digest to install"),
        (digest, True, "old"),
    ):
        if retain:  # kept before Dockrev listens: it hears it when it connects again
            again.end(signal.SIGTERM)
            ear.say(topic, payload, retain=True)
            again.start()
        else:
            ear.say(topic, payload)
        ear.until(partial(answered, told), told)
    ear.say("dockrev/svc_of_nobody/install", digest)
    ear.say("dockrev/../install", digest)
    time.sleep(1)
    assert jobs(again) == []
    refused = again.get("/api/audit?means=mqtt")["events"]
    assert {event["outcome"] for event in refused} == {"refused"}


def test_the_broker_and_dockrev_may_go_and_come(clean_lab: Lab, start: Start, mosquitto: Mosquitto, ear: Ear) -> None:
    stack(clean_lab, "ha/goes")
    server = start()
    look(server)
    ear.until(lambda: ear.state("web").get("latest_version") == "1.0.0", "the entity")
    ear.forget()
    mosquitto.stop()
    ear.until(lambda: not status(server)["connected"], "that it is gone")
    page = server.http.get("/settings/home-assistant", headers={"Accept": "text/html"}).text
    assert "Not connected" in page and PASSWORD not in page and quote(PASSWORD, safe="") not in page
    assert "dockrev_mqtt_connected" in server.http.get("/metrics").text
    mosquitto.start()
    ear.until(lambda: ear.kept.get("dockrev/status") == "online", "everything again", 60)
    assert ear.state("web")["latest_version"] == "1.0.0" and len(ear.configs("sensor")) == 2

    ear.forget()
    ear.say("homeassistant/status", "online")
    ear.until(lambda: ear.kept.get("dockrev/status") == "online", "all after a start of Home Assistant")
    assert ear.state("web")["latest_version"] == "1.0.0"

    server.end(signal.SIGKILL)
    ear.until(lambda: ear.kept["dockrev/status"] == "offline", "the last will")
    server.start()
    ear.until(lambda: ear.kept["dockrev/status"] == "online", "online")
    began = time.monotonic()
    server.end(signal.SIGTERM)
    assert time.monotonic() - began < 6
    ear.until(lambda: ear.kept["dockrev/status"] == "offline", "goodbye")


def test_what_is_gone_is_emptied(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/gone")
    server = start()
    look(server)
    config = ear.until(lambda: ear.configs().get("web"), "the entity")
    service_id = config["unique_id"].removeprefix("dockrev_")
    ear.until(lambda: config["state_topic"] in ear.kept, "its state")
    server.post(f"/api/services/{service_id}/archive")
    ear.until(lambda: not any(service_id in topic for topic in ear.kept), "that the archived one is emptied")
    server.post(f"/api/services/{service_id}/restore")
    ear.until(lambda: ear.configs().get("web"), "the entity again")
    old = "homeassistant/update/dockrev/svc_of_another_life"
    server.end(signal.SIGTERM)
    ear.say(f"{old}/config", '{"name":"old"}', retain=True)
    ear.say("dockrev/svc_of_another_life/state", "{}", retain=True)
    ear.say("homeassistant/update/somebody/else/config", '{"name":"other"}', retain=True)
    server.start()
    ear.until(lambda: not any("another_life" in topic for topic in ear.kept), "that old ones are emptied")
    assert "homeassistant/update/somebody/else/config" in ear.kept, "what is not ours stays"


def test_another_prefix_takes_back_what_the_old_one_left(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/moved")
    first = start()
    look(first)
    ear.until(lambda: ear.state("web").get("latest_version") == "1.0.0", "the entity")
    copied = (first.folder / NAME).read_bytes()
    first.end(signal.SIGTERM)
    ear.say("dockrev/kitchen/state", "of somebody else", retain=True)
    ear.say("homeassistant/sensor/kitchen/heat/config", '{"name":"heat"}', retain=True)
    first.env |= {"DOCKREV_MQTT_PREFIX": "home/dockrev", "DOCKREV_MQTT_DISCOVERY_PREFIX": "ha"}
    first.start()
    foreign = {"dockrev/kitchen/state", "homeassistant/sensor/kitchen/heat/config"}
    ear.until(
        lambda: {topic for topic in ear.kept if not topic.startswith(("home/dockrev/", "ha/"))} == foreign,
        "that the old ones are emptied",
        60,
    )
    assert ear.kept["home/dockrev/status"] == "online" and any(topic.startswith("ha/update/") for topic in ear.kept)
    until(lambda: status(first)["former"] == [])
    until(lambda: list(Published(first.folder / NAME).places()) == [Place(broker_of(first), "home/dockrev", "ha")])

    # A second Dockrev that was made from a copy of the first one's folder: what the first one tells is not its own.
    ear.forget()
    second = start(DOCKREV_MQTT_PREFIX="other")
    second.end(signal.SIGTERM)
    places = json.loads((first.folder / NAME).read_text())["places"] + json.loads(copied)["places"]
    (second.folder / NAME).write_text(json.dumps({"places": places}))
    second.start()
    until(lambda: [one["why"] for one in status(second)["former"]] == ["in_use"])
    page = second.http.get("/settings/home-assistant", headers={"Accept": "text/html"}).text
    assert "another Dockrev is at work there" in page
    assert not [topic for topic, text in ear.heard if topic.startswith("home/dockrev/") and not text]


def broker_of(server: Server) -> str:
    return str(status(server)["broker"])


def test_what_a_broker_keeps_is_cleared_by_a_command(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/cleared")
    server = start()
    look(server)
    ear.until(lambda: ear.state("web").get("latest_version") == "1.0.0", "the entity")
    code, told = clear(server, "--yes")
    assert (code, told["error"]["code"]) == (4, "conflict") and "at work under dockrev" in told["error"]["message"]
    server.end(signal.SIGTERM)
    ear.until(lambda: ear.kept["dockrev/status"] == "offline", "goodbye")
    foreign = {"dockrev/kitchen/state": "x", "homeassistant/sensor/kitchen/heat/config": '{"name":"heat"}'}
    for topic, text in foreign.items():
        ear.say(topic, text, retain=True)
    mine = {topic for topic in ear.kept if topic not in foreign}

    code, told = clear(server, "--dry-run")
    assert code == 0 and told["dryRun"] and told["cleared"] == 0 and set(told["places"][0]["topics"]) == mine
    code, told = clear(server)
    assert (code, told["error"]["code"]) == (2, "usage")
    assert mine <= set(ear.kept), "nothing was changed"
    server.env.pop("DOCKREV_MQTT_URL")
    assert doctor(server)[0] == "warn" and "still keeps" in doctor(server)[1]
    assert clear(server, "--yes")[0] == 2, "no broker is named"
    server.start()
    assert "a broker still keeps" in (server.folder / "server.log").read_text()
    server.end(signal.SIGTERM)

    server.env["DOCKREV_MQTT_URL"] = f"mqtt://{USER}:{quote(PASSWORD, safe='')}@{ear.where}"
    code, told = clear(server, "--yes")
    assert code == 0 and told["cleared"] == len(mine)
    ear.until(lambda: ear.kept == foreign, "that only the foreign ones are left")
    assert not (server.folder / NAME).exists()
    assert clear(server, "--yes") == (0, {"dryRun": False, "cleared": 0, "places": []})
    code, told = clear(server, "--prefix", "a/#", "--dry-run")
    assert code == 2 and "--prefix" in told["error"]["message"]


def test_without_the_file_an_old_prefix_is_cleared_by_its_name(clean_lab: Lab, start: Start, ear: Ear) -> None:
    stack(clean_lab, "ha/forgotten")
    server = start(DOCKREV_MQTT_PREFIX="old")
    look(server)
    ear.until(lambda: ear.state("web").get("latest_version") == "1.0.0", "the entity")
    server.end(signal.SIGTERM)
    (server.folder / NAME).unlink()
    server.env["DOCKREV_MQTT_PREFIX"] = "new"
    server.start()
    ear.until(lambda: ear.kept.get("new/status") == "online", "online")
    assert ear.kept["old/status"] == "offline"
    code, told = clear(server, "--prefix", "old", "--yes")
    assert code == 0 and told["cleared"] > 8
    ear.until(lambda: not any(topic.startswith("old/") or "/old/" in topic for topic in ear.kept), "that it is gone")
    assert ear.kept["new/status"] == "online"


def test_what_may_not_be_written_is_told_and_not_forgotten(start: Start, tmp_path: Path) -> None:
    (tmp_path / "strict").mkdir()
    rights = "topic readwrite new/#\ntopic readwrite homeassistant/#\ntopic read old/#"
    broker = Mosquitto(tmp_path / "strict", rights=rights)
    broker.start()
    try:
        url = f"mqtt://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{broker.port}"
        server = start(DOCKREV_MQTT_URL=url, DOCKREV_MQTT_PREFIX="new")
        until(lambda: status(server)["connected"])
        server.end(signal.SIGTERM)
        place = Place(f"mqtt://127.0.0.1:{broker.port}", "old", "homeassistant")
        rules, opened = broker.folder / "rights", "topic readwrite #"
        rules.write_text(f"user {USER}\n{opened}\n")
        broker.stop()
        broker.start()
        other = Ear(broker.port)
        other.say("old/state", "{}", retain=True)
        other.until(lambda: "old/state" in other.kept, "the old state")
        other.close()
        Published(server.folder / NAME).remember(place, ["old/state"])
        rules.write_text(f"user {USER}\n{rights}\n")
        broker.reload()
        code, told = clear(server, "--prefix", "old", "--yes")
        assert (code, told["error"]["code"]) == (3, "denied") and "old/state" in told["error"]["message"]
        assert place in Published(server.folder / NAME).places()
        server.start()
        until(lambda: [one["why"] for one in status(server)["former"]] == ["denied"])
    finally:
        broker.stop()


def test_tls_with_an_authority_of_ones_own_and_a_password_from_a_file(start: Start, tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    broker, secret = Mosquitto(tmp_path, public, private), tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    broker.start()
    url = f"mqtts://{USER}@localhost:{broker.port}"
    settings = {"DOCKREV_MQTT_URL": url, "DOCKREV_MQTT_PASSWORD_FILE": str(secret)}
    try:
        doubting = start(**settings)
        until(lambda: status(doubting)["error"])
        assert "certificate is not believed" in status(doubting)["error"]
        assert doctor(doubting) == ("fail", status(doubting)["error"])
        doubting.end(signal.SIGTERM)
        server = start(**settings, SSL_CERT_FILE=str(public))
        until(lambda: status(server)["connected"])
        assert doctor(server) == ("ok", f"connected to mqtts://localhost:{broker.port}; Home Assistant only hears")
        ear = Ear(broker.port, public)
        ear.until(lambda: ear.kept.get("dockrev/status") == "online", "online")
        ear.close()
    finally:
        broker.stop()


def test_a_broker_that_says_nothing_does_not_hold_up_the_end(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("mqtt", "mqtts"):
            server = start(DOCKREV_MQTT_URL=f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")
            time.sleep(1)
            began = time.monotonic()
            server.end(signal.SIGTERM)
            assert time.monotonic() - began < 6


def test_a_wrong_password_is_told_without_it(clean_lab: Lab, start: Start, mosquitto: Mosquitto) -> None:
    server = start(password="wr0ng-s3cret")
    until(lambda: status(server)["error"])
    told = status(server)
    assert "does not accept the user or the password" in told["error"] and not told["connected"]
    log = (server.folder / "server.log").read_text()
    pages = server.http.get("/settings/home-assistant", headers={"Accept": "text/html"}).text
    assert "wr0ng-s3cret" not in log + pages + str(told) and USER + ":" not in log
    assert "DOCKREV_MQTT_PASSWORD_FILE" in told["remedy"]
