"""What a service's settings may be (spec §5.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidArgument, NotFound
from app.features.stacks import settings_rules as rules
from app.features.stacks.service import KEEP_URL, KeepUrl
from tests.unit.stacks.conftest import Room


@pytest.mark.parametrize("url", ["https://github.com/acme/web", " http://git.lan:3000/x ", "HTTPS://[::1]/x?y=1#z"])
def test_addresses_of_repositories_are_trimmed_and_kept(url: str) -> None:
    assert rules.check_repo_url(url) == url.strip()


@pytest.mark.parametrize("url", [None, "", "   \n"])
def test_blank_is_none(url: str | None) -> None:
    assert rules.check_repo_url(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "github.com/acme/web",
        "/acme/web",
        "ftp://host/x",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user@host/x",
        "https://user:secret@host/x",
        "https://host:99999/x",
        "https://host:port/x",
        "https://ho st/x",
        "https://host/\x1b[31m",
        "https://[::1/x",
        "https://evil\\@host",
        "https://h/" + "x" * 3000,
    ],
)
def test_anything_else_is_refused_with_the_contracts_words(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.check_repo_url(url)
    assert caught.value.message == "invalid repoUrl"
    assert caught.value.details["field"] == "repoUrl"
    assert "secret" not in caught.value.message + caught.value.hint


@given(st.text(max_size=200))
def test_no_text_breaks_the_check(text: str) -> None:
    try:
        kept = rules.check_repo_url(text)
    except InvalidArgument:
        return
    assert kept is None or kept.lower().startswith(("http://", "https://"))


@pytest.mark.parametrize("path", ["data", "", "/srv/../etc", "/..", "/a\nb", "/" + "x" * 5000])
def test_bind_paths_are_absolute_and_plain(path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.check_bind_paths({path: "skip"})
    assert caught.value.details["field"] == "backupTargets.bindPaths"


@pytest.mark.parametrize("name", ["", "-x", "../x", "a/b", "a b", "x" * 300])
def test_volume_names_are_names(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.check_volume_names({name: "skip"})
    assert caught.value.details["field"] == "backupTargets.volumeNames"


def test_choices_and_their_number_are_bounded() -> None:
    assert rules.check_bind_paths({"/data": "force", "/a..b/c": "skip"}) == {"/data": "force", "/a..b/c": "skip"}
    with pytest.raises(InvalidArgument):
        rules.check_volume_names({"db": "always"})
    with pytest.raises(InvalidArgument):
        rules.check_volume_names({f"v{n}": "skip" for n in range(201)})


async def test_settings_are_kept_and_an_address_left_out_stays(room: Room) -> None:
    room.run("shop")
    await room.discovery.scan()
    service_id = (await room.stack("shop")).services[0].id

    async def save(repo_url: str | KeepUrl | None = KEEP_URL) -> str | None:
        await room.stacks.save_service_settings(
            service_id, auto_rollback=False, bind_paths={"/d": "skip"}, volume_names={"v": "force"}, repo_url=repo_url
        )
        return (await room.stacks.service_settings(service_id)).repo_url

    assert (await room.stacks.service_settings(service_id)).auto_rollback
    assert await save("https://github.com/acme/web") == "https://github.com/acme/web"
    assert await save() == "https://github.com/acme/web"
    assert await save(None) is None
    found = await room.stacks.service_settings(service_id)
    assert (found.auto_rollback, dict(found.bind_paths), dict(found.volume_names)) == (
        False,
        {"/d": "skip"},
        {"v": "force"},
    )
    with pytest.raises(NotFound, match="service not found"):
        await room.stacks.save_service_settings("svc_x", auto_rollback=True, bind_paths={}, volume_names={})


async def test_archiving_is_idempotent_and_takes_services_out_of_batch_actions(room: Room) -> None:
    room.run("shop")
    room.run("blog")
    await room.discovery.scan()
    shop, blog = await room.stack("shop"), await room.stack("blog")
    for _ in range(2):
        await room.stacks.archive_stack(shop.id)
        await room.stacks.archive_service(blog.services[0].id)
    archived_at = (await room.stack("shop")).archived_at
    await room.stacks.archive_stack(shop.id)
    assert (await room.stack("shop")).archived_at == archived_at is not None
    assert await room.stacks.select("all") == []
    assert await room.stacks.select("stack", stack_id=shop.id) == []
    assert await room.stacks.select("service", service_id=shop.services[0].id) == []
    assert [stack.id for stack in await room.stacks.stacks()] == [blog.id]
    assert [stack.id for stack in await room.stacks.stacks("only")] == [shop.id]
    await room.stacks.restore_stack(shop.id)
    await room.stacks.restore_service(blog.services[0].id)
    assert len(await room.stacks.select("all")) == 2
    assert (await room.stack("shop")).archived_at is None


async def test_what_does_not_exist_is_said_in_the_contracts_words(room: Room) -> None:
    with pytest.raises(NotFound, match="stack not found"):
        await room.stacks.archive_stack("stk_x")
    with pytest.raises(NotFound, match="service not found"):
        await room.stacks.select("service", service_id="svc_x")
    with pytest.raises(NotFound, match="stack not found"):
        await room.stacks.select("stack", stack_id="stk_x")
    with pytest.raises(NotFound, match="project not found"):
        await room.stacks.restore_project("nope")


async def test_stacks_come_newest_first(room: Room) -> None:
    for name in ("a", "b", "c"):
        room.run(name)
        await room.discovery.scan()
    assert [stack.name for stack in await room.stacks.stacks()] == ["c", "b", "a"]
