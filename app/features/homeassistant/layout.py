"""Topics and identifiers. Names of stacks and services come from outside and never become part of a topic."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

SAFE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what Home Assistant takes as an object id
DEVICE_OBJECTS: Final = ("updates", "last_check", "problem")
KINDS: Final = ("state", "attributes", "known")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. `prefix` tells Dockrevs at one broker apart; `discovery` is Home Assistant's own."""

    prefix: str
    discovery: str

    @property
    def node(self) -> str:
        """The prefix as one level of a topic; stands before every unique id too."""
        return self.prefix.replace("/", "_")

    @property
    def status(self) -> str:
        """`online`, or `offline` as Dockrev's last will."""
        return f"{self.prefix}/status"

    @property
    def state(self) -> str:
        """What the sensors of Dockrev's own device read."""
        return f"{self.prefix}/state"

    @property
    def births(self) -> tuple[str, ...]:
        """Where Home Assistant says that it has started: its default, and beside another prefix of discovery."""
        return tuple(dict.fromkeys(("homeassistant/status", f"{self.discovery}/status")))

    @property
    def installs(self) -> str:
        """All commands."""
        return f"{self.prefix}/+/install"

    @property
    def configs(self) -> str:
        """All entities of this Dockrev, also those a broker has kept of services that are gone."""
        return f"{self.discovery}/+/{self.node}/+/config"

    @property
    def everything(self) -> list[str]:
        """All that may be kept of this Dockrev; below the prefix also what is not its own."""
        return [self.configs, self.status, self.state, *(f"{self.prefix}/+/{kind}" for kind in KINDS)]

    def config(self, component: str, object_id: str) -> str:
        """Where an entity is announced."""
        return f"{self.discovery}/{component}/{self.node}/{object_id}/config"

    def of(self, object_id: str, kind: str) -> str:
        """A topic of a service: state, attributes, known, install."""
        return f"{self.prefix}/{object_id}/{kind}"

    def unique(self, object_id: str) -> str:
        """The identifier by which Home Assistant knows an entity or a device for ever."""
        return f"{self.node}_{object_id}"

    def installed_object(self, topic: str) -> str | None:
        """The service of a command's topic; None when it is none."""
        found = re.fullmatch(rf"{re.escape(self.prefix)}/({SAFE.pattern})/install", topic)
        return found[1] if found else None

    def leftovers(self, topic: str) -> list[str]:
        """A kept announcement's topic and the others of its service, for when there is no such service; empty when it
        is no announcement of this Dockrev."""
        before, node = re.escape(self.discovery), re.escape(self.node)
        found = re.fullmatch(rf"{before}/(\w+)/{node}/({SAFE.pattern})/config", topic)
        if found is None:
            return []
        states = [self.of(found[2], kind) for kind in KINDS] if found[1] == "update" else []
        return [topic, *states]


def object_id(service_id: str) -> str:
    """A service's id as part of a topic: itself, since ids are Dockrev's own; anything else by its hash."""
    return service_id if SAFE.fullmatch(service_id) else "x" + hashlib.sha256(service_id.encode()).hexdigest()[:24]


def slug(text: str) -> str:
    """Letters, digits and single underscores, as entity ids are written; may be empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60]
