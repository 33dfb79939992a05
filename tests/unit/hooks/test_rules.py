"""Decisions without any I/O: targets, callback URLs, deliveries, secrets, matching."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.github import Hook
from app.core.errors import InvalidArgument, Unauthorized
from app.features.hooks.matching import deployed_repos, users_of
from app.features.hooks.rules import delivery, names, secrets, urls
from app.features.hooks.tracked import merged, selected_filter
from app.features.stacks import ServiceRecord

CALLBACK = "https://dockrev.example/api/webhooks/github-packages"


@pytest.mark.parametrize(
    ("text", "owner", "repo"),
    [
        ("acme", "acme", None),
        ("  Acme  ", "Acme", None),
        ("acme/web", "acme", "web"),
        ("acme/web.git", "acme", "web"),
        ("https://github.com/acme", "acme", None),
        ("https://github.com/acme/", "acme", None),
        ("https://GitHub.com/acme/web", "acme", "web"),
        ("https://github.com/acme/web.git", "acme", "web"),
        ("https://github.com/acme/web/pkgs/container/web?tab=x#y", "acme", "web"),
        ("https://github.com/orgs/acme", "acme", None),
        ("https://github.com/orgs/acme/packages", "acme", None),
        ("http://github.com/acme", "acme", None),
        ("git@github.com:acme/web.git", "acme", "web"),
        ("git@github.com:acme/web", "acme", "web"),
    ],
)
def test_targets(text: str, owner: str, repo: str | None) -> None:
    found = names.parse_target(text)
    assert (found.owner, found.repo, found.kind) == (owner, repo, "owner" if repo is None else "repo")
    assert found.key == (owner if repo is None else f"{owner}/{repo}").lower()


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a/b/c", "a//b", "/a", "a/", "a b", "a/..", "-a", "a/b c", "é", "https://gitlab.com/a", "https://github.com",
     "https://github.com.evil.example/a", "https://u@github.com/a", "https://github.com:444/a", "ssh://github.com/a/b",
     "git@gitlab.com:a/b.git", "git@github.com:a", "git@github.com:a/b/c", "https://[", "javascript:a/b", "x" * 500,
     "a\x00b", "https://github.com/a/b\nc"],
)  # fmt: skip
def test_no_targets(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid target input") as caught:
        names.parse_target(text)
    assert caught.value.details["input"] == text[:200] and caught.value.details["error"]


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        found = names.parse_target(text)
    except InvalidArgument:
        return
    assert names.parse_target(found.key).key == found.key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CALLBACK, CALLBACK, True),
        (CALLBACK, "HTTPS://Dockrev.Example/api/webhooks/github-packages", True),
        (CALLBACK, CALLBACK + "/", True),
        (CALLBACK, CALLBACK + "//", False),
        (CALLBACK, CALLBACK + "#x", True),
        (CALLBACK, CALLBACK + "?a=1", False),
        (CALLBACK + "?a=1", CALLBACK + "/?a=1", True),
        (CALLBACK, "https://dockrev.example:443/api/webhooks/github-packages", True),
        ("http://d:80/x", "http://d/x", True),
        (CALLBACK, "https://dockrev.example:8443/api/webhooks/github-packages", False),
        (CALLBACK, CALLBACK.replace("https", "http"), False),
        (CALLBACK, CALLBACK.replace("api", "API"), False),
        (CALLBACK, CALLBACK.replace("//", "//u@"), False),
        ("https://d.example", "https://d.example/", True),
        (CALLBACK, "", False),
        ("", "", False),
        (CALLBACK, "https://[", False),
        (CALLBACK, "https://d:99999/", False),
    ],
)
def test_equal_addresses(one: str, other: str, same: bool) -> None:
    assert urls.same_url(one, other) is urls.same_url(other, one) is same


def test_a_hook_is_ours_when_it_sends_packages_to_us() -> None:
    hooks = [
        Hook(1, CALLBACK, ("package",), True),
        Hook(2, CALLBACK, ("push",), True),
        Hook(3, "https://ci.example/", ("package",), True),
        Hook(4, CALLBACK + "/", ("push", "package"), False),
    ]
    assert [hook.id for hook in urls.ours(hooks, CALLBACK)] == [1, 4]


@pytest.mark.parametrize(
    "text",
    ["x", "/x", "ftp://x/", "https://", "https://a b/", "https://x:0/", "https://x:99999/", "https://u:p@x/",
     "javascript:alert(1)", "https://x/" + "y" * 2048, "https://x/\x07"],
)  # fmt: skip
def test_callback_urls_that_cannot_be_called(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid callbackUrl"):
        urls.callback_url(text)


def test_a_callback_url_is_needed_only_to_work() -> None:
    assert urls.callback_url("  ") == ""
    assert urls.require_callback(f" {CALLBACK} ") == CALLBACK
    with pytest.raises(InvalidArgument, match="callbackUrl is required"):
        urls.require_callback("")


@pytest.mark.parametrize(
    ("document", "owner", "repo"),
    [
        ({"repository": {"full_name": "Acme/Web"}}, "Acme", "Web"),
        ({"package": {"repository": {"full_name": "acme/web"}}}, "acme", "web"),
        ({"repository": {"full_name": "a/b"}, "package": {"repository": {"full_name": "c/d"}}}, "a", "b"),
        ({"repository": None, "package": {"repository": {"full_name": "c/d"}}}, "c", "d"),
        ({"organization": {"login": "acme"}, "sender": {"login": "alice"}}, "acme", None),
        ({"repository": {"owner": {"login": "acme"}}, "sender": {"login": "alice"}}, "acme", None),
        ({"sender": {"login": "alice"}}, "alice", None),
        ({"repository": {"full_name": "a/../b"}, "sender": {"login": "alice"}}, "alice", None),
        ({"repository": {"full_name": 7}, "organization": "acme"}, None, None),
        ({"organization": {"login": "<script>"}}, None, None),
        ({}, None, None),
    ],
)
def test_what_a_body_names(document: dict[str, Any], owner: str | None, repo: str | None) -> None:
    found = delivery.read_payload(json.dumps({"action": "published", **document}).encode())
    assert found == delivery.Payload("published", owner, repo)
    assert found is not None and found.full_name == (f"{owner}/{repo}" if repo else None)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    found = delivery.read_payload(body)
    assert found is None or isinstance(found, delivery.Payload)


KEYS = st.sampled_from(["action", "repository", "full_name", "package", "organization", "login", "owner", "sender"])


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(KEYS, inner) | st.lists(inner))
)
def test_any_json_is_read(document: Any) -> None:
    assert delivery.read_payload(json.dumps(document).encode()) is not None


@pytest.mark.parametrize(
    ("event", "enabled", "reason"),
    [("ping", True, "not_package_event"), (None, False, "not_package_event"), ("package", False, "disabled"),
     ("package", True, None), ("Package", True, "not_package_event")],
)  # fmt: skip
def test_what_is_ignored_unread(event: str | None, enabled: bool, reason: str | None) -> None:
    assert delivery.ignored_unread(event, enabled=enabled) == reason


@pytest.mark.parametrize(
    ("action", "selected", "reason"),
    [("published", True, None), ("published", False, "repo_not_selected"), ("updated", True, "not_published"),
     (None, False, "not_published")],
)  # fmt: skip
def test_what_is_ignored_although_it_was_read(action: str | None, selected: bool, reason: str | None) -> None:
    assert delivery.ignored_read(delivery.Payload(action, "acme", "web"), selected=selected) == reason


def test_signatures() -> None:
    # the example of GitHub's documentation
    body, secret = b"Hello, World!", "It's a Secret to Everybody"
    right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert delivery.sign(secret, body) == right
    delivery.require_signature(secret, right, body)
    for wrong in (None, "", right.upper(), right[:-1], right + " ", right.removeprefix("sha256="), "sha256=\udcff"):
        with pytest.raises(Unauthorized) as caught:
            delivery.require_signature(secret, wrong, body)
        assert caught.value.details == {"reason": "invalid_signature"}


def test_joining_a_job_keeps_what_it_told() -> None:
    block = delivery.audit_block("d-2", "acme/web", ["svc_1"], None)
    fresh = delivery.joined({}, block)["audit"]
    assert (fresh["deliveryIds"], fresh["repos"], fresh["deliveryId"]) == (["d-2"], ["acme/web"], "d-2")
    first = delivery.audit_block("d-1", "acme/api", [], "no_managed_service_match")
    both = delivery.joined({"audit": first}, block)["audit"]
    assert both["deliveryIds"] == ["d-1", "d-2"] and both["deliveryId"] == "d-1"
    assert both["fallbackReason"] == "no_managed_service_match" and both["matchedServiceIds"] == ["svc_1"]
    many: dict[str, Any] = {"audit": first}
    for number in range(300):
        many = delivery.joined(many, delivery.audit_block(f"x-{number}", None, [], None))
    assert len(many["audit"]["deliveryIds"]) == 200


@pytest.mark.parametrize("given_token", [None, "", " ", secrets.MASK, secrets.BULLETS, f" {secrets.MASK} "])
def test_masks_keep(given_token: str | None) -> None:
    assert secrets.kept_token(given_token, "stored") == "stored"
    assert secrets.kept_token(given_token, None) is None


def test_tokens() -> None:
    assert secrets.kept_token(" ghp_x1 ", "old") == "ghp_x1"
    for bad in ("two words", "a\nb", "é", "x" * 513):
        with pytest.raises(InvalidArgument):
            secrets.kept_token(bad, "old")
    made = {secrets.new_secret() for _ in range(20)}
    assert len(made) == 20 and {len(secret) for secret in made} == {43}
    assert (secrets.masked(None), secrets.masked(""), secrets.masked("x")) == (None, None, "******")


def test_names_of_one_repository_are_merged() -> None:
    assert merged([("a/B", False), (" ", True), ("A/b", True), ("c/d", False)]) == {("a", "B"): True, ("c", "d"): False}
    with pytest.raises(InvalidArgument, match="invalid repos"):
        merged([("a", True)])
    assert [selected_filter(text) for text in (None, "", "all", "selected")] == ["all", "all", "all", "selected"]


def service(name: str, image: str) -> ServiceRecord:
    return ServiceRecord(
        id=name, stack_id="stk", stack_name="s", project="s", name=name, image_ref=image, image_tag="1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_only_the_image_of_the_very_repository_matches() -> None:
    services = [
        service("one", "ghcr.io/acme/web:1"),
        service("pinned", "ghcr.io/acme/web@sha256:" + "a" * 64),
        service("hub", "acme/web:1"),
        service("deeper", "ghcr.io/acme/web/api:1"),
        service("other", "ghcr.io/acme/web-api:1"),
        service("broken", "::"),
    ]
    assert [each.name for each in users_of("ACME/Web", services)] == ["one", "pinned"]
    assert deployed_repos(services) == {"acme/web", "acme/web-api"}
