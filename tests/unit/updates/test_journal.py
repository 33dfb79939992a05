"""What is half done is read back as it was written, also by a later version of Dockrev."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.compose import Project
from app.core.clock import Clock
from app.core.db import Database
from app.features.updates.journal import Journal
from app.features.updates.records import Change, Dependent, Housemate, project_from
from app.features.updates.rules.recovery import Step

NEWS = Project("news", (Path("/srv/a.yml"),), (Path("/srv/a.env"), Path("/srv/b.env")), Path("/srv"))


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    database = Database(tmp_path / "journal.sqlite3")
    await database.create_all()
    yield Journal(database, Clock())
    await database.close()


async def test_a_change_comes_back_with_all_who_follow(journal: Journal) -> None:
    change = Change(
        job_id="job_1", stack_id="stk_1", service_id="svc_1", service="vpn", project=NEWS, configured_ref="vpn:1",
        target_ref="vpn@sha256:b", target_tag="1", old_image_id="sha256:a", containers=3, new_image_id="sha256:b",
        housemates=(Housemate(NEWS, "app", "sha256:c", "app:1", 2),),
        dependents=(Dependent("web", ("c1", "c2")), Dependent("sick", ("c3",), was_unhealthy=True)),
    )  # fmt: skip
    await journal.open(change)
    assert await journal.all() == [change]
    await journal.move(change, Step.HEALTH)
    (found,) = await journal.all()
    assert found.step is Step.HEALTH and found.dependents == change.dependents
    await journal.owe(change, change.dependents[:1])
    (found,) = await journal.all()
    assert (found.step, found.dependents, found.housemates) == (Step.RESTARTS, change.dependents[:1], ())
    await journal.paid("job_1", "stk_2")
    assert len(await journal.all()) == 1
    await journal.paid("job_1", "stk_1")
    assert await journal.all() == []
    await journal.open(change)
    await journal.paid("job_1", "stk_1")
    assert await journal.all() == [change], "not settled yet"
    await journal.close(change)
    assert await journal.all() == []


def test_a_project_of_an_older_version_is_understood() -> None:
    old = {"name": "news", "files": ["/srv/a.yml"], "envFile": "/srv/a.env", "workingDir": None}
    assert project_from(old) == Project("news", (Path("/srv/a.yml"),), (Path("/srv/a.env"),))
    mate = {"project": old, "service": "app", "imageId": "sha256:c", "imageRef": "app:1"}
    assert Housemate.of(mate).containers == 1
