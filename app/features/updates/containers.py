"""Finding the containers of a service, and those that live in their network."""

from __future__ import annotations

from collections.abc import Sequence

from app.adapters.engine import PROJECT_LABEL, SERVICE_LABEL, ContainerDetail, ContainerSummary, Engine
from app.features.backups import ONE_OFF_LABEL
from app.features.stacks import Stacks
from app.features.updates.records import Housemate, project_of
from app.features.updates.rules.order import lives_in


async def containers_of(engine: Engine, project: str, service: str) -> list[ContainerDetail]:
    """All containers of a service, running or not; without those of `compose run`."""
    rows = await engine.containers([f"{PROJECT_LABEL}={project}", f"{SERVICE_LABEL}={service}"], all=True)
    return await engine.containers_detail([row.id for row in rows if not _one_off(row)])


def is_up(container: ContainerDetail) -> bool:
    """Whether a container is meant to be running: it runs, or the engine is restarting it. A paused one is not."""
    return (container.running or container.restarting) and container.state != "paused"


async def housemates_of(
    engine: Engine, stacks: Stacks, hosts: Sequence[ContainerDetail]
) -> tuple[list[Housemate], list[str]]:
    """Services of any stack whose running containers live in the network of `hosts`, and the names of such
    containers that no stack of ours manages."""
    own = {host.id for host in hosts}
    lodgers = [
        row
        for row in await engine.containers()
        if row.id not in own and any(lives_in(row.network_mode, host.id, host.name) for host in hosts)
    ]
    if not lodgers:
        return [], []
    known = {stack.project: stack for stack in await stacks.stacks("include")}
    found: dict[tuple[str, str], Housemate] = {}
    strangers: list[str] = []
    for row in lodgers:
        stack = known.get(row.project)
        service = next((one for one in stack.services if one.name == row.service), None) if stack else None
        if stack is None or service is None or _one_off(row):
            strangers.append(row.name)
            continue
        mate = Housemate(project_of(stack), service.name, row.image_id, service.image_ref)
        found.setdefault((stack.project, service.name), mate)
    return list(found.values()), strangers


def _one_off(row: ContainerSummary) -> bool:
    return row.labels.get(ONE_OFF_LABEL, "False").lower() == "true"
