"""Updates of stacks as people have them: odd names and places, odd containers, and somebody who interferes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.core.jobs import JobStatus
from tests.lab.house import House, house
from tests.lab.lab import Lab
from tests.lab.stacks import Stack
from tests.lab.test_updates import publish, served

pytestmark = pytest.mark.lab


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


ODD = """services:
  web:
    image: '${REPO}:${TAG}'
    container_name: my_odd_web
    profiles: [extra]
    pull_policy: always
    restart: 'no'
    environment: {FIRST: '${FIRST}', SECOND: '${SECOND}'}
    depends_on: [helper]
  helper: {image: '${REPO}:${TAG}', profiles: [debug], pull_policy: never}
  task: {image: '${REPO}:${TAG}', command: [sh, -c, 'exit 0']}
"""


async def test_odd_names_places_profiles_and_containers(clean_lab: Lab, home: House) -> None:
    """A folder with blanks and umlauts, two env files, a container name, profiles of which one is off for Dockrev, a
    task that has ended, and a container of `compose run`."""
    lab, samples = clean_lab, clean_lab.samples("odd")
    ref = publish(lab, "odd", samples.good("1.0.0"))
    stack = Stack("odd", lab.folder / "stacks" / "mein Ordner ü $x" / "größe 1", lab.compose_bin, lab.env())
    lab.stacks.append(stack)
    stack.write(ODD)
    stack.write(f"REPO={ref.rpartition(':')[0]}\nTAG=nothing\nFIRST=one\n", "first, of two.env")
    stack.write("TAG=1\nSECOND=two\n", "second.env")
    env = ("--env-file", "first, of two.env", "--env-file", "second.env")
    profiles = ("--profile", "extra", "--profile", "debug")
    lab.docker("pull", "-q", ref)
    stack.compose(*env, *profiles, "up", "-d")
    stack.compose(*env, *profiles, "run", "-d", "--no-deps", "--name", "odd_by_hand", "web", "sleep", "60")
    try:
        helper = await home.only("odd", "helper")
        lab.registry.publish("up/odd", "1", samples.good("2.0.0"))
        await home.look()
        job = await home.update("odd", "web")
        assert job.status is JobStatus.SUCCESS, await home.log(job.id)
        web = await home.only("odd", "web")
        assert (web.name, served(lab, web.id)) == ("my_odd_web", "2.0.0")
        said = lab.docker("inspect", "-f", "{{json .Config.Env}}", web.id)
        assert '"FIRST=one"' in said and '"SECOND=two"' in said, "all env files count"
        assert (await home.only("odd", "helper")).id == helper.id, "profiles are no reason to touch others"
        task = await home.update("odd", "task")
        assert task.summary["stacks"][0]["update"]["skippedServices"][0]["reason"] == "container not running"
        assert served(lab, "odd_by_hand") == "1.0.0", "what compose run made is nobody's service"
    finally:
        lab.docker("rm", "-f", "odd_by_hand", check=False)


async def health_step(home: House, job_id: str) -> None:
    """Wait until the new container is watched."""
    async with asyncio.timeout(30):
        while True:
            job = await home.jobs.store.get(job_id)
            assert job is not None and not job.status.final
            if any(step["step"] == "health" for step in job.summary.get("timeline", [{}])[0].get("steps", [])):
                return
            await asyncio.sleep(0.02)


async def test_somebody_interferes_while_the_new_container_is_watched(clean_lab: Lab, home: House) -> None:
    """Whoever removes it, or brings the old one up by hand: the service works afterwards, on what its tag means."""
    lab, samples = clean_lab, clean_lab.samples("hand")
    ref = publish(lab, "hand", samples.good("1.0.0"))
    stack = lab.stack("hand", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    lab.registry.publish("up/hand", "1", samples.slow_start("2.0.0", 4))
    await home.look()
    meddling: list[Callable[[], object]] = [
        lambda: lab.docker("rm", "-f", "hand-web-1"),
        lambda: stack.compose("up", "-d", "-t", "1", check=False),
    ]
    for meddle in meddling:
        job_id = await home.updates.start(await home.body("hand", "web"), "tester")
        await health_step(home, job_id)
        await asyncio.to_thread(meddle)
        job = await home.finished(job_id)
        assert job.status is JobStatus.ROLLED_BACK, await home.log(job.id)
        assert job.summary["failureStep"] in ("container_missing_after_update", "health")
        web = await home.only("hand", "web")
        assert web.running and served(lab, web.id) == "1.0.0"
        assert (await home.engine.image(ref)).id == web.image_id
        assert await home.updates._tools.journal.all() == []


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("services: {web: {image: '%s'", "yaml"),
        ("services: {web: {image: '%s', environment: {A: '${UNSET_HERE:?is needed}'}}}", "is needed"),
        ("services: {other: {image: '%s'}}", "have no service web any more"),
    ],
    ids=["no-yaml", "missing-variable", "no-service"],
)
async def test_files_that_compose_cannot_use_end_it_before_anything_is_done(
    clean_lab: Lab, home: House, file: str, told: str
) -> None:
    """An owner's slip in the editor must not cost a pull, and not a container."""
    lab, samples = clean_lab, clean_lab.samples("slip")
    ref = publish(lab, "slip", samples.good("1.0.0"))
    stack = lab.stack("slip", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    before = await home.only("slip", "web")
    lab.registry.publish("up/slip", "1", samples.good("2.0.0"))
    await home.look()
    body = await home.body("slip", "web")
    stack.write(file % ref)
    job = await home.finished(await home.updates.start(body, "tester"))
    log = await home.log(job.id)
    assert (job.status, job.summary["failureStep"]) == (JobStatus.FAILED, "compose_config"), log
    assert told in job.summary["error"] and job.summary["stacks"][0]["update"]["failureStep"] == "compose_config"
    assert [step["step"] for step in job.summary["timeline"][0]["steps"]] == ["queued", "unchanged"]
    after = await home.only("slip", "web")
    assert (after.id, after.started_at) == (before.id, before.started_at)
    assert "docker pull" not in log and await home.updates._tools.journal.all() == []
    stack.write(f"services: {{web: {{image: '{ref}'}}}}")
