"""Debian's Mosquitto with one user, and an ear that hears what Home Assistant would."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.lab.packages import fetch
from tests.lab.registry import free_port

USER: Final = "dockrev"
PASSWORD: Final = "c0rrect/h0rse"  # the stroke must be encoded in an address
PATIENCE: Final = 30.0


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for `localhost` that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "broker.pem", folder / "broker.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
    return public, private


class Mosquitto:
    """A broker that forgets everything when it is restarted. A certificate and its key make it speak TLS; `rights` are
    lines of its access file, of its one user."""

    def __init__(self, folder: Path, public: Path | None = None, private: Path | None = None, rights: str = "") -> None:
        root = fetch("mosquitto", libraries=True)
        self._program = root / "usr/sbin/mosquitto"
        self._env = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, root.glob("usr/lib/*-linux-gnu")))}
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        users = folder / "users"
        command: list[str | Path] = [root / "usr/bin/mosquitto_passwd", "-b", "-c", users, USER, PASSWORD]
        subprocess.run(command, env=self._env, check=True, capture_output=True, timeout=30)
        tls = f"certfile {public}\nkeyfile {private}\n" if public else ""
        if rights:
            (folder / "rights").write_text(f"user {USER}\n{rights}\n")
            tls += f"acl_file {folder / 'rights'}\n"
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n{tls}allow_anonymous false\npassword_file {users}\n"
            "user root\nlog_dest stderr\npersistence false\n"
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", self.folder / "mosquitto.conf"], env=self._env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("Mosquitto did not start: " + self.log())

    def stop(self) -> None:
        """Kill it; every connection breaks."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=15)

    def reload(self) -> None:
        """Read users and rights anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        time.sleep(1)

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "mosquitto.log").read_text()[-3000:]


class Ear:
    """Hears everything at a broker: `kept` is what it keeps by now, `heard` all of it in order."""

    def __init__(self, port: int, authority: Path | None = None) -> None:
        self.where = f"127.0.0.1:{port}"
        self.kept: dict[str, str] = {}
        self.heard: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        if authority is not None:
            self._client.tls_set(str(authority))
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("localhost" if authority else "127.0.0.1", port)
        self._client.loop_start()

    def _take(self, client: Client, data: Any, message: MQTTMessage) -> None:
        text = message.payload.decode()
        with self._lock:
            self.heard.append((message.topic, text))
            if text:
                self.kept[message.topic] = text
            else:
                self.kept.pop(message.topic, None)

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self.kept.clear()
            self.heard.clear()

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        """Publish, as Home Assistant would."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)

    def until(self, wanted: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Wait for something true."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := wanted():
                return found
            time.sleep(0.05)
        with self._lock:
            raise AssertionError(f"{what} did not come; kept: {json.dumps(self.kept, indent=1)[:6000]}")

    def document(self, topic: str) -> dict[str, Any]:
        """A kept document; empty when there is none."""
        found: dict[str, Any] = json.loads(self.kept.get(topic, "{}"))
        return found

    def configs(self, component: str = "update") -> dict[str, dict[str, Any]]:
        """The announced entities by their name."""
        return {
            json.loads(text)["name"]: json.loads(text)
            for topic, text in list(self.kept.items())
            if topic.startswith(f"homeassistant/{component}/") and topic.endswith("/config")
        }

    def state(self, name: str) -> dict[str, Any]:
        """What the entity of this name reads; empty while there is none."""
        config = self.configs().get(name)
        return self.document(config["state_topic"]) if config else {}

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
