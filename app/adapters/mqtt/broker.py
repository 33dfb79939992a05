"""Where a broker is, and who Dockrev is to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from app.adapters.mqtt.errors import MqttError

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
LONGEST_PASSWORD: Final = 4096


@dataclass(frozen=True, slots=True)
class Broker:
    """`name` may be shown everywhere; user and password nowhere. A password file is read anew at each connection."""

    host: str
    port: int
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None

    @classmethod
    def of(cls, url: str, password_file: Path | None = None) -> Broker:
        """From an address like `mqtts://user:password@host:8883`, its parts percent-encoded where they must be.

        Raises ValueError, without a word of the address, when it is none.
        """
        parts = urlsplit(url.strip())
        port = parts.port  # raises ValueError when it is no number
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("not the address of a broker")
        return cls(
            host=parts.hostname,
            port=port or PORTS[parts.scheme],
            tls=parts.scheme == "mqtts",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            password_file=password_file,
        )

    @property
    def name(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def secret(self) -> str | None:
        """The password, from its file where there is one. Reads the disk: call it in a thread. Raises MqttError."""
        if self.password_file is None:
            return self.password
        try:
            with self.password_file.open(encoding="utf-8") as file:
                return file.read(LONGEST_PASSWORD).strip("\r\n") or None
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or "cannot be read") if isinstance(error, OSError) else "is no text"
            raise MqttError(
                f"the file of the MQTT password cannot be used: {reason.lower()}",
                hint="Correct DOCKREV_MQTT_PASSWORD_FILE, or let Dockrev read it.",
            ) from None
