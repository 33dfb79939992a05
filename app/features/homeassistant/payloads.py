"""From facts to messages. Pure.

What they follow of Home Assistant, from home-assistant.io/integrations/mqtt (discovery), update.mqtt, sensor.mqtt and
binary_sensor.mqtt, and from what its integration does with them; `tests/unit/homeassistant/contract.py` has the rules:

- an announcement is kept at `<prefix>/<component>/<node>/<object>/config`, letters, digits, `_` and `-`; an empty one
  removes the entity. Members that it does not know are dropped. `unique_id` is for ever, needed with `device`, which
  needs an identifier; `origin` needs a name. One device in one message (device-based discovery) is possible too: a
  message for each entity lets one service go without telling its stack anew.
- `availability` and `availability_topic` exclude each other; `all` wants every topic online.
- a state of an update entity is dropped as a whole for a member that it does not know or that is null (but for
  `update_percentage`, 0 to 100), and a member that is left out keeps its value: so what is not known any more makes the
  entity unavailable. `release_summary`, which Dockrev has none of, is cut after 255 characters.
- a command needs `payload_install` beside `command_topic`. The category comes by itself: `config` with a command,
  `diagnostic` without.
- attributes named like its own (`state`, `icon`, `name` and others) are dropped.
- a sensor takes the text `None` as unknown; a timestamp needs its zone.
"""

from __future__ import annotations

import json
from typing import Any, Final

from app.core.web.presentation import clean
from app.features.homeassistant.facts import House, Told
from app.features.homeassistant.layout import Layout, object_id, slug

ONLINE: Final = "online"
OFFLINE: Final = "offline"
NAME: Final = 80  # characters of a name
PROJECT: Final = "https://github.com/ivanli-cn/dockrev"
UNKNOWN: Final = "None"  # what Home Assistant's sensors take as "unknown"


def messages(
    house: House, layout: Layout, *, install: bool, notes: dict[str, dict[str, Any]] | None = None
) -> dict[str, str]:
    """Everything that shall be kept by the broker, by topic: announcements first, then states.

    `notes` tells of the last command for a service, by its id.
    """
    names = entity_names(house, layout)
    announced = _own_entities(house, layout)
    states: dict[str, str] = {layout.state: _dump(_own_state(house))}
    for told in house.services:
        key = object_id(told.id)
        announced[layout.config("update", key)] = _dump(_update_entity(told, house, layout, names[told.id], install))
        states[layout.of(key, "state")] = _dump(_update_state(told))
        states[layout.of(key, "attributes")] = _dump({**told.attributes, **(notes or {}).get(told.id, {})})
        states[layout.of(key, "known")] = ONLINE if told.known else OFFLINE
    return announced | states


def entity_names(house: House, layout: Layout) -> dict[str, str]:
    """The entity id of each service, as Home Assistant shall name it at first: of two with the same, the one that was
    there first has it, the other one ends in its own id."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for told in sorted(house.services, key=lambda one: one.id):
        parts = [part for part in (slug(layout.prefix), slug(told.stack), slug(told.name)) if part]
        name = "_".join(parts)
        if name in taken or not slug(told.name):
            name = f"{name}_{slug(object_id(told.id))[-8:]}"
        taken.add(name)
        found[told.id] = f"update.{name}"
    return found


def _own_entities(house: House, layout: Layout) -> dict[str, str]:
    device: dict[str, Any] = {
        "identifiers": [layout.node],
        "name": "Dockrev" if layout.prefix == "dockrev" else f"Dockrev {layout.prefix}",
        "manufacturer": "Dockrev",
        "model": "Dockrev",
        "sw_version": clean(house.version, 40),
    } | ({"configuration_url": house.base} if house.base else {})
    parts: list[tuple[str, str, dict[str, Any]]] = [
        (
            "sensor",
            "updates",
            {"name": "Updates waiting", "icon": "mdi:package-up", "state_class": "measurement"},
        ),
        ("sensor", "last_check", {"name": "Last check", "device_class": "timestamp"}),
        (
            "binary_sensor",
            "problem",
            {"name": "Problem", "device_class": "problem", "json_attributes_topic": layout.state},
        ),
    ]
    return {
        layout.config(component, key): _dump(
            {
                **what,
                "unique_id": layout.unique(key),
                "default_entity_id": f"{component}.{slug(layout.prefix)}_{key}",
                "state_topic": layout.state,
                "value_template": f"{{{{ value_json.{key} }}}}",
                "availability": [{"topic": layout.status}],
                "qos": 1,
                "device": device,
                "origin": _origin(house),
            }
        )
        for component, key, what in parts
    }


def _own_state(house: House) -> dict[str, Any]:
    problem = house.problem
    return {
        "updates": UNKNOWN if house.updates is None else house.updates,
        "last_check": house.last_check.isoformat() if house.last_check else UNKNOWN,
        "problem": UNKNOWN if problem is None else "ON" if problem else "OFF",
        "engine_reachable": house.engine,
        "failed_checks": house.failed_checks,
    }


def _update_entity(told: Told, house: House, layout: Layout, entity_id: str, install: bool) -> dict[str, Any]:
    key = object_id(told.id)
    config: dict[str, Any] = {
        "name": clean(told.name, NAME) or key,
        "unique_id": layout.unique(key),
        "default_entity_id": entity_id,
        "state_topic": layout.of(key, "state"),
        "json_attributes_topic": layout.of(key, "attributes"),
        "availability": [{"topic": layout.status}, {"topic": layout.of(key, "known")}],
        "availability_mode": "all",
        "qos": 1,
        "device": {
            "identifiers": [layout.unique(object_id(told.stack_id))],
            "name": clean(told.stack, NAME) or told.stack_id,
            "manufacturer": "Dockrev",
            "model": "Compose stack",
            "via_device": layout.node,
        }
        | ({"configuration_url": f"{house.base}/stacks/{told.stack_id}"} if house.base else {}),
        "origin": _origin(house),
    }
    if install and told.install:
        # The command names the digest: what is installed is what was shown when the button was pressed, or nothing.
        config |= {"command_topic": layout.of(key, "install"), "payload_install": told.install, "retain": False}
    return config


def _update_state(told: Told) -> dict[str, Any]:
    state: dict[str, Any] = {
        "title": clean(f"{told.stack}/{told.name}", 2 * NAME),
        "in_progress": told.busy,
        "update_percentage": told.percent if told.busy else None,
    }
    if told.installed is not None:
        state["installed_version"] = told.installed
    if told.latest is not None:
        state["latest_version"] = told.latest
    if told.url:
        state["release_url"] = told.url
    return state


def _origin(house: House) -> dict[str, str]:
    return {"name": "Dockrev", "sw_version": clean(house.version, 40), "support_url": PROJECT}


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
