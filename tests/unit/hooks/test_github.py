"""The adapter over loopback: what it sends, how it pages, and what each failure becomes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app.adapters.github import (
    GitHub,
    GitHubDenied,
    GitHubError,
    GitHubNotFound,
    GitHubRateLimited,
    GitHubRefused,
    GitHubTimeout,
    GitHubUnreachable,
    is_owner,
    is_repo,
)
from tests.fakes.github import TOKEN, FakeGitHub, Fault

URL = "https://dockrev.example/api/webhooks/github-packages"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as running:
        running.users["acme"] = ["web"]
        yield running


async def test_headers_and_the_hook_that_is_wanted(github: FakeGitHub) -> None:
    async with GitHub(github.url, TOKEN) as client:
        made = await client.create_hook("acme", "web", URL, "s3cret")
        again = await client.update_hook("acme", "web", made.id, URL, "s3cret")
        listed = await client.hooks("acme", "web")
    assert listed == [again] == [made]
    assert (made.url, made.events, made.active) == (URL, ("package",), True)
    sent = github.asked[0]
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["accept"] == "application/vnd.github+json"
    assert sent.headers["x-github-api-version"] == "2022-11-28"
    assert sent.headers["user-agent"]
    config = {"url": URL, "content_type": "json", "secret": "s3cret", "insecure_ssl": "0"}
    assert sent.body == {"name": "web", "active": True, "events": ["package"], "config": config}
    assert github.asked[1].body == {"active": True, "events": ["package"], "config": config}


async def test_a_hook_is_deleted_once(github: FakeGitHub) -> None:
    hook_id = github.add_hook("acme/web", URL)
    async with GitHub(github.url, TOKEN) as client:
        assert await client.delete_hook("acme", "web", hook_id) is True
        assert await client.delete_hook("acme", "web", hook_id) is False
    assert github.hooks["acme/web"] == []


@pytest.mark.parametrize("links", [True, False])
async def test_lists_are_read_to_their_end(github: FakeGitHub, links: bool) -> None:
    github.orgs["big"] = [f"r{number:03}" for number in range(250)]
    github.with_links = links
    async with GitHub(github.url, TOKEN) as client:
        found = await client.repositories("BIG")
    assert [each.name for each in found] == github.orgs["big"]
    assert [asked.query["page"] for asked in github.calls("GET", "/orgs/")] == ["1", "2", "3"]
    assert {asked.query["per_page"] for asked in github.calls("GET")} == {"100"}


async def test_small_pages_with_links_are_followed_by_number(github: FakeGitHub) -> None:
    github.page_size = 2
    for number in range(5):
        github.add_hook("acme/web", f"https://other.example/{number}")
    async with GitHub(github.url, TOKEN) as client:
        assert len(await client.hooks("acme", "web")) == 5


async def test_a_person_has_private_repositories_too(github: FakeGitHub) -> None:
    github.users["alice"] = ["open", "secret", "old"]
    github.private = {"alice/secret"}
    github.archived = {"alice/old"}
    async with GitHub(github.url, TOKEN) as client:
        found = await client.repositories("Alice")
        others = await client.repositories("acme")
    assert [(each.name, each.visibility, each.archived) for each in found] == [
        ("old", "public", True),
        ("open", "public", False),
        ("secret", "private", False),
    ]
    assert found[0].pushed_at is not None
    assert [each.full_name for each in others] == ["acme/web"]


async def test_a_renamed_repository_is_followed_but_never_elsewhere(github: FakeGitHub) -> None:
    github.add_hook("acme/web", URL)
    github.renamed["acme/old"] = "acme/web"
    github.renamed["acme/trap"] = "https://elsewhere.example/"
    github.renamed["acme/loop"] = "acme/loop"
    async with GitHub(github.url, TOKEN) as client:
        assert len(await client.hooks("acme", "old")) == 1
        with pytest.raises(GitHubRefused, match="another host"):
            await client.hooks("acme", "trap")
        with pytest.raises(GitHubRefused, match="without end"):
            await client.hooks("acme", "loop")


FAILURES: list[tuple[Fault, type[GitHubError], bool]] = [
    (Fault(401), GitHubDenied, True),
    (Fault(403), GitHubDenied, True),
    (Fault(404), GitHubNotFound, True),
    (Fault(422), GitHubRefused, True),
    (Fault(500), GitHubUnreachable, False),
    (Fault(502, body=b"<html>"), GitHubUnreachable, False),
    (Fault(drop=True), GitHubUnreachable, False),
    (Fault(200, body=b"<html>"), GitHubRefused, True),
    (Fault(200, body=b'{"not":"a list"}'), GitHubRefused, True),
    (Fault(200, body=b"\xff\xfe"), GitHubRefused, True),
    (Fault(200, body=b"[" * 200_000), GitHubRefused, True),
    (Fault(200, body=b" " * 8_000_001), GitHubRefused, True),
    (Fault(429), GitHubRateLimited, False),
    (Fault(403, headers={"Retry-After": "30"}), GitHubRateLimited, False),
    (Fault(403, headers={"X-RateLimit-Remaining": "0"}), GitHubRateLimited, False),
    (Fault(403, body=b'{"message":"You have exceeded a secondary rate limit"}'), GitHubRateLimited, False),
]


@pytest.mark.parametrize(("fault", "kind", "permanent"), FAILURES)
async def test_failures(github: FakeGitHub, fault: Fault, kind: type[GitHubError], permanent: bool) -> None:
    github.faults.append(Fault(fault.status, "", 1, fault.headers, fault.body, fault.delay, fault.drop))
    async with GitHub(github.url, TOKEN) as client:
        with pytest.raises(kind) as caught:
            await client.hooks("acme", "web")
    assert type(caught.value) is kind
    assert caught.value.permanent is permanent
    assert TOKEN not in repr(caught.value) + caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


async def test_a_slow_answer_is_a_timeout(github: FakeGitHub) -> None:
    github.faults.append(Fault(0, delay=1.0))
    async with GitHub(github.url, TOKEN, seconds=0.2) as client:
        with pytest.raises(GitHubTimeout) as caught:
            await client.hooks("acme", "web")
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in ten minutes"}, 600),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, 60),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 10}, 7200),
    ],
)
async def test_how_long_to_wait(github: FakeGitHub, headers: dict[str, str], seconds: float) -> None:
    if headers.get("X-RateLimit-Reset") == "in ten minutes":
        headers = {**headers, "X-RateLimit-Reset": str(int(time.time()) + 600)}
    github.faults.append(Fault(403, headers=headers))
    async with GitHub(github.url, TOKEN) as client:
        with pytest.raises(GitHubRateLimited) as caught:
            await client.hooks("acme", "web")
    assert caught.value.retry_after == pytest.approx(seconds, abs=30)


async def test_nobody_listens() -> None:
    async with GitHub("http://127.0.0.1:9", TOKEN) as client:
        with pytest.raises(GitHubUnreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
            await client.hooks("acme", "web")


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "", "é", "a?x", "a#x", "."])
async def test_odd_names_are_not_asked_for(github: FakeGitHub, name: str) -> None:
    async with GitHub(github.url, TOKEN) as client:
        with pytest.raises(GitHubRefused):
            await client.hooks("acme", name)
        with pytest.raises(GitHubRefused):
            await client.repositories(name)
    assert not github.asked


def test_names() -> None:
    assert is_owner("acme") and is_owner("a") and is_owner("Jane-Doe_corp")
    assert not is_owner("-a") and not is_owner("a.b") and not is_owner("a" * 101)
    assert is_repo("web.app_1-x") and not is_repo("..") and not is_repo("a/b")
