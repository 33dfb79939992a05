"""Which container is Dockrev (spec §10.4, step 1): pure, over what the engine said."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.errors import Conflict, NotFound
from app.supervisor.settings import SupervisorSettings
from app.supervisor.world import Container, repository_of, same_repository

SET = "DOCKREV_SUPERVISOR_TARGET_"


def matches(container: Container, settings: SupervisorSettings) -> bool:
    """Whether a container may be Dockrev's by what was set: project and service together, or the image."""
    project, service = settings.target_compose_project, settings.target_compose_service
    if container.one_off or project not in (None, container.project) or service not in (None, container.service):
        return False
    if project and service:
        return True
    return same_repository(repository_of(container.image), settings.target_image_repo)


def choose(found: Sequence[Container], settings: SupervisorSettings, own_id: str, similar: Sequence[str]) -> Container:
    """The one container to upgrade. `own_id` is the beginning of the supervisor's own id, '' outside a container.

    Raises NotFound and Conflict, with the candidates and the setting that decides.
    """
    candidates = [each for each in found if matches(each, settings) and not (own_id and each.id.startswith(own_id))]
    if not candidates:
        raise NotFound(_nothing(settings), hint=_why_nothing(settings, similar))
    named = [each for each in candidates if each.service == "dockrev"]
    groups = _groups(named or candidates)
    if len(groups) > 1:
        others = [each for each in (named or candidates) if not _is_supervisor(each)]
        groups = _groups(others) or groups
    if len(groups) > 1:
        shown = ", ".join(describe(group[0]) for group in groups[:8])
        raise Conflict(
            f"{len(groups)} containers may be Dockrev: {shown}",
            hint=f"Say which one: set {SET}COMPOSE_PROJECT and {SET}COMPOSE_SERVICE, or {SET}CONTAINER_ID, "
            "for the supervisor and start it again.",
        )
    chosen = groups[0]
    running = [each for each in chosen if each.running]
    if len(running) > 1:
        raise Conflict(
            f"{describe(chosen[0])} runs {len(running)} times; Dockrev must run once",
            hint="Scale the service down to one container first.",
        )
    return (running or chosen)[0]


def require_compose(container: Container) -> None:
    """Only what Compose made can be made anew by Compose. Raises Conflict."""
    if container.project and container.service:
        return
    raise Conflict(
        f"the container {container.name} was not made by Docker Compose",
        hint="The supervisor recreates Dockrev with Compose. Start it from a Compose file, see docs/self-upgrade.md.",
    )


def describe(container: Container) -> str:
    """Project and service, or the name of a container without."""
    if container.project:
        return f"{container.project}/{container.service} ({container.name}, {container.image})"
    return f"{container.name} ({container.image})"


def _is_supervisor(container: Container) -> bool:
    return "supervisor" in container.service or "supervisor" in container.name


def _groups(found: Sequence[Container]) -> list[list[Container]]:
    """Containers by the service they belong to; one without a service stands alone."""
    groups: dict[tuple[str, str], list[Container]] = {}
    for each in found:
        key = (each.project, each.service) if each.project and each.service else ("", each.id)
        groups.setdefault(key, []).append(each)
    return list(groups.values())


def _nothing(settings: SupervisorSettings) -> str:
    project, service = settings.target_compose_project, settings.target_compose_service
    if project and service:
        return f"there is no container of the service {service} in the Compose project {project}"
    place = f" in the Compose project {project}" if project else f" of a service {service}" if service else ""
    return f"no container{place} uses an image of {settings.target_image_repo}"


def _why_nothing(settings: SupervisorSettings, similar: Sequence[str]) -> str:
    if settings.target_compose_project and settings.target_compose_service:
        return f"Compare {SET}COMPOSE_PROJECT and {SET}COMPOSE_SERVICE with `docker compose ls` and `ps`."
    seen = f" In use here: {', '.join(similar[:5])}." if similar else ""
    return (
        f"The repository is the first thing to check: {SET}IMAGE_REPO must be the one in Dockrev's Compose file."
        f"{seen} Is the engine the right one (DOCKREV_SUPERVISOR_DOCKER_HOST)?"
    )
