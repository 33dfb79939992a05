"""Scans against a fake engine, with real files and a real database (spec §7.1, §5.3)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.adapters.compose import ComposeMissing
from app.adapters.engine import EngineUnreachable
from app.core.jobs import JobStatus, NewJob
from app.core.jobs.engine import JobKind, JobOutcome
from app.features.stacks.events import ServiceImageChanged, ServiceRemoved, StackDiscovered
from app.features.stacks.models import ProjectStatus
from app.features.stacks.scan import Action
from tests.fakes.compose import config_failed
from tests.fakes.engine import compose_container
from tests.unit.stacks.conftest import Room

DIGEST = "sha256:" + "a" * 64


async def actions(room: Room, *, fresh: bool = True) -> dict[str, Action]:
    result = await room.discovery.scan(fresh=fresh)
    return {action.project: action.action for action in result.actions}


async def test_a_running_project_becomes_a_stack_with_its_services(room: Room) -> None:
    path = room.write(
        "shop",
        "services:\n  web: {image: 'ghcr.io/acme/web:2', depends_on: [db], network_mode: 'service:vpn'}\n"
        "  db: {image: postgres}\n  tool: {build: .}\n",
    )
    room.engine.listed.append(compose_container("shop", "web", files=path))
    assert await actions(room) == {"shop": Action.CREATED}
    stack = await room.stack("shop")
    assert (stack.name, stack.project, stack.compose_files) == ("shop", "shop", (path,))
    assert stack.id.startswith("stk_")
    assert [(s.name, s.image_ref, s.image_tag) for s in stack.services] == [
        ("db", "postgres", "latest"),
        ("web", "ghcr.io/acme/web:2", "2"),
    ]
    web = stack.services[1]
    assert (web.network_mode, web.depends_on, web.auto_rollback) == ("service:vpn", ("db",), True)
    project = await room.project("shop")
    assert (project.status, project.stack_id, project.config_files) == (ProjectStatus.ACTIVE, stack.id, (path,))
    assert project.last_seen_at is not None
    assert room.events(StackDiscovered) == [StackDiscovered(stack.id)]


async def test_who_wants_a_restart_after_what_is_kept_and_followed(room: Room) -> None:
    yaml = "services: {web: {image: a, depends_on: {db: {restart: %s}, cache: {}}}, db: {image: b}, cache: {image: c}}"
    path = room.write("shop", yaml % "true")
    room.engine.listed.append(compose_container("shop", "web", files=path))
    await actions(room)
    web = (await room.stack("shop")).services[2]
    assert (web.depends_on, web.restarts_after) == (("cache", "db"), ("db",))
    assert await actions(room) == {"shop": Action.SKIPPED}
    room.write("shop", yaml % "false")
    assert await actions(room) == {"shop": Action.UPDATED}
    assert (await room.stack("shop")).services[2].restarts_after == ()


async def test_the_effective_model_counts_where_compose_is_there(room: Room) -> None:
    room.run("shop", image="nginx:${TAG:-1}")
    room.compose.models["shop"] = {"services": {"web": {"image": "nginx:1.29"}, "extra": {"image": "redis:7"}}}
    await actions(room)
    assert [(s.name, s.image_ref) for s in (await room.stack("shop")).services] == [
        ("extra", "redis:7"),
        ("web", "nginx:1.29"),
    ]


async def test_env_and_override_files_and_the_working_dir_are_told_to_compose(room: Room) -> None:
    base = room.write("shop", "services: {web: {image: 'nginx:$TAG'}}\n")
    override = room.write("shop", "services: {web: {image: 'nginx:2'}}\n", "compose.override.yml")
    env = room.write("shop", "TAG=1\n", ".env")
    working_dir = str(Path(base).parent)
    labels = {"com.docker.compose.project.working_dir": working_dir}
    room.engine.listed.append(compose_container("shop", "web", files=f"{base},{override}", labels=labels))
    await actions(room)
    asked = room.compose.asked[0]
    assert [str(path) for path in asked.files] == [base, override]
    assert ([str(path) for path in asked.env_files], str(asked.working_dir)) == ([env], working_dir)
    stack = await room.stack("shop")
    assert (stack.env_file, stack.working_dir) == (env, working_dir)
    assert stack.services[0].image_ref == "nginx:2"


async def test_an_env_file_named_on_the_command_line_wins_over_the_one_beside(room: Room) -> None:
    base = room.write("shop", "services: {web: {image: 'nginx:$TAG'}}\n")
    room.write("shop", "TAG=1\n", ".env")
    named = room.write("shop", "TAG=9\n", "prod.env")
    labels = {"com.docker.compose.project.environment_file": named}
    room.engine.listed.append(compose_container("shop", "web", files=base, labels=labels))
    await actions(room)
    stack = await room.stack("shop")
    assert (stack.env_file, stack.services[0].image_ref) == (named, "nginx:9")


async def test_several_env_files_are_read_in_their_order(room: Room) -> None:
    base = room.write("shop", "services: {web: {image: '$REPO:$TAG'}}\n")
    first = room.write("shop", "REPO=nginx\nTAG=1\n", "a, b.env")
    second = room.write("shop", "TAG=9\n", "prod.env")
    labels = {"com.docker.compose.project.environment_file": f"{first},{second}"}
    room.engine.listed.append(compose_container("shop", "web", files=base, labels=labels))
    await actions(room)
    stack = await room.stack("shop")
    assert (stack.env_files, stack.services[0].image_ref) == ((first, second), "nginx:9")
    assert [str(path) for path in room.compose.asked[0].env_files] == [first, second]


async def test_an_unchanged_project_is_skipped_and_costs_no_compose_command_and_no_job(room: Room) -> None:
    room.run("shop")
    room.compose.models["shop"] = {"services": {"web": {"image": "nginx:1.27"}}}
    await room.discovery.sweep()
    before = room.compose.calls["config"]
    for _ in range(3):
        assert await actions(room, fresh=False) == {"shop": Action.SKIPPED}
    assert room.compose.calls["config"] == before
    await room.discovery.sweep()
    assert len(await room.discovery_jobs()) == 1  # of the creation


async def test_a_touched_file_is_read_again(room: Room) -> None:
    path = room.run("shop")
    await actions(room)
    room.write("shop", "services: {web: {image: 'nginx:1.28'}}\n")
    os.utime(path, ns=(1, 1))
    assert await actions(room, fresh=False) == {"shop": Action.UPDATED}


async def test_other_containers_configuration_is_read_again_although_no_file_changed(room: Room) -> None:
    room.run("shop")
    room.compose.models["shop"] = {"services": {"web": {"image": "nginx:1.27"}}}
    await actions(room)
    room.compose.models["shop"] = {"services": {"web": {"image": "nginx:1.28"}}}
    assert await actions(room, fresh=False) == {"shop": Action.SKIPPED}
    old = room.engine.listed[0]
    room.engine.replace(old, labels={**old.labels, "com.docker.compose.config-hash": "other"})
    assert await actions(room, fresh=False) == {"shop": Action.UPDATED}


async def test_services_are_synced_by_name_and_keep_their_settings(room: Room) -> None:
    room.write("shop", "services: {web: {image: 'nginx:1'}, old: {image: 'busybox'}}\n")
    path = room.write("shop", "services: {web: {image: 'nginx:1'}, old: {image: 'busybox'}}\n")
    room.engine.listed.append(compose_container("shop", "web", files=path))
    await actions(room)
    before = {service.name: service for service in (await room.stack("shop")).services}
    await room.stacks.save_service_settings(
        before["web"].id,
        auto_rollback=False,
        bind_paths={"/data": "force"},
        volume_names={},
        repo_url="https://x.org/y",
    )
    room.events(ServiceImageChanged)
    room.write("shop", "services: {web: {image: 'nginx:2'}, new: {image: 'redis'}}\n")
    assert await actions(room) == {"shop": Action.UPDATED}
    after = {service.name: service for service in (await room.stack("shop")).services}
    assert set(after) == {"web", "new"}
    web = after["web"]
    assert (web.id, web.image_tag, web.auto_rollback) == (before["web"].id, "2", False)
    assert (dict(web.bind_paths), web.repo_url) == ({"/data": "force"}, "https://x.org/y")
    heard = room.heard.drain()
    assert [event for event in heard if isinstance(event, ServiceImageChanged)] == [ServiceImageChanged(web.id)]
    assert [event for event in heard if isinstance(event, ServiceRemoved)] == [ServiceRemoved(before["old"].id)]


async def test_a_stopped_project_is_missing_but_keeps_its_stack_and_comes_back(room: Room) -> None:
    room.run("shop")
    await actions(room)
    stack = await room.stack("shop")
    room.engine.replace(room.engine.listed[0], state="exited")
    assert await actions(room) == {"shop": Action.MARKED_MISSING}
    assert await actions(room) == {}
    assert (await room.project("shop")).status is ProjectStatus.MISSING
    assert (await room.stack("shop")) == stack
    room.engine.replace(room.engine.listed[0], state="running")
    assert await actions(room) == {"shop": Action.SKIPPED}
    assert (await room.project("shop")).status is ProjectStatus.ACTIVE


async def test_missing_projects_are_archived_at_the_next_start_and_return_when_seen(room: Room) -> None:
    room.run("shop")
    await actions(room)
    container = room.engine.listed.pop()
    await actions(room)
    await room.stacks.archive_stack((await room.stack("shop")).id)
    assert await room.stacks.archive_missing_projects() == 1
    assert await room.stacks.archive_missing_projects() == 0
    assert await room.stacks.projects() == []
    assert (await room.project("shop")).archived
    room.engine.listed.append(container)
    await actions(room)
    assert not (await room.project("shop")).archived
    assert (await room.stack("shop")).archived  # the stack keeps its own flag


async def test_an_archived_project_that_runs_on_stays_archived(room: Room) -> None:
    room.run("shop")
    await actions(room)
    await room.stacks.archive_project("shop")
    room.write("shop", "services: {web: {image: 'nginx:2'}}\n")
    await actions(room)
    assert (await room.project("shop")).archived


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (None, "config_files_missing"),
        ("", "config_files_empty"),
        ("compose.yml", "config_files_relative_path_rejected"),
        ("/nowhere/compose.yml", "compose_file_unreadable: /nowhere/compose.yml"),
        ("/nowhere/bad\0name.yml", "compose_file_unreadable: /nowhere/bad�name.yml"),
        ("/tmp/dockrev-override-x.yml", "config_files_empty"),
    ],
)
async def test_unusable_labels_make_the_project_invalid(room: Room, label: str | None, reason: str) -> None:
    room.engine.listed.append(compose_container("shop", "web", files=label))
    assert await actions(room) == {"shop": Action.FAILED}
    project = await room.project("shop")
    assert (project.status, project.last_error, project.stack_id) == (ProjectStatus.INVALID, reason, None)
    assert project.hint
    assert await room.stacks.stacks("include") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("services: [", "compose_file_invalid: {path}"),
        ("services: hello", "compose_file_invalid: {path}"),
        ("- a\n- b\n", "compose_file_invalid: {path}"),
        ("services: {'-rf': {image: nginx}}", "compose_file_invalid: {path}"),
        ("services: {'a b': {image: nginx}}", "compose_file_invalid: {path}"),
        ("", "compose_no_services"),
        ("services: {web: {build: .}}", "compose_no_services"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e]\n",
            "compose_file_invalid: {path}",
        ),
    ],
)
async def test_bad_files_make_the_project_invalid_and_leave_its_stack_alone(room: Room, text: str, reason: str) -> None:
    path = room.run("shop")
    await actions(room)
    stack = await room.stack("shop")
    room.write("shop", text)
    assert await actions(room) == {"shop": Action.FAILED}
    project = await room.project("shop")
    assert (project.status, project.last_error) == (ProjectStatus.INVALID, reason.format(path=path))
    assert project.hint
    assert project.stack_id == stack.id
    assert await room.stack("shop") == stack
    room.write("shop", "services: {web: {image: 'nginx:1.27'}}\n")
    await actions(room)
    assert (await room.project("shop")).last_error is None


async def test_a_failure_is_told_once_by_sweeps(room: Room) -> None:
    room.engine.listed.append(compose_container("shop", "web"))
    await room.discovery.sweep()
    await room.discovery.sweep()
    assert len(await room.discovery_jobs()) == 1
    room.engine.listed[0] = compose_container("shop", "web", files="x.yml")
    await room.discovery.sweep()
    assert len(await room.discovery_jobs()) == 2


async def test_a_conflict_shows_both_lists(room: Room) -> None:
    base = room.write("shop", "services: {web: {image: nginx}, db: {image: postgres}}\n")
    extra = room.write("shop", "services: {web: {ports: ['80:80']}}\n", "extra.yml")
    room.engine.listed += [
        compose_container("shop", "web", files=f"{base},{extra}"),
        compose_container("shop", "db", files=base),
    ]
    result = await room.discovery.scan()
    assert result.actions[0].reason == "config_files_conflict"
    assert result.actions[0].details["lists"] == [[base, extra], [base]]
    room.write("shop", "services: {web: {image: 'nginx:2'}}\n", "extra.yml")
    assert await actions(room) == {"shop": Action.CREATED}
    assert (await room.stack("shop")).compose_files == (base, extra)


async def test_dockrevs_own_override_in_the_labels_changes_nothing(room: Room) -> None:
    base = room.run("shop", image="nginx:1.27")
    await actions(room)
    stack = await room.stack("shop")
    room.engine.listed[0] = compose_container("shop", "web", files=f"{base},/tmp/dockrev-override-0.yml")
    assert await actions(room) == {"shop": Action.SKIPPED}
    assert await room.stack("shop") == stack


async def test_a_model_compose_refuses_is_read_plainly_with_a_warning(room: Room) -> None:
    room.run("shop")
    room.compose.error = config_failed()
    assert await actions(room) == {"shop": Action.CREATED}
    project = await room.project("shop")
    assert (project.status, project.last_error) == (ProjectStatus.ACTIVE, "compose_config_unresolved")
    assert "additional property foo" in (project.hint or "")


async def test_without_compose_files_are_read_plainly_and_that_is_no_trouble(room: Room) -> None:
    room.run("shop")
    room.compose.error = ComposeMissing("docker-compose", "no such file")
    await actions(room)
    assert (await room.project("shop")).last_error is None


async def test_services_of_included_files_do_not_vanish_when_compose_fails(room: Room) -> None:
    room.run("shop")
    room.write("shop", "include: [other.yml]\nservices: {web: {image: 'nginx:1.27'}}\n")
    room.compose.models["shop"] = {"services": {"web": {"image": "nginx:1.27"}, "db": {"image": "postgres:16"}}}
    await actions(room)
    room.compose.error = config_failed("timeout")
    await actions(room)
    assert [service.name for service in (await room.stack("shop")).services] == ["db", "web"]


@pytest.mark.parametrize("name", ["../../etc", "-rf", "\x1b[31mred", "<script>alert(1)</script>", "x" * 9000])
async def test_hostile_project_names_are_kept_harmless(room: Room, name: str) -> None:
    room.engine.listed.append(compose_container(name, "web", files="/srv/a.yml"))
    assert list((await actions(room)).values()) == [Action.FAILED]
    (project,) = await room.stacks.projects()
    assert project.last_error == "project_name_invalid"
    assert len(project.project) <= 128
    assert project.project.isprintable() and "/" not in project.project
    assert room.compose.calls["config"] == 0


async def test_an_endless_image_reference_is_bounded(room: Room) -> None:
    room.run("shop", image="x" * 100_000)
    await actions(room)
    assert len((await room.stack("shop")).services[0].image_ref) <= 512


async def test_an_unreachable_engine_marks_nothing_missing(room: Room) -> None:
    room.run("shop")
    await actions(room)
    room.engine.down()
    with pytest.raises(EngineUnreachable):
        await room.discovery.scan()
    assert await room.discovery.sweep() is None
    assert (await room.project("shop")).status is ProjectStatus.ACTIVE
    job = await room.finished(await room.discovery.request("alice"))
    assert job.status is JobStatus.FAILED
    assert "cannot be reached" in job.summary["error"]
    room.engine.up()
    assert await actions(room) == {"shop": Action.SKIPPED}


async def test_a_scan_on_demand_is_a_job_with_the_summary_of_the_contract(room: Room) -> None:
    room.run("shop")
    room.engine.listed.append(compose_container("broken", "web"))
    job = await room.finished(await room.discovery.request("alice"))
    assert job.id.startswith("dsc_")
    assert (job.type, job.scope, job.status, job.created_by) == ("discovery", "all", JobStatus.SUCCESS, "alice")
    scan = job.summary["scan"]
    assert scan["summary"] == {
        "projectsSeen": 2,
        "stacksCreated": 1,
        "stacksUpdated": 0,
        "stacksSkipped": 0,
        "stacksFailed": 1,
        "stacksMarkedMissing": 0,
    }
    assert scan["startedAt"].endswith("Z")
    assert isinstance(scan["durationMs"], int)
    broken, shop = scan["actions"]
    assert (broken["project"], broken["action"], broken["reason"]) == ("broken", "failed", "config_files_missing")
    assert shop == {"project": "shop", "action": "created", "stackId": (await room.stack("shop")).id}
    again = await room.finished(await room.discovery.request("alice"))
    assert again.summary["scan"]["summary"]["stacksSkipped"] == 1


async def test_a_sweep_that_found_something_leaves_a_job_of_the_system(room: Room) -> None:
    room.run("shop")
    await room.discovery.sweep()
    (found,) = await room.discovery_jobs()
    job = await room.finished(found.id)
    assert (job.created_by, job.reason, job.status) == ("system", "schedule", JobStatus.SUCCESS)
    assert job.summary["scan"]["summary"]["stacksCreated"] == 1
    lines, _ = await room.jobs.store.logs(job.id)
    assert any("shop: created" in line.msg for line in lines)


async def test_actions_are_cut_but_never_the_eventful_ones_first(room: Room) -> None:
    for number in range(6):
        room.run(f"p{number}")
    await actions(room)
    room.write("p4", "services: {web: {image: 'nginx:2'}}\n")
    document = (await room.discovery.scan()).document(2)
    assert document["summary"]["stacksSkipped"] == 5
    assert [action["project"] for action in document["actions"]] == ["p0", "p4"]


async def test_scans_run_one_after_the_other(room: Room) -> None:
    room.run("shop")
    room.compose.delay = 0.02
    results = await asyncio.gather(*(room.discovery.scan() for _ in range(3)))
    assert [result.actions[0].action for result in results] == [Action.CREATED, Action.SKIPPED, Action.SKIPPED]


async def test_a_project_between_two_containers_of_an_update_is_not_missing(room: Room) -> None:
    room.run("shop")
    await actions(room)
    stack = await room.stack("shop")
    release = asyncio.Event()

    async def update(_: object) -> JobOutcome:
        await release.wait()
        return JobOutcome()

    room.jobs.register(JobKind("update", update))
    targets = [(stack.id, stack.services[0].id)]
    job_id = await room.jobs.submit(NewJob("update", "service", "alice", targets=targets))
    room.engine.listed.clear()
    assert await actions(room) == {}
    release.set()
    await room.finished(job_id)
    assert await actions(room) == {"shop": Action.MARKED_MISSING}


async def test_sweeps_after_events_leave_what_disappeared_to_the_regular_ones(room: Room) -> None:
    room.run("shop")
    await actions(room)
    room.engine.listed.clear()
    await room.discovery.sweep(mark_missing=False)
    assert (await room.project("shop")).status is ProjectStatus.ACTIVE
    await room.discovery.sweep()
    assert (await room.project("shop")).status is ProjectStatus.MISSING


async def test_the_cost_does_not_grow_faster_than_the_number_of_services(room: Room) -> None:
    text = "services:\n" + "".join(f"  s{n}: {{image: nginx}}\n" for n in range(20))

    async def statements(projects: int) -> int:
        for number in range(projects):
            if not (room.folder / f"p{number}").exists():
                path = room.write(f"p{number}", text)
                room.engine.listed.append(compose_container(f"p{number}", "s0", files=path))
        await room.discovery.scan()
        before = room.db.statements
        await room.discovery.scan(fresh=False)
        return room.db.statements - before

    few, many = await statements(2), await statements(12)
    assert few == many
    assert room.compose.at_once <= 2
