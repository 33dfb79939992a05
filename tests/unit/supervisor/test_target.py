"""Which container is Dockrev (spec §10.4): pure."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Conflict, NotFound
from app.supervisor.settings import SupervisorSettings
from app.supervisor.target import choose, require_compose
from app.supervisor.world import repository_of, same_repository
from tests.unit.supervisor.fake_world import REPO, dockrev


def chosen(*containers: Any, own: str = "", **settings: Any) -> str:
    return choose(containers, SupervisorSettings(**settings), own, ["lan/dockrev:1"]).name


SUPERVISOR = dockrev(id="c" * 64, name="house-supervisor-1", service="supervisor")
OTHER = dockrev(id="d" * 64, name="cabin-web-1", project="cabin", service="web")


def test_the_service_called_dockrev_is_preferred_and_supervisors_are_left_out() -> None:
    assert chosen(SUPERVISOR, dockrev(), OTHER) == "house-dockrev-1"
    app = dockrev(service="app", name="house-app-1")
    assert chosen(SUPERVISOR, app) == "house-app-1"
    assert chosen(app, dockrev(id="e" * 64, name="x", service="dockrev-supervisor")) == "house-app-1"


def test_it_never_takes_itself() -> None:
    alone = dockrev(id="abcdef123456" + "0" * 52)
    with pytest.raises(NotFound):
        chosen(alone, own="abcdef123456")


def test_several_are_named_with_the_setting_that_decides() -> None:
    second = dockrev(id="f" * 64, name="cabin-dockrev-1", project="cabin")
    with pytest.raises(Conflict) as caught:
        chosen(dockrev(), second)
    assert "house/dockrev" in caught.value.message and "cabin/dockrev" in caught.value.message
    assert "DOCKREV_SUPERVISOR_TARGET_CONTAINER_ID" in caught.value.hint
    assert chosen(dockrev(), second, target_compose_project="cabin") == "cabin-dockrev-1"
    assert chosen(dockrev(), OTHER, target_compose_service="web") == "cabin-web-1"


def test_project_and_service_together_need_no_repository() -> None:
    foreign = dockrev(image="registry.lan/fork:1")
    assert chosen(foreign, target_compose_project="house", target_compose_service="dockrev") == "house-dockrev-1"
    with pytest.raises(NotFound) as caught:
        chosen(foreign)
    assert "DOCKREV_SUPERVISOR_TARGET_IMAGE_REPO" in caught.value.hint
    assert "lan/dockrev:1" in caught.value.hint


def test_the_one_that_runs_is_taken_and_one_off_containers_never() -> None:
    stopped = dockrev(id="9" * 64, name="house-dockrev-2", running=False)
    assert chosen(stopped, dockrev()) == "house-dockrev-1"
    assert chosen(stopped) == "house-dockrev-2"
    assert chosen(dockrev(), dockrev(id="8" * 64, name="run", one_off=True)) == "house-dockrev-1"
    with pytest.raises(Conflict, match="runs 2 times"):
        chosen(dockrev(), dockrev(id="7" * 64))


def test_only_what_compose_made_can_be_recreated() -> None:
    require_compose(dockrev())
    with pytest.raises(Conflict, match="not made by Docker Compose"):
        require_compose(dockrev(project="", service=""))


@pytest.mark.parametrize(
    ("ref", "repository"),
    [
        (f"{REPO}:1.2", REPO),
        (f"{REPO}@sha256:ab", REPO),
        ("127.0.0.1:5000/x/dockrev", "127.0.0.1:5000/x/dockrev"),
        ("127.0.0.1:5000/x/dockrev:1@sha256:ab", "127.0.0.1:5000/x/dockrev"),
        ("dockrev", "dockrev"),
    ],
)
def test_repositories(ref: str, repository: str) -> None:
    assert repository_of(ref) == repository


def test_docker_hubs_spellings_are_one() -> None:
    assert same_repository("docker.io/me/dockrev", "me/dockrev")
    assert same_repository("docker.io/library/dockrev", "dockrev")
    assert not same_repository("ghcr.io/me/dockrev", "me/dockrev")
