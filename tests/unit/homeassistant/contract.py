"""What Home Assistant demands of MQTT discovery, as rules of our own: what breaks one is not taken, or not wholly.

The facts are those of home-assistant.io/integrations/mqtt (discovery topic, device, origin, availability),
update.mqtt, sensor.mqtt and binary_sensor.mqtt, and of what the integration does with them: it drops members of an
announcement that it does not know, drops the whole state of an update for one, and drops attributes named like its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

TOPIC: Final = re.compile(r"(update|sensor|binary_sensor)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")
COMMON: Final = {
    "availability", "availability_mode", "default_entity_id", "device", "enabled_by_default", "encoding",
    "entity_category", "entity_picture", "icon", "json_attributes_topic", "json_attributes_template", "name", "origin",
    "qos", "unique_id", "state_topic", "value_template",
}  # fmt: skip
KNOWN: Final = {
    "update": COMMON
    | {
        "command_topic", "device_class", "display_precision", "latest_version_template", "latest_version_topic",
        "payload_install", "release_summary", "release_url", "retain", "title",
    },
    "sensor": COMMON | {"device_class", "expire_after", "force_update", "state_class", "unit_of_measurement"},
    "binary_sensor": COMMON | {"device_class", "expire_after", "force_update", "payload_on", "payload_off"},
}  # fmt: skip
DEVICE: Final = {
    "identifiers", "connections", "manufacturer", "model", "model_id", "name", "hw_version", "serial_number",
    "sw_version", "via_device", "suggested_area", "configuration_url",
}  # fmt: skip
STATE: Final = {"installed_version", "latest_version", "title", "release_summary", "release_url", "entity_picture"}
BLOCKED: Final = {
    "assumed_state", "available", "context_recent_time", "device_class", "device_info", "entity_category",
    "entity_picture", "entity_registry_enabled_default", "extra_state_attributes", "force_update", "friendly_name",
    "icon", "name", "should_poll", "state", "supported_features", "unique_id", "unit_of_measurement",
}  # fmt: skip
UPDATE_OWN: Final = STATE | {"in_progress", "update_percentage", "skipped_version", "auto_update", "display_precision"}


def broken(kept: dict[str, str], discovery: str = "homeassistant") -> list[str]:
    """Each rule that what a broker keeps breaks, with the topic; empty when Home Assistant takes all of it."""
    announced = {topic: text for topic, text in kept.items() if topic.startswith(f"{discovery}/")}
    found = [f"{topic}: {what}" for topic, text in kept.items() for what in _message(topic, text)]
    ids: dict[str, str] = {}
    for topic, text in announced.items():
        short = topic.removeprefix(f"{discovery}/")
        if not TOPIC.fullmatch(short):
            found.append(f"{topic}: no topic of discovery")
            continue
        config, component = json.loads(text), short.split("/", 1)[0]
        found += [f"{topic}: {what}" for what in _config(component, config)]
        found += [f"{topic}: {what}" for what in _readings(component, config, kept)]
        key = f"{component} {config.get('unique_id')}"
        if key in ids:
            found.append(f"{topic}: the unique_id of {ids[key]}")
        ids[key] = topic
    return found


def _message(topic: str, text: str) -> Iterator[str]:
    if not 1 <= len(topic.encode()) <= 65_535 or re.search(r"[+#\x00]", topic):
        yield "no topic to publish to"
    if len(text.encode()) > 262_144:
        yield "a message that is too long for many brokers"


def _config(component: str, config: dict[str, Any]) -> Iterator[str]:
    if unknown := set(config) - KNOWN[component]:
        yield f"members that are not known: {unknown}"
    if not isinstance(config.get("unique_id"), str) or not config["unique_id"]:
        yield "a device needs a unique_id"
    if not re.fullmatch(rf"{component}\.[a-z0-9_]+", str(config.get("default_entity_id"))):
        yield "no entity id of its component"
    if not isinstance(config.get("name"), str) or not config["name"]:
        yield "no name"
    if config.get("qos") not in (0, 1, 2) or config.get("availability_mode", "latest") not in ("all", "any", "latest"):
        yield "no such qos or availability_mode"
    if any(set(one) - {"topic", "payload_available", "payload_not_available", "value_template"} or not one["topic"]
           for one in config["availability"]):  # fmt: skip
        yield "availability is a list of topics"
    if "command_topic" in config and not config.get("payload_install"):
        yield "a command without payload_install fails when it is pressed"
    if not re.fullmatch(r"mdi:[a-z0-9-]+", config.get("icon", "mdi:x")):
        yield "no icon"
    yield from _device(config["device"])
    origin = config["origin"]
    if set(origin) - {"name", "sw_version", "support_url"} or not origin.get("name"):
        yield "origin needs a name"
    if not _is_url(origin.get("support_url", "https://x.org")):
        yield "origin's support_url is none"


def _device(device: dict[str, Any]) -> Iterator[str]:
    if unknown := set(device) - DEVICE:
        yield f"members of a device that are not known: {unknown}"
    if not device.get("identifiers") or not all(isinstance(one, str) and one for one in device["identifiers"]):
        yield "a device needs an identifier"
    if not all(isinstance(value, str) and value for key, value in device.items() if key != "identifiers"):
        yield "what is said of a device is text"
    if not _is_url(device.get("configuration_url", "https://x.org")):
        yield "configuration_url is no address"
    if device.get("via_device") in device["identifiers"]:
        yield "a device via itself"


def _readings(component: str, config: dict[str, Any], kept: dict[str, str]) -> Iterator[str]:
    """What is read from the entity's topics."""
    named = [config["state_topic"], *([config["json_attributes_topic"]] if "json_attributes_topic" in config else [])]
    if missing := [topic for topic in named if topic not in kept]:
        yield f"nothing is kept at {missing}"
        return
    state = json.loads(kept[config["state_topic"]])
    yield from _update(state) if component == "update" else _sensor(component, config, state)
    if "json_attributes_topic" in config:
        attributes = json.loads(kept[config["json_attributes_topic"]])
        lost = set(attributes) & (BLOCKED | (UPDATE_OWN if component == "update" else set()))
        if not isinstance(attributes, dict) or lost:
            yield f"attributes that it drops or has itself: {lost}"


def _update(state: dict[str, Any]) -> Iterator[str]:
    if unknown := set(state) - STATE - {"in_progress", "update_percentage"}:
        yield f"it drops a state with {unknown}"
    if not state:
        yield "an empty state is ignored"
    if not all(isinstance(value, str) for key, value in state.items() if key in STATE):
        yield "it drops a state with anything else than text in it"
    if not isinstance(state.get("in_progress", False), bool):
        yield "in_progress is a boolean"
    percent = state.get("update_percentage")
    if percent is not None and not (isinstance(percent, int | float) and 0 <= percent <= 100):
        yield "a percentage is from 0 to 100"
    if percent is not None and not state.get("in_progress"):
        yield "a percentage is of what is in progress"
    if len(state.get("release_summary", "")) > 255:
        yield "a summary is cut after 255 characters"
    if not _is_url(state.get("release_url", "https://x.org")):
        yield "release_url is no address"


def _sensor(component: str, config: dict[str, Any], state: dict[str, Any]) -> Iterator[str]:
    key = re.fullmatch(r"\{\{ value_json\.(\w+) \}\}", config["value_template"])
    value = state.get(key[1]) if key else None
    if value is None:
        yield "its template reads nothing"
    elif component == "binary_sensor":
        if value not in ("ON", "OFF", "None"):
            yield "neither on nor off"
    elif value != "None" and config.get("device_class") == "timestamp":
        if datetime.fromisoformat(value).tzinfo is None:
            yield "a time without its zone"
    elif value != "None" and config.get("state_class") == "measurement" and not isinstance(value, int | float):
        yield "a measurement is a number"


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
