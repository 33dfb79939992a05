"""The registry client's memory in the database (spec §7.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.adapters.registry import StoredHost, StoredManifest, Validator
from app.core.clock import Clock
from app.core.db import Database
from app.features.stacks.models import ServiceRow, StackRow
from app.features.versions.models import ServiceVersion
from app.features.versions.store import PASSING_VALIDATORS, DatabaseStore
from tests.fakes.registry import INDEX, SINGLE, digest_of

WEB = "ghcr.io/acme/web"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "dockrev.sqlite3")
    await made.create_all()
    yield made
    await made.close()


def validator(text: str, etag: str | None = '"e"') -> Validator:
    return Validator(etag, digest_of(text), INDEX, "2026-05-01T10:00:00.000000Z")


def manifest(text: str) -> StoredManifest:
    children = {"linux/amd64": digest_of(text + " amd64")}
    return StoredManifest(digest_of(text), INDEX, True, children=children)


async def followed(db: Database, repo: str, tag: str) -> None:
    """A service that follows a tag, with evidence."""
    now = datetime.now(UTC)
    async with db.transaction() as session:
        session.add(StackRow(id="stk_1", name="s", compose_files=[], created_at=now, updated_at=now))
        await session.flush()
        ref = f"{repo}:{tag}"
        session.add(
            ServiceRow(
                id="svc_1", stack_id="stk_1", name="w", image_ref=ref, image_tag=tag, created_at=now, updated_at=now
            )
        )
        await session.flush()
        session.add(ServiceVersion(service_id="svc_1", image_ref=ref, image_repo=repo, image_tag=tag))


async def test_what_services_follow_survives_a_restart(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    store.follow([(WEB, "latest")])
    store.remember(WEB, "latest", validator("a"))
    store.remember(WEB, "1.2.3", validator("b"))
    store.remember_manifest(manifest("a"))
    await store.flush()
    again = DatabaseStore(db, Clock())
    assert again.validator(WEB, "latest") is None
    await again.load([WEB, "ghcr.io/acme/other"])
    assert again.validator(WEB, "latest") == validator("a")
    assert again.validator(WEB, "1.2.3") is None
    before = db.statements
    assert await again.manifest(digest_of("a")) == manifest("a")  # came with the validator
    assert db.statements == before


async def test_loading_is_one_query_for_many_and_none_for_known_ones(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    repos = [f"ghcr.io/acme/r{number}" for number in range(300)]
    before = db.statements
    await store.load(repos)
    assert db.statements - before == 2  # BEGIN and the query
    await store.load(repos)
    assert db.statements - before == 2


async def test_hundreds_of_answers_are_two_statements(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    pairs = [(f"ghcr.io/acme/r{number}", "latest") for number in range(300)]
    store.follow(pairs)
    for repo, tag in pairs:
        store.remember(repo, tag, validator(repo))
        store.remember_manifest(manifest(repo))
    before = db.statements
    await store.flush()
    assert db.statements - before == 3  # BEGIN, validators, manifests
    await store.flush()
    assert db.statements - before == 3


async def test_a_newer_answer_replaces_the_older(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    store.follow([(WEB, "latest")])
    for text in ("a", "b"):
        store.remember(WEB, "latest", validator(text, None))
        await store.flush()
    again = DatabaseStore(db, Clock())
    await again.load([WEB])
    assert again.validator(WEB, "latest") == validator("b", None)


async def test_a_tag_seen_in_passing_becomes_durable_when_followed(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    store.remember(WEB, "latest", validator("a"))
    await store.flush()
    store.follow([(WEB, "latest")])
    await store.flush()
    again = DatabaseStore(db, Clock())
    await again.load([WEB])
    assert again.validator(WEB, "latest") == validator("a")


async def test_memory_of_tags_in_passing_is_bounded(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    for number in range(PASSING_VALIDATORS + 10):
        store.remember(WEB, f"1.{number}", validator("a"))
    assert store.validator(WEB, "1.9") is None
    assert store.validator(WEB, "1.10") is not None


async def test_a_failed_flush_loses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DatabaseStore(db, Clock())
    store.follow([(WEB, "latest")])
    store.remember(WEB, "latest", validator("a"))
    store.remember_manifest(manifest("a"))
    with monkeypatch.context() as patched:
        patched.setattr("app.features.versions.store._upsert_manifests", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await store.flush()
    await store.flush()
    again = DatabaseStore(db, Clock())
    await again.load([WEB])
    assert again.validator(WEB, "latest") is not None
    assert await again.manifest(digest_of("a")) is not None


async def test_unused_manifests_and_tags_go_after_a_month(db: Database) -> None:
    store = DatabaseStore(db, Clock())
    await followed(db, WEB, "latest")
    store.follow([(WEB, "latest"), (WEB, "1")])
    store.remember(WEB, "latest", validator("used"))
    store.remember(WEB, "1", validator("left"))
    for text in ("used", "unused"):
        store.remember_manifest(manifest(text))
    single = StoredManifest(
        digest_of("single"), SINGLE, False, config_known=True, platform="linux/arm64", labels={"a": "<b>"}
    )
    store.remember_manifest(single)
    await store.flush()
    assert await store.purge() == 0
    later = DatabaseStore(db, Clock(now=lambda: datetime.now(UTC) + timedelta(days=31)))
    assert await later.manifest(single.digest) == single
    assert await later.purge() == 2
    fresh = DatabaseStore(db, Clock())
    assert await fresh.manifest(digest_of("used")) is not None
    assert await fresh.manifest(digest_of("unused")) is None
    await fresh.load([WEB])
    assert fresh.validator(WEB, "latest") is not None, "an unchanged tag is old and still followed"
    assert fresh.validator(WEB, "1") is None


async def test_a_resting_registry_and_its_quota_survive_a_restart(db: Database) -> None:
    now = datetime.now(UTC)
    resting = StoredHost("docker.io", now + timedelta(hours=6), 0, 100, 21600, "198.51.100.7", now)
    store = DatabaseStore(db, Clock())
    store.remember_host(StoredHost("docker.io", None, 5, 100, 21600, None, now))
    store.remember_host(resting)
    await store.flush()
    assert await DatabaseStore(db, Clock()).hosts() == [resting]
    later = Clock(now=lambda: now + timedelta(days=8))
    await DatabaseStore(db, later).purge()
    assert await store.hosts() == []
