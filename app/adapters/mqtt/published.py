"""What was published where, remembered in a file beside the database, so that it can be taken back: a broker keeps it
for ever, also when the settings that named it are gone.

A file and no table, since it is about brokers: a database that is put back does not know what they keep, and the
command that clears them must not wait for a server that holds the database. No secret is in it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

NAME: Final = "mqtt-published.json"
LARGEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A broker by its name, and the two prefixes under which it was told."""

    broker: str
    prefix: str
    discovery: str


class Published:
    """The file. Every method reads or writes the disk: call it in a thread. A file that cannot be used is told in the
    log and holds nothing up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def beside(cls, database: Path) -> Published:
        """The one of a database."""
        return cls(database.with_name(NAME))

    def places(self) -> dict[Place, frozenset[str]]:
        """All places with the topics that were published there; the oldest first."""
        try:
            with self._path.open(encoding="utf-8") as file:
                text = file.read(LARGEST)
            return dict(_place(row) for row in json.loads(text)["places"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("what was told over MQTT is not known any more", file=str(self._path), cause=str(error)[:200])
            return {}

    def others(self, than: Place) -> dict[Place, frozenset[str]]:
        """The places of earlier settings."""
        return {place: topics for place, topics in self.places().items() if place != than}

    def remember(self, place: Place, topics: Collection[str]) -> None:
        """These topics are published there, and no others."""
        with self._change() as places:
            places[place] = frozenset(topics)

    def forget(self, place: Place) -> None:
        """Nothing is published there any more."""
        with self._change() as places:
            places.pop(place, None)

    @contextmanager
    def _change(self) -> Iterator[dict[Place, frozenset[str]]]:
        """Read, change, replace; the server and a command do it one after the other."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            log.warning("what is told over MQTT cannot be remembered", file=str(self._path), cause=error.strerror)
            yield {}
            return
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            places = self.places()
            yield places
            self._write(places)
        except OSError as error:
            log.warning("what is told over MQTT cannot be remembered", file=str(self._path), cause=error.strerror)
        finally:
            os.close(folder)

    def _write(self, places: Mapping[Place, frozenset[str]]) -> None:
        if not places:
            self._path.unlink(missing_ok=True)
            return
        rows = [asdict(place) | {"topics": sorted(topics)} for place, topics in places.items()]
        partial = self._path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump({"places": rows}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)


def _place(row: Any) -> tuple[Place, frozenset[str]]:
    """A row of the file. Raises what `places` catches when it is none."""
    place = Place(*(str(row[name]) for name in ("broker", "prefix", "discovery")))
    return place, frozenset(str(topic) for topic in row["topics"])
