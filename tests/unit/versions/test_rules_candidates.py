from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.rules import Candidate, RegistrySeen, arch_match, decide, host_platform

INDEX, CHILD, NEW, OLD = ("sha256:" + letter * 64 for letter in "abcd")
HOST = "linux/amd64"
SEEN = RegistrySeen(INDEX, INDEX, CHILD, ("linux/amd64", "linux/arm64"))
MOVED = RegistrySeen(NEW, NEW, None, ("linux/arm64",))
BEFORE = Candidate("1", OLD, ("linux/amd64",), "match")


@pytest.mark.parametrize("runtime", [INDEX, CHILD])
def test_the_same_image_by_index_or_platform_digest_is_no_candidate(runtime: str) -> None:
    outcome = decide("1", runtime=runtime, registry=SEEN, host_platform=HOST, previous_digest=runtime, previous=BEFORE)
    assert (outcome.current_digest, outcome.candidate, outcome.fresh) == (runtime, None, True)
    assert outcome.candidate_changed
    assert not outcome.current_changed


def test_another_image_under_the_tag_is_the_candidate() -> None:
    outcome = decide("1", runtime=INDEX, registry=MOVED, host_platform=HOST)
    assert outcome.candidate == Candidate("1", NEW, ("linux/arm64",), "mismatch")
    assert (outcome.fresh, outcome.current_changed, outcome.candidate_changed) == (True, True, True)


def test_a_failed_request_keeps_the_evidence() -> None:
    outcome = decide("1", runtime=INDEX, registry=None, host_platform=HOST, previous_digest=INDEX, previous=BEFORE)
    assert (outcome.candidate, outcome.fresh, outcome.candidate_changed) == (BEFORE, False, False)


def test_an_unknown_runtime_makes_no_candidate_and_keeps_the_old_one() -> None:
    first = decide("1", runtime=None, registry=SEEN, host_platform=HOST)
    assert (first.current_digest, first.candidate, first.fresh) == (INDEX, None, False)
    later = decide("1", runtime=None, registry=MOVED, host_platform=HOST, previous_digest=CHILD, previous=BEFORE)
    assert (later.current_digest, later.candidate, later.fresh) == (CHILD, BEFORE, False)


def test_nothing_seen_changes_nothing() -> None:
    outcome = decide("1", runtime=None, registry=None, host_platform=HOST, previous_digest=OLD, previous=BEFORE)
    assert (outcome.current_digest, outcome.candidate) == (OLD, BEFORE)
    assert not (outcome.fresh or outcome.current_changed or outcome.candidate_changed)


def test_a_candidate_that_runs_by_now_is_none_even_with_the_registry_away() -> None:
    outcome = decide("1", runtime=OLD, registry=None, host_platform=HOST, previous_digest=INDEX, previous=BEFORE)
    assert (outcome.current_digest, outcome.candidate, outcome.candidate_changed) == (OLD, None, True)


def test_a_pinned_reference_never_has_a_candidate() -> None:
    for registry in (None, SEEN, MOVED):
        outcome = decide("1", runtime=INDEX, registry=registry, host_platform=HOST, previous=BEFORE, pinned=True)
        assert (outcome.candidate, outcome.fresh) == (None, True)


_DIGEST = st.sampled_from([INDEX, CHILD, NEW, OLD])


@given(
    st.none() | _DIGEST,
    st.none() | st.builds(RegistrySeen, _DIGEST, st.none() | _DIGEST, st.none() | _DIGEST),
    st.none() | _DIGEST,
    st.none() | st.builds(Candidate, st.just("1"), _DIGEST),
)
def test_no_evidence_proposes_what_runs_or_another_tag(
    runtime: str | None, registry: RegistrySeen | None, before: str | None, previous: Candidate | None
) -> None:
    outcome = decide(
        "1", runtime=runtime, registry=registry, host_platform=HOST, previous_digest=before, previous=previous
    )
    if outcome.candidate is not None:
        assert outcome.candidate.tag == "1"
        assert outcome.candidate.digest != runtime
    if registry is None and runtime is None:
        assert outcome.candidate == previous


@pytest.mark.parametrize(
    ("arch", "host", "expected"),
    [
        ([], "linux/amd64", "unknown"),
        (["linux/amd64", "linux/arm64"], "linux/amd64", "match"),
        (["linux/arm64"], "linux/amd64", "mismatch"),
        (["linux/arm"], "linux/arm/v7", "match"),
        (["linux/arm/v6"], "linux/arm/v7", "mismatch"),
        (["linux/arm64/v8"], "linux/arm64", "match"),
        (["linux/arm64"], "linux/arm64/v8", "match"),
        (["windows/amd64"], "linux/amd64", "mismatch"),
    ],
)
def test_architecture(arch: list[str], host: str, expected: str) -> None:
    assert arch_match(arch, host) == expected


@pytest.mark.parametrize(
    ("configured", "machine", "expected"),
    [
        (None, "x86_64", "linux/amd64"), (" ", "aarch64", "linux/arm64"), ("linux/ARM/v7", "x86_64", "linux/arm/v7"),
        (None, "armv7l", "linux/arm/v7"), (None, "weird", "linux/weird"), (None, "", "linux/unknown"),
    ],
)  # fmt: skip
def test_host_platform(configured: str | None, machine: str, expected: str) -> None:
    assert host_platform(configured, machine) == expected
