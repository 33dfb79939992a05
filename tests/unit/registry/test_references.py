from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.registry import ImageRef, InvalidReference

D = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "registry", "name", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", None, None),
        ("nginx:1.27-alpine", "docker.io", "library/nginx", "1.27-alpine", None),
        ("grafana/loki:3.2.1", "docker.io", "grafana/loki", "3.2.1", None),
        ("docker.io/nginx", "docker.io", "library/nginx", None, None),
        ("index.docker.io/library/nginx:1", "docker.io", "library/nginx", "1", None),
        ("registry-1.docker.io/grafana/loki", "docker.io", "grafana/loki", None, None),
        ("ghcr.io/acme/web:1.4", "ghcr.io", "acme/web", "1.4", None),
        ("GHCR.io/acme/web", "ghcr.io", "acme/web", None, None),
        (f"ghcr.io/acme/web@{D}", "ghcr.io", "acme/web", None, D),
        (f"ghcr.io/acme/web:1.4@{D}", "ghcr.io", "acme/web", "1.4", D),
        ("localhost/app", "localhost", "app", None, None),
        ("localhost:5000/app:v1", "localhost:5000", "app", "v1", None),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c", None, None),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", None),
        ("my-host:443/x__y/z-_-z".replace("-_-", "-"), "my-host:443", "x__y/z-z", None, None),
        ("redis:7", "docker.io", "library/redis", "7", None),
    ],
)
def test_reads_what_docker_reads(text: str, registry: str, name: str, tag: str | None, digest: str | None) -> None:
    ref = ImageRef.parse(text)
    assert (ref.registry, ref.name, ref.tag, ref.digest, ref.original) == (registry, name, tag, digest, text)
    assert ref.repo == f"{registry}/{name}"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "Nginx", "acme/Web", "nginx:", "nginx:a b", "nginx:-1", "-nginx", "ghcr.io/-x", "ghcr.io/../etc",
        "../../etc/passwd", "a//b", "/nginx", "nginx/", "nginx@", "nginx@sha256:abc", f"nginx@{D.upper()}", "nginx\n",
        "nginx\x00", "nginx:1\x1b[31m", "ghcr.io:99999/x", "ghcr.io:/x", "http://ghcr.io/x", "user@ghcr.io/x",
        "<script>alert(1)</script>", "$(reboot)", "--privileged", "a" * 300, "nginx:" + "1" * 129, "x" * 5_000_000,
        "sha256:" + "ab" * 32, "${IMAGE}", "nginx:${TAG}", "..", "ghcr.io/a..b", "[::1/x", "é",
    ],
)  # fmt: skip
def test_refuses_garbage_quickly_and_in_plain_words(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidReference) as caught:
        ImageRef.parse(text)
    assert time.perf_counter() - started < 5
    assert len(caught.value.message) < 300
    assert caught.value.message.isprintable()
    assert (caught.value.code, caught.value.status) == ("invalid_argument", 400)


def test_docker_hub_has_another_api_host_and_many_spellings() -> None:
    ref = ImageRef.parse("nginx:1")
    assert ref.api_host == "registry-1.docker.io"
    assert {"nginx", "library/nginx", "docker.io/nginx", "docker.io/library/nginx"} <= ref.repo_aliases()
    assert {"grafana/loki", "docker.io/grafana/loki"} <= ImageRef.parse("grafana/loki").repo_aliases()
    other = ImageRef.parse("ghcr.io/acme/web")
    assert other.api_host == "ghcr.io"
    assert other.repo_aliases() == {"ghcr.io/acme/web"}


def test_familiar_is_what_people_write() -> None:
    assert ImageRef.parse("docker.io/library/nginx:1").familiar == "nginx:1"
    assert ImageRef.parse("docker.io/grafana/loki").familiar == "grafana/loki"
    assert ImageRef.parse("ghcr.io/acme/web:1").familiar == "ghcr.io/acme/web:1"


def test_pinning_drops_the_tag_and_checks_the_digest() -> None:
    ref = ImageRef.parse("nginx:1")
    assert str(ref.with_digest(D.upper().replace("SHA", "sha"))) == f"docker.io/library/nginx@{D}"
    assert ref.with_digest(D).is_pinned
    assert str(ref.with_digest(D).with_tag("2")) == "docker.io/library/nginx:2"
    assert ImageRef.parse("nginx").effective_tag == "latest"
    for bad in ("sha256:12", "", "x"):
        with pytest.raises(InvalidReference):
            ref.with_digest(bad)
    with pytest.raises(InvalidReference):
        ref.with_tag("a b")


@given(st.text(max_size=400))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        ref = ImageRef.parse(text)
    except InvalidReference:
        return
    again = ImageRef.parse(str(ref))
    assert (again.repo, again.tag, again.digest) == (ref.repo, ref.tag, ref.digest)


_PART = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-)[a-z0-9]{1,5}){0,2}", fullmatch=True)


@given(
    st.sampled_from(["", "ghcr.io/", "docker.io/", "localhost:5000/", "reg.example.com:8443/"]),
    st.lists(_PART, min_size=1, max_size=3),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.sampled_from(["", "@" + D]),
)
def test_canonical_spelling_reads_back_the_same(registry: str, parts: list[str], tag: str | None, pin: str) -> None:
    if not registry and ("." in parts[0] or parts[0] == "localhost"):
        parts = ["acme", *parts]  # a dotted first segment would be a registry
    text = registry + "/".join(parts) + (f":{tag}" if tag else "") + pin
    ref = ImageRef.parse(text)
    assert ImageRef.parse(str(ref)).repo == ref.repo
    assert ImageRef.parse(ref.familiar).repo == ref.repo
    assert ImageRef.parse(str(ref)).tag == tag
