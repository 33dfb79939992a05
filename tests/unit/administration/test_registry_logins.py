"""Which registries need a login, and what follows (spec §5.7 `feature.registry_auth`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.registry import ImageRef
from app.features.administration.deploy_rules import registry_logins
from app.features.administration.registry_logins import Logins, judge, need_of, parse_logins, read_logins

NEEDS = {
    "required": [
        "localhost/a", "localhost:5000/a", "nas.local/a", "nas.local:5000/a/b", "reg.corp.internal/a", "box.lan/a",
        "10.0.0.1/a", "10.255.1.2:5000/a", "127.0.0.1:5001/a", "172.16.0.1/a", "172.31.255.255/a", "192.168.1.5:5000/a",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a", "local/a", "private/a:1", "internal/a", "docker.io/private/a",
    ],
    "not_needed": ["nginx", "nginx:1.27", "docker.io/library/redis", "public.ecr.aws/a/b", "mcr.microsoft.com/a/b"],
    "potential": [
        "ghcr.io/acme/web", "quay.io/a/b", "gcr.io/a/b", "eu.gcr.io/a/b", "europe-docker.pkg.dev/a/b/c", "grafana/loki",
        "registry.example:5000/a", "172.32.0.1/a", "172.15.0.1/a", "11.0.0.1/a", "192.169.0.1/a",
        "evil-local.example/a", "locals/a", "x.dkr.ecr.eu-west-1.amazonaws.com.evil.example/a", "8.8.8.8:443/a",
        "[::1]:5000/a",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("need", "text"), [(need, text) for need, texts in NEEDS.items() for text in texts])
def test_what_needs_a_login(need: str, text: str) -> None:
    assert need_of(ImageRef.parse(text)) == need


@given(st.ip_addresses(v=4))
def test_private_addresses_are_those_of_the_contract(address: object) -> None:
    text = str(address)
    first, second = (int(part) for part in text.split(".")[:2])
    private = first in (10, 127) or (first == 172 and 16 <= second <= 31) or (first, second) == (192, 168)
    assert need_of(ImageRef.parse(f"{text}:5000/a")) == ("required" if private else "potential")


@pytest.mark.parametrize(
    ("config", "host", "there"),
    [
        ({"credsStore": "pass"}, "any.example", True),
        ({"credsStore": " "}, "any.example", False),
        ({"auths": {"ghcr.io": {"auth": "eDp5"}}}, "ghcr.io", True),
        ({"auths": {"https://ghcr.io/v2/": {"identitytoken": "t"}}}, "ghcr.io", True),
        ({"auths": {"https://index.docker.io/v1/": {"auth": "eDp5"}}}, "docker.io", True),
        ({"auths": {"ghcr.io": {"auth": " "}}}, "ghcr.io", False),
        ({"auths": {"ghcr.io": {}}}, "ghcr.io", False),
        ({"auths": {"ghcr.io": "x"}}, "ghcr.io", False),
        ({"auths": ["ghcr.io"]}, "ghcr.io", False),
        ({"credHelpers": {"ecr.example": "ecr-login"}}, "ecr.example", True),
        ({"credHelpers": {"ecr.example": ""}}, "ecr.example", False),
        ({"auths": {"nas.lan:5000": {"auth": "eDp5"}}}, "nas.lan:5000", True),
        ({"auths": {"nas.lan:5000": {"auth": "eDp5"}}}, "nas.lan:5001", False),
        ({}, "ghcr.io", False),
    ],
)
def test_what_counts_as_a_login(config: object, host: str, there: bool) -> None:
    assert parse_logins(config).has(host) is there


KEYS = st.sampled_from(["auths", "credsStore", "credHelpers", "ghcr.io", "auth"]) | st.text()
LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
def test_any_config_can_be_read(config: object) -> None:
    assert parse_logins(config).has("nowhere.example") in (True, False)


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "large.json").write_text(" " * (1024 * 1024 + 1))
    for name in ("bad", "list", "bytes", "deep", "large", "absent"):
        assert read_logins(tmp_path / f"{name}.json").problem, name
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": "eDp5"}}}))
    assert read_logins(tmp_path).has("ghcr.io") and not read_logins(tmp_path).problem


def refs(*texts: str) -> list[ImageRef]:
    return [ImageRef.parse(text) for text in texts]


def test_a_required_host_stays_required_whatever_else_comes_from_it() -> None:
    verdict = judge(refs("grafana/loki", "private/a", "nginx", "ghcr.io/a/b"), Logins(hosts=frozenset({"ghcr.io"})))
    assert verdict.required == ("docker.io",) == verdict.missing_required
    assert verdict.potential == ("ghcr.io",) and not verdict.missing_potential


GHCR, NAS = Logins(hosts=frozenset({"ghcr.io"})), Logins(hosts=frozenset({"nas.lan"}))


@pytest.mark.parametrize(
    ("images", "logins", "files", "status", "reason"),
    [
        (["nas.lan/a"], NAS, True, "pass", None),
        (["nas.lan/a"], Logins(everywhere=True), True, "pass", None),
        (["nas.lan/a"], GHCR, True, "fail", None),
        (["nas.lan/a"], None, True, "fail", None),
        (["nas.lan/a"], Logins(problem="it is not valid JSON"), True, "fail", None),
        (["nas.lan/a", "ghcr.io/a/b"], NAS, True, "pass", None),
        (["ghcr.io/a/b"], GHCR, True, "na", "not_applicable"),
        (["ghcr.io/a/b"], NAS, True, "na", "missing_prerequisite"),
        (["ghcr.io/a/b"], None, True, "na", "missing_prerequisite"),
        (["ghcr.io/a/b"], Logins(problem="no such file"), True, "na", "missing_prerequisite"),
        (["nginx", "mcr.microsoft.com/a"], None, True, "na", "not_applicable"),
        ([], None, True, "na", "not_applicable"),
        ([], None, False, "na", "missing_prerequisite"),
    ],
)
def test_what_follows(images: list[str], logins: Logins | None, files: bool, status: str, reason: str | None) -> None:
    outcome = registry_logins(refs(*images), logins, files)
    assert (outcome.status, outcome.na_reason) == (status, reason)
    if status == "fail":
        assert "nas.lan" in outcome.evidence and outcome.recommendation
