"""What a stack's containers have mounted, and what could be kept of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.adapters.engine import PROJECT_LABEL, ContainerDetail, Engine, Mount
from app.features.backups.rules import Kind, MountSeen, Target, choice_for, targets_of
from app.features.stacks import ServiceRecord, StackRecord

ONE_OFF_LABEL = "com.docker.compose.oneoff"
KINDS: dict[str, Kind] = {"volume": "docker-volume", "bind": "bind-mount"}


async def service_containers(engine: Engine, project: str) -> list[ContainerDetail]:
    """The containers of a project's services, running or not; without those of `compose run`."""
    rows = await engine.containers([f"{PROJECT_LABEL}={project}"], all=True)
    ids = [row.id for row in rows if row.labels.get(ONE_OFF_LABEL, "False") != "True"]
    return await engine.containers_detail(ids)


async def stack_targets(engine: Engine, stack: StackRecord, service_id: str | None = None) -> list[Target]:
    """What a backup of a stack covers; with `service_id`, of this service alone (spec §7.10)."""
    services = [service for service in stack.services if service_id in (None, service.id)]
    return targets_of(mounts_seen(services, await service_containers(engine, stack.project)))


def mounts_seen(services: Sequence[ServiceRecord], containers: Collection[ContainerDetail]) -> list[MountSeen]:
    """Volumes and bind mounts of these services; running containers first, so that targets are reached through them."""
    by_name = {service.name: service for service in services}
    ordered = sorted(containers, key=lambda container: (not container.running, container.name))
    return [
        _seen(by_name[container.service], container, mount)
        for container in ordered
        if container.service in by_name
        for mount in container.mounts
        if mount.type in KINDS
    ]


def _seen(service: ServiceRecord, container: ContainerDetail, mount: Mount) -> MountSeen:
    kind = KINDS[mount.type]
    name = mount.name if kind == "docker-volume" else mount.source
    chosen = service.volume_names if kind == "docker-volume" else service.bind_paths
    return MountSeen(
        kind=kind,
        name=name,
        service=service.name,
        container_id=container.id,
        destination=mount.destination,
        rw=mount.rw,
        choice=choice_for(kind, name, service.project, chosen),
    )
