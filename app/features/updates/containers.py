"""Finding the containers of a service, those that live in them, and those that are restarted after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.adapters.engine import PROJECT_LABEL, SERVICE_LABEL, ContainerDetail, ContainerSummary, Engine
from app.features.backups import ONE_OFF_LABEL
from app.features.stacks import StackRecord, Stacks, dependencies_first
from app.features.updates.records import Dependent, Housemate, project_of
from app.features.updates.rules.order import lives_in, started_anew


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
    """Services of any stack whose running containers use the network, the processes or the memory (ipc) of `hosts`, or
    of one that does; and the names of such containers that no stack of ours manages. A host comes before its guests."""
    lodgers = await _lodgers(engine, hosts)
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
        known_mate = found.get((stack.project, service.name))
        found[stack.project, service.name] = (
            replace(known_mate, containers=known_mate.containers + 1) if known_mate else mate
        )
    return list(found.values()), strangers


async def dependents_of(
    engine: Engine, stack: StackRecord, replaced: Collection[str], *, ahead: Collection[str] = ()
) -> list[Dependent]:
    """Services of the stack that run and have to be restarted after `replaced`, what others depend on first; see
    `started_anew`."""
    names = started_anew(replaced, {one.name: one.restarts_after for one in stack.services}, ahead=ahead)
    if not names:
        return []
    rows = [row for row in await engine.containers([f"{PROJECT_LABEL}={stack.project}"]) if not _one_off(row)]
    found: list[Dependent] = []
    for name in dependencies_first(names, {one.name: one.depends_on for one in stack.services}):
        up = [row for row in rows if row.service == name and row.state in ("running", "restarting")]
        if up:
            found.append(Dependent(name, tuple(row.id for row in up), any(row.health == "unhealthy" for row in up)))
    return found


async def _lodgers(engine: Engine, hosts: Sequence[ContainerDetail]) -> list[ContainerSummary]:
    """They stand still or lose their network when what they live in is replaced, and `docker restart` cannot help."""
    rows = {row.id: row for row in await engine.containers()}
    for host in hosts:
        rows.pop(host.id, None)
    shared = await engine.shared_by(rows)
    found: list[ContainerSummary] = []
    reached = [(host.id, host.name) for host in hosts]
    while reached:
        below = reached.pop(0)
        for row in list(rows.values()):
            if any(lives_in(mode, *below) for mode in (row.network_mode, *shared.get(row.id, ()))):
                found.append(rows.pop(row.id))
                reached.append((row.id, row.name))
    return found


def _one_off(row: ContainerSummary) -> bool:
    return row.labels.get(ONE_OFF_LABEL, "False").lower() == "true"
