"""From the engine's JSON to records: tolerant of missing fields and of the spellings of different engines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.adapters.engine.records import (
    ContainerDetail,
    ContainerEnvironment,
    ContainerSummary,
    EngineEvent,
    Health,
    HealthPolicy,
    HealthProbe,
    ImageDetail,
    ImageSummary,
    Mount,
)

# Anyone who can build an image can write labels; nothing of use is longer than this.
MAX_LABEL_CHARS = 16_384
MAX_LABELS = 1_000
MAX_PROBE_OUTPUT_CHARS = 8_192

DEFAULT_INTERVAL_SECONDS = 30.0
DEFAULT_TIMEOUT_SECONDS = 30.0
DEFAULT_RETRIES = 3
NANOSECONDS = 1_000_000_000

_HEALTH_IN_STATUS = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*\s*(Z|[+-]\d\d:?\d\d)?")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _texts(value: object) -> tuple[str, ...]:
    # "<none>:<none>" is how older engines write "no tag".
    return tuple(t for t in _sequence(value) if isinstance(t, str) and "<none>" not in t)


def labels_of(value: object) -> dict[str, str]:
    """Labels with over-long values cut and everything that is not text left out."""
    pairs = (
        (k[:MAX_LABEL_CHARS], v[:MAX_LABEL_CHARS])
        for k, v in _mapping(value).items()
        if isinstance(k, str) and isinstance(v, str)
    )
    return {k: v for _, (k, v) in zip(range(MAX_LABELS), pairs, strict=False)}


def time_of(value: object) -> datetime | None:
    """An RFC 3339 text or Unix seconds as UTC; the engine's zero time (year 1) is None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC) if value > 0 else None
        except (OverflowError, OSError, ValueError):
            return None
    match = _RFC3339.match(_text(value))
    if match is None or match[1].startswith("0001"):
        return None
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}{offset}")
    except ValueError:
        return None
    return moment.astimezone(UTC)


def _name(names: object) -> str:
    """The container's own name: links add further ones with a second slash."""
    candidates = sorted((_text(n).removeprefix("/") for n in _sequence(names)), key=lambda n: (n.count("/"), n))
    return candidates[0] if candidates else ""


def health_in_status(status: str) -> str | None:
    """Health from `Up 3 minutes (healthy)`: the list call has it nowhere else on older engines."""
    match = _HEALTH_IN_STATUS.search(status)
    return match[1] if match else None


def container_summary(raw: Mapping[str, Any]) -> ContainerSummary:
    status = _text(raw.get("Status"))
    told = _text(_mapping(raw.get("Health")).get("Status"))
    return ContainerSummary(
        id=_text(raw.get("Id")),
        name=_name(raw.get("Names")),
        image=_text(raw.get("Image")),
        image_id=_text(raw.get("ImageID") or raw.get("ImageId")),
        labels=labels_of(raw.get("Labels")),
        state=_text(raw.get("State")).lower(),
        status=status,
        created=time_of(raw.get("Created")),
        health=told if told and told != "none" else health_in_status(status),
        network_mode=_text(_mapping(raw.get("HostConfig")).get("NetworkMode")),
    )


def _health(raw: object) -> Health | None:
    told = _mapping(raw)
    status = _text(told.get("Status")).lower()
    if not status or status == "none":
        return None
    log = tuple(
        HealthProbe(
            start=time_of(p.get("Start")),
            end=time_of(p.get("End")),
            exit_code=_number(p.get("ExitCode")),
            output=_text(p.get("Output"))[:MAX_PROBE_OUTPUT_CHARS],
        )
        for p in map(_mapping, _sequence(told.get("Log")))
    )
    return Health(status=status, failing_streak=_number(told.get("FailingStreak")), log=log)


def health_policy(raw: object) -> HealthPolicy | None:
    """The health check in force, None when there is none or it is switched off with `NONE`."""
    told = _mapping(raw)
    test = tuple(t for t in _sequence(told.get("Test")) if isinstance(t, str))
    if not test or test[0] in ("", "NONE"):
        return None
    return HealthPolicy(
        test=test,
        interval=_number(told.get("Interval")) / NANOSECONDS or DEFAULT_INTERVAL_SECONDS,
        timeout=_number(told.get("Timeout")) / NANOSECONDS or DEFAULT_TIMEOUT_SECONDS,
        start_period=_number(told.get("StartPeriod")) / NANOSECONDS,
        retries=_number(told.get("Retries")) or DEFAULT_RETRIES,
    )


def _mount(raw: Mapping[str, Any]) -> Mount:
    return Mount(
        type=_text(raw.get("Type")) or "bind",
        name=_text(raw.get("Name")),
        source=_text(raw.get("Source")),
        destination=_text(raw.get("Destination")),
        rw=bool(raw.get("RW", True)),
    )


def _addresses(raw: object) -> dict[str, str]:
    # Docker writes IPAddress, some engines and proxies IpAddress (spec §12, lesson 36).
    return {
        name: _text(_mapping(net).get("IPAddress") or _mapping(net).get("IpAddress"))
        for name, net in _mapping(raw).items()
    }


def container_detail(raw: Mapping[str, Any]) -> ContainerDetail:
    config, host, state = _mapping(raw.get("Config")), _mapping(raw.get("HostConfig")), _mapping(raw.get("State"))
    grace = config.get("StopTimeout")
    return ContainerDetail(
        id=_text(raw.get("Id")),
        name=_text(raw.get("Name")).removeprefix("/"),
        image_ref=_text(config.get("Image")),
        image_id=_text(raw.get("Image")),
        labels=labels_of(config.get("Labels")),
        state=_text(state.get("Status")).lower(),
        running=bool(state.get("Running")),
        restarting=bool(state.get("Restarting")),
        restart_count=_number(raw.get("RestartCount")),
        exit_code=_number(state.get("ExitCode")),
        oom_killed=bool(state.get("OOMKilled")),
        error=_text(state.get("Error")),
        created=time_of(raw.get("Created")),
        started_at=time_of(state.get("StartedAt")),
        finished_at=time_of(state.get("FinishedAt")),
        health=_health(state.get("Health") or state.get("Healthcheck")),
        health_policy=health_policy(config.get("Healthcheck")),
        network_mode=_text(host.get("NetworkMode")),
        mounts=tuple(_mount(m) for m in map(_mapping, _sequence(raw.get("Mounts")))),
        addresses=_addresses(_mapping(raw.get("NetworkSettings")).get("Networks")),
        restart_policy=_text(_mapping(host.get("RestartPolicy")).get("Name")),
        stop_timeout=grace if isinstance(grace, int) and grace >= 0 else None,
        tty=bool(config.get("Tty")),
        pid_mode=_text(host.get("PidMode")),
        ipc_mode=_text(host.get("IpcMode")),
    )


def environment(raw: Mapping[str, Any], names: frozenset[str]) -> ContainerEnvironment:
    config = _mapping(raw.get("Config"))
    pairs = (text.partition("=") for text in _sequence(config.get("Env")) if isinstance(text, str))
    variables = {name: value[:MAX_LABEL_CHARS] for name, _, value in pairs if name in names}
    return ContainerEnvironment(variables, _text(config.get("WorkingDir")) or "/")


def image_summary(raw: Mapping[str, Any]) -> ImageSummary:
    return ImageSummary(
        id=_text(raw.get("Id")),
        repo_tags=_texts(raw.get("RepoTags")),
        repo_digests=_texts(raw.get("RepoDigests")),
        size=_number(raw.get("Size")),
        labels=labels_of(raw.get("Labels")),
    )


def image_detail(raw: Mapping[str, Any]) -> ImageDetail:
    config = _mapping(raw.get("Config")) or _mapping(raw.get("ContainerConfig"))
    return ImageDetail(
        id=_text(raw.get("Id")),
        repo_tags=_texts(raw.get("RepoTags")),
        repo_digests=_texts(raw.get("RepoDigests")),
        labels=labels_of(config.get("Labels")),
        os=_text(raw.get("Os")),
        architecture=_text(raw.get("Architecture")),
        variant=_text(raw.get("Variant")),
        size=_number(raw.get("Size")),
    )


def engine_event(raw: Mapping[str, Any]) -> EngineEvent:
    actor = _mapping(raw.get("Actor"))
    told = _text(raw.get("Action") or raw.get("status"))
    action, _, detail = told.partition(":")
    return EngineEvent(
        type=_text(raw.get("Type")),
        action=action.strip(),
        id=_text(actor.get("ID") or raw.get("id")),
        attributes=labels_of(actor.get("Attributes")),
        time_ns=_number(raw.get("timeNano")) or _number(raw.get("time")) * NANOSECONDS,
        detail=detail.strip(),
    )
