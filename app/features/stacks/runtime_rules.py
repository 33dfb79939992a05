"""From the engine's list of containers to what a service is doing, and which digest it runs (spec §7.4). Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from app.adapters.engine import ContainerSummary, ImageSummary
from app.adapters.registry import ImageRef, InvalidReference
from app.features.stacks.records import ServiceRecord

ServiceState = Literal["running", "partial", "stopped", "restarting", "missing", "unknown"]
Key = tuple[str, str]
"""Project and service name."""

CONFIG_FILES_LABEL: Final = "com.docker.compose.project.config_files"
CONFIG_HASH_LABEL: Final = "com.docker.compose.config-hash"
ONE_OFF_LABEL: Final = "com.docker.compose.oneoff"

# What `docker ps` without --all shows.
LISTED_AS_RUNNING: Final = frozenset({"running", "restarting", "paused"})
_HEALTH_ORDER: Final = ("unhealthy", "starting", "healthy")
_HEALTH_WORDS: Final = re.compile(r"\s*\((?:health: )?(?:starting|healthy|unhealthy)\)")


@dataclass(frozen=True, slots=True)
class ServiceRuntime:
    """What a service is doing. `health` is the worst of its running containers: `none` without a health check, None
    when nothing runs. `since` is when the newest of its running containers started. `unknown` while the engine is
    away: `containers` and `as_of` then tell the last reading."""

    state: ServiceState
    health: str | None
    status: str
    since: datetime | None
    containers: tuple[ContainerSummary, ...]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class RuntimeDigest:
    """The digest a service really runs. Without one, `reason` is no_container, image_missing, no_repo_digest,
    several_digests, invalid_image_ref or engine_unreachable; `digests` holds all that were found."""

    digest: str | None
    image_ids: tuple[str, ...] = ()
    reason: str | None = None
    digests: tuple[str, ...] = ()


def is_running(container: ContainerSummary) -> bool:
    """Whether the engine counts the container as running (a paused or restarting one too)."""
    return container.state in LISTED_AS_RUNNING


def by_service(containers: Iterable[ContainerSummary]) -> dict[Key, tuple[ContainerSummary, ...]]:
    """Containers of Compose services, by project and service; those of `docker compose run` are left out."""
    found: dict[Key, list[ContainerSummary]] = defaultdict(list)
    for container in containers:
        one_off = container.labels.get(ONE_OFF_LABEL, "").lower() == "true"
        if container.project and container.service and not one_off:
            found[container.project, container.service].append(container)
    return {key: tuple(sorted(group, key=lambda c: c.name)) for key, group in found.items()}


def describe(
    containers: Sequence[ContainerSummary], started: Mapping[str, datetime], as_of: datetime
) -> ServiceRuntime:
    """One service from its containers; `started` knows later starts than the containers' creation."""
    if not containers:
        return ServiceRuntime("missing", None, "No container", None, (), as_of)
    alive = [c for c in containers if is_running(c)]
    starts = [moment for c in alive if (moment := started.get(c.id) or c.created)]
    return ServiceRuntime(
        state=_state(containers, alive),
        health=_health(alive),
        status=_status(containers, alive),
        since=max(starts, default=None),
        containers=tuple(containers),
        as_of=as_of,
    )


def _state(containers: Sequence[ContainerSummary], alive: Sequence[ContainerSummary]) -> ServiceState:
    if any(c.state == "restarting" for c in alive):
        return "restarting"
    if not alive:
        return "stopped"
    return "running" if len(alive) == len(containers) else "partial"


def _health(alive: Sequence[ContainerSummary]) -> str | None:
    told = {c.health for c in alive if c.health}
    if not alive:
        return None
    return next((health for health in _HEALTH_ORDER if health in told), "none")


def _status(containers: Sequence[ContainerSummary], alive: Sequence[ContainerSummary]) -> str:
    if len(containers) == 1:
        return _HEALTH_WORDS.sub("", containers[0].status)
    return f"{len(alive)} of {len(containers)} running"


def fingerprint(group: Sequence[ContainerSummary]) -> frozenset[tuple[str, str, str, str | None]]:
    """What makes a service's runtime another one: containers, their images, states and health."""
    return frozenset((c.id, c.image_id, c.state, c.health) for c in group)


def changed_services(
    before: Mapping[Key, Sequence[ContainerSummary]], after: Mapping[Key, Sequence[ContainerSummary]]
) -> dict[str, frozenset[str]]:
    """Per project the services whose runtime differs."""
    found: dict[str, set[str]] = defaultdict(set)
    for key in before.keys() | after.keys():
        if fingerprint(before.get(key, ())) != fingerprint(after.get(key, ())):
            found[key[0]].add(key[1])
    return {project: frozenset(services) for project, services in found.items()}


ProjectLabels = frozenset[tuple[str, str, str]]


def project_labels(containers: Iterable[ContainerSummary]) -> dict[str, ProjectLabels]:
    """Per project with running containers: which services run with which files and configuration."""
    found: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for c in containers:
        if c.project and is_running(c):
            found[c.project].add((c.service, c.labels.get(CONFIG_FILES_LABEL, ""), c.labels.get(CONFIG_HASH_LABEL, "")))
    return {project: frozenset(seen) for project, seen in found.items()}


def running_digest(
    service: ServiceRecord, containers: Sequence[ContainerSummary], images: Mapping[str, ImageSummary]
) -> RuntimeDigest:
    """The one digest of the service's own repository behind its containers (spec §7.4); stopped ones count only
    where none runs."""
    used = [c for c in containers if is_running(c)] or containers
    image_ids = tuple(sorted({c.image_id for c in used if c.image_id}))
    if not image_ids:
        return RuntimeDigest(None, reason="no_container")
    try:
        names = {alias.lower() for alias in ImageRef.parse(service.image_ref).repo_aliases()}
    except InvalidReference:
        return RuntimeDigest(None, image_ids, "invalid_image_ref")
    present = [images[image_id] for image_id in image_ids if image_id in images]
    if not present:
        return RuntimeDigest(None, image_ids, "image_missing")
    digests = tuple(sorted({d for image in present for d in _digests_of(image, names)}))
    if not digests:
        return RuntimeDigest(None, image_ids, "no_repo_digest")
    if len(digests) > 1:
        return RuntimeDigest(None, image_ids, "several_digests", digests)
    return RuntimeDigest(digests[0], image_ids, None, digests)


def _digests_of(image: ImageSummary, names: set[str]) -> list[str]:
    pairs = (entry.partition("@") for entry in image.repo_digests)
    return [digest.lower() for name, at, digest in pairs if at and name.lower() in names]
