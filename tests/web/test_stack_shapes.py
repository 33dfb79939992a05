"""Stacks over the API as the spec shows them: the list, one stack, what archiving hides (spec §5.2, §13 line 8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.core.db import Database
from app.features.stacks.models import ServiceRow, StackRow
from app.features.versions.models import ServiceVersion
from tests.web.hooks_house import API, GONE, LONE, NOW, OTHER, STACK, WEB, House, house

OLD, NEW = ("sha256:" + letter * 64 for letter in "ab")


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


async def know(at: House, service_id: str, ref: str, **values: Any) -> None:
    """What checks found out about a service."""
    repo, _, tag = ref.rpartition(":")
    found = {
        "current_digest": OLD, "candidate_tag": tag, "candidate_digest": NEW, "candidate_arch_match": "match",
        "candidate_arch": ["linux/amd64", "linux/arm64"], "checked_at": NOW, **values,
    }  # fmt: skip
    async with at.container.get(Database).transaction() as session:
        session.add(ServiceVersion(service_id=service_id, image_ref=ref, image_repo=repo, image_tag=tag, **found))


async def stack(at: House) -> dict[str, Any]:
    found: dict[str, Any] = (await at.call("GET", f"/api/stacks/{STACK}"))["stack"]
    return found


async def test_the_list_counts_what_can_be_updated(at: House) -> None:
    await know(at, WEB, "ghcr.io/acme/web:1")
    await know(at, API, "ghcr.io/acme/web:latest", candidate_arch_match="mismatch")
    await know(at, LONE, "docker.io/acme/web:1", ignore_rule_id="ign_1", ignore_reason="x")
    await know(at, GONE, "ghcr.io/acme/web:1")
    async with at.container.get(Database).transaction() as session:
        (await session.get_one(StackRow, OTHER)).created_at = NOW + timedelta(days=1)
    assert (await at.call("GET", "/api/stacks"))["stacks"] == [
        {
            "id": OTHER, "name": "far", "status": "unknown", "services": 2, "updates": 0,
            "lastCheckAt": "2026-05-02T10:00:00Z", "archived": False, "archivedServices": 1,
        },
        {
            "id": STACK, "name": "shop", "status": "unknown", "services": 2, "updates": 1,
            "lastCheckAt": "2026-05-01T10:00:00Z", "archived": False, "archivedServices": 0,
        },
    ]  # fmt: skip


async def test_one_stack_before_anything_is_known(at: House) -> None:
    found = await stack(at)
    services = found.pop("services")
    assert found == {
        "id": STACK, "name": "shop", "archived": False, "compose": {"type": "path", "composeFiles": ["/x.yml"]},
    }  # fmt: skip
    assert {service["name"]: service for service in services}["web"] == {
        "id": WEB, "name": "web", "image": {"ref": "ghcr.io/acme/web:1", "tag": "1"},
        "settings": {"autoRollback": True, "backupTargets": {"bindPaths": {}, "volumeNames": {}}, "repoUrl": None},
        "archived": False,
    }  # fmt: skip


async def test_a_candidate_its_versions_and_the_rule_against_it(at: House) -> None:
    await know(
        at, WEB, "ghcr.io/acme/web:1", current_resolved_tag="1.4.2", current_resolved_tags=["1.4.2", "1.4"],
        candidate_resolved_tag="1.5.0", ignore_rule_id="ign_1", ignore_reason="matched ignore rule for tag 1",
    )  # fmt: skip
    web = next(service for service in (await stack(at))["services"] if service["id"] == WEB)
    assert web["image"] == {
        "ref": "ghcr.io/acme/web:1", "tag": "1", "digest": OLD, "resolvedTag": "1.4.2",
        "resolvedTags": ["1.4.2", "1.4"],
    }  # fmt: skip
    assert web["candidate"] == {
        "tag": "1", "resolvedTag": "1.5.0", "digest": NEW, "archMatch": "match",
        "arch": ["linux/amd64", "linux/arm64"],
    }  # fmt: skip
    assert web["ignore"] == {"matched": True, "ruleId": "ign_1", "reason": "matched ignore rule for tag 1"}
    assert web["versionInference"] == {"status": "pending", "reason": "cache_miss"}


async def test_one_version_alone_is_no_list_and_nothing_waits_for_a_whole_tag(at: House) -> None:
    async with at.container.get(Database).transaction() as session:
        row = await session.get_one(ServiceRow, WEB)
        row.image_ref, row.image_tag = "ghcr.io/acme/web:1.4.2", "1.4.2"
    await know(
        at, WEB, "ghcr.io/acme/web:1.4.2", current_resolved_tag="1.4.2", current_resolved_tags=["1.4.2"],
        candidate_tag=None, candidate_digest=None, candidate_arch_match=None,
    )  # fmt: skip
    web = next(service for service in (await stack(at))["services"] if service["id"] == WEB)
    assert not {"candidate", "ignore", "versionInference"} & set(web) and "resolvedTags" not in web["image"]


@pytest.mark.parametrize("path", [f"/api/stacks/{STACK}", f"/api/services/{WEB}"])
async def test_archiving_hides_and_restoring_shows(at: House, path: str) -> None:
    is_stack = "stacks" in path

    async def names(archived: str) -> list[str]:
        return [each["name"] for each in (await at.call("GET", f"/api/stacks?archived={archived}"))["stacks"]]

    for _ in range(2):
        assert await at.call("POST", f"{path}/archive", {"whatever": 1}) == {"ok": True}
    assert sorted(await names("exclude")) == (["far"] if is_stack else ["far", "shop"])
    assert sorted(await names("include")) == ["far", "shop"]
    assert await names("only") == (["shop"] if is_stack else [])
    found = await stack(at)
    assert found["archived"] is is_stack
    assert [service["archived"] for service in found["services"] if service["id"] == WEB] == [not is_stack]
    await at.call("POST", f"{path}/restore")
    assert (sorted(await names("exclude")), await names("only")) == (["far", "shop"], [])
    assert not any(service["archived"] for service in (await stack(at))["services"])
