"""`dockrev homeassistant`."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.starting import load
from app.cli.text import one_line, table

if TYPE_CHECKING:
    from app.adapters.mqtt import Place
    from app.features.homeassistant.clearing import Kept
    from app.settings import Settings


@dataclass(slots=True)
class Found:
    """What the broker keeps of a place. `unseen` was published there and is not kept, or may not be read."""

    place: Place
    remembered: frozenset[str]
    online: bool = False
    topics: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    cleared: int = 0

    @property
    def document(self) -> dict[str, Any]:
        """For --json, but for what became of it."""
        return {
            "prefix": self.place.prefix,
            "discoveryPrefix": self.place.discovery,
            "online": self.online,
            "topics": self.topics,
        }


@click.group("homeassistant", epilog=EXIT_CODES_HELP)
def command() -> None:
    """What the MQTT broker keeps for Home Assistant; for a shell on the host, whether or not Dockrev runs."""


@command.command("clear", epilog=EXIT_CODES_HELP)
@click.option("--prefix", help="Only what was told under this DOCKREV_MQTT_PREFIX, also when it is not remembered.")
@click.option("--discovery-prefix", help="Only what was told under this DOCKREV_MQTT_DISCOVERY_PREFIX.")
@click.option("--dry-run", is_flag=True, help="Only list what would go.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also where a Dockrev is at work; it tells all again when it starts.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def clear(
    prefix: str | None, discovery_prefix: str | None, dry_run: bool, yes: bool, force: bool, as_json: bool
) -> None:
    """Take back all that Dockrev told the broker in DOCKREV_MQTT_URL: its entities leave Home Assistant.

    \b
    dockrev homeassistant clear --dry-run
    dockrev homeassistant clear --prefix dockrev-old --yes

    Without options that is what Dockrev remembers to have published there, and what the prefixes of this shell name.
    Where a Dockrev is at work nothing is cleared: stop it first, or start it without DOCKREV_MQTT_URL.
    """
    from app.core.errors import DockrevError

    settings = load()
    if settings.mqtt_url is None:
        raise Failure(
            "no broker is named", exit_code=Exit.USAGE, hint="Set DOCKREV_MQTT_URL to the one to clear.", code="usage"
        )
    wanted = [Found(place, topics) for place, topics in places(settings, prefix, discovery_prefix).items()]
    try:
        asyncio.run(look(settings, wanted))
        found = [one for one in wanted if one.topics]
        allow(found, force=force or dry_run)
        if not as_json:
            show(found)
        if found and confirm(sum(len(one.topics) for one in found), dry_run=dry_run, yes=yes, as_json=as_json):
            asyncio.run(empty(settings, found))
    except DockrevError as error:
        raise Failure(error.message, exit_code=Exit.UNREACHABLE, hint=error.hint, code=error.code) from error
    tell(found, dry_run=dry_run, as_json=as_json)


@command.command("forget", epilog=EXIT_CODES_HELP)
@click.argument("broker")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def forget(broker: str, as_json: bool) -> None:
    """Forget what was told a BROKER, like mqtt://old.lan:1883: one that is gone, or that has another address now.

    Nothing is sent: what it keeps stays there. The page and `dockrev doctor` name the brokers that are remembered.
    """
    from app.adapters.mqtt import Published

    published = Published.beside(load().db_path)
    known = published.places()
    mine = [place for place in known if place.broker == broker]
    if not mine:
        names = ", ".join(sorted({place.broker for place in known})) or "none"
        raise Failure(
            f"nothing is remembered of {one_line(broker, 120)}",
            exit_code=Exit.USAGE,
            hint=f"Known: {names}",
            code="not_found",
        )
    for place in mine:
        published.forget(place)
    rows = [{"prefix": place.prefix, "discoveryPrefix": place.discovery} for place in mine]
    click.echo(json.dumps({"broker": broker, "forgotten": rows}) if as_json else f"{broker} is forgotten.")


def places(settings: Settings, prefix: str | None, discovery: str | None) -> dict[Place, frozenset[str]]:
    """Where to look: what is remembered of this broker, and what is named here or by the settings. Raises Failure."""
    from pydantic import ValidationError

    from app.adapters.mqtt import Broker, Place, Published

    assert settings.mqtt_url is not None
    name = Broker.of(settings.mqtt_url).name
    remembered = Published.beside(settings.db_path).places()
    given = {
        "mqtt_prefix": settings.mqtt_prefix if prefix is None else prefix,
        "mqtt_discovery_prefix": settings.mqtt_discovery_prefix if discovery is None else discovery,
    }
    try:
        named = type(settings).model_validate(given)
    except ValidationError as error:
        option = str(error.errors()[0]["loc"][0]).removeprefix("mqtt_").replace("_", "-")
        words = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise Failure(f"--{option}: {words}", exit_code=Exit.USAGE, code="usage") from error
    own = Place(name, named.mqtt_prefix, named.mqtt_discovery_prefix)
    return {
        place: topics
        for place, topics in {own: frozenset[str](), **remembered}.items()
        if place.broker == name
        and (prefix is None or place.prefix == named.mqtt_prefix)
        and (discovery is None or place.discovery == named.mqtt_discovery_prefix)
    }


async def look(settings: Settings, wanted: list[Found]) -> None:
    """Ask the broker what it keeps of each place."""
    for one in wanted:
        async with _kept(settings, one) as kept:
            one.online, one.topics, one.unseen = kept.online, kept.topics, kept.unseen


def allow(found: list[Found], *, force: bool) -> None:
    """Raise Failure (4) where somebody is at work."""
    busy = [one.place.prefix for one in found if one.online]
    if busy and not force:
        raise Failure(
            f"a Dockrev is at work under {', '.join(busy)}",
            exit_code=Exit.CONFLICT,
            hint="Stop it, or start it without DOCKREV_MQTT_URL; --force clears all the same.",
            code="conflict",
        )


def show(found: list[Found]) -> None:
    """What would go."""
    rows = [
        (
            one.place.prefix,
            one.place.discovery,
            len(one.topics),
            sum(topic.endswith("/config") for topic in one.topics),
            "at work" if one.online else "away",
        )
        for one in found
    ]
    for line in table(("PREFIX", "DISCOVERY", "TOPICS", "ENTITIES", "DOCKREV"), rows):
        click.echo(line)


def confirm(count: int, *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Whether to do it. Raises Failure (2) where nobody can be asked."""
    if dry_run or yes:
        return not dry_run
    if as_json or not sys.stdin.isatty():
        raise Failure(
            "nobody here can be asked",
            exit_code=Exit.USAGE,
            hint="Add --yes to clear, or --dry-run to look.",
            code="usage",
        )
    return click.confirm(f"Empty {'this topic' if count == 1 else f'these {count} topics'}?")


async def empty(settings: Settings, found: list[Found]) -> None:
    """Clear them, and forget the places of which nothing is left."""
    from app.adapters.mqtt import Published

    published = Published.beside(settings.db_path)
    for one in found:
        async with _kept(settings, one) as kept:
            one.left = await kept.clear([*kept.topics, *kept.unseen])
        one.cleared = len(one.topics) - len(one.left)
        if not one.left:
            await asyncio.to_thread(published.forget, one.place)


def tell(found: list[Found], *, dry_run: bool, as_json: bool) -> None:
    """What became of it. Raises Failure (3) when the broker kept something."""
    left = [topic for one in found for topic in one.left]
    cleared = sum(one.cleared for one in found)
    if left:
        raise Failure(
            f"{cleared} topics were cleared, and the broker keeps {len(left)}, like {one_line(left[0], 120)}",
            exit_code=Exit.UNREACHABLE,
            hint="Let the broker's user write them, or name another one in DOCKREV_MQTT_URL.",
            code="denied",
        )
    if as_json:
        click.echo(json.dumps({"dryRun": dry_run, "cleared": cleared, "places": [one.document for one in found]}))
    elif not found:
        click.echo("The broker keeps nothing of Dockrev, or its user may not read it.")
    elif cleared:
        click.echo(f"{cleared} topics cleared.")
    else:
        click.echo("Nothing was changed.")


def _kept(settings: Settings, one: Found) -> AbstractAsyncContextManager[Kept]:
    from app.adapters.mqtt import Broker
    from app.features.homeassistant.clearing import kept_by
    from app.features.homeassistant.layout import Layout

    broker = Broker.of(settings.mqtt_url or "", settings.mqtt_password_file)
    return kept_by(broker, Layout(one.place.prefix, one.place.discovery), one.remembered)
