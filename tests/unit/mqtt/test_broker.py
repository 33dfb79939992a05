"""Addresses of brokers, and that nothing of them that is secret can be seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.adapters.mqtt import Broker, MqttError, MqttUnreachable, connect
from app.settings import Settings, SettingsError, load_settings


@pytest.mark.parametrize(
    ("url", "name", "username", "password"),
    [
        ("mqtt://broker", "mqtt://broker:1883", None, None),
        ("mqtts://broker.home.lan", "mqtts://broker.home.lan:8883", None, None),
        ("mqtt://alice:pa%2Fss%40word@10.0.0.2:1884/", "mqtt://10.0.0.2:1884", "alice", "pa/ss@word"),
        ("mqtt://alice@[fd00::1]:1883", "mqtt://[fd00::1]:1883", "alice", None),
    ],
)
def test_addresses(url: str, name: str, username: str | None, password: str | None) -> None:
    broker = Broker.of(url)
    assert (broker.name, broker.username, broker.secret()) == (name, username, password)
    assert broker.tls == url.startswith("mqtts")
    if password:
        assert password not in repr(broker) and "alice" not in repr(broker)


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "mqtt://",
        "mqtt://u:s3cret@h:port",
        "mqtt://u:s3cret@h/topic",
        "mqtt://u:s3cret@h?x=1",
        "s3cret",
        "mqtt://[s3cret",
    ],
)
def test_a_wrong_address_is_refused_without_being_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_MQTT_URL", url)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith("DOCKREV_MQTT_URL: must look like")
    assert "s3cret" not in str(refused.value)
    with pytest.raises(ValueError):
        Broker.of(url)


@pytest.mark.parametrize("prefix", ["+", "a/#", "a//b", "a b", "ü", "$SYS/a", "a" * 65])
def test_a_prefix_that_is_no_topic_is_refused(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_MQTT_PREFIX", prefix)
    with pytest.raises(SettingsError, match="DOCKREV_MQTT_PREFIX: must be letters"):
        load_settings()


def test_settings_do_not_show_the_address() -> None:
    settings = Settings(mqtt_url="mqtt://u:s3cret@h", mqtt_prefix="/home/dockrev/")
    assert "s3cret" not in repr(settings)
    assert settings.mqtt_prefix == "home/dockrev"


def test_a_password_file_goes_first_and_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    broker = Broker.of("mqtt://u:old@h", file)
    with pytest.raises(MqttError, match="no such file") as missing:
        broker.secret()
    assert "DOCKREV_MQTT_PASSWORD_FILE" in missing.value.hint
    file.write_text("new one\n")
    assert broker.secret() == "new one"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(MqttError, match="is no text"):
        broker.secret()


async def test_nobody_there() -> None:
    with pytest.raises(MqttUnreachable, match="connection refused") as failed:
        async with connect(Broker("127.0.0.1", 1), identifier="x"):
            pytest.fail("it says that it is connected")
    assert "DOCKREV_MQTT_URL" in failed.value.hint


async def test_one_who_does_not_speak_tls() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, this is not TLS\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(MqttUnreachable):
            async with connect(Broker("127.0.0.1", port, tls=True), identifier="x"):
                pytest.fail("it says that it is connected")
