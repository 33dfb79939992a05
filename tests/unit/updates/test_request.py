"""Ids, shape and normal form of an update request, in the order of the contract (spec §5.3 steps 1 to 3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidArgument
from app.features.updates.rules.request import Target, normal_digest, read_targets
from app.features.updates.schemas import UpdateInput

SERVICE = {"scope": "service", "serviceId": "svc_a", "targetTag": "1", "targetDigest": "sha256:aa", "pullTags": []}
ENTRY = {"serviceId": "svc_a", "targetTag": "1", "targetDigest": "bb", "pullTags": []}
STACK = {"scope": "stack", "stackId": "stk_a", "targets": [ENTRY]}


def read(base: dict[str, Any], **changed: Any) -> list[Target]:
    body = {"mode": "apply", **base, **changed}
    return read_targets(UpdateInput.model_validate({k: v for k, v in body.items() if v is not ...}))


@pytest.mark.parametrize(
    ("base", "changed", "message", "field"),
    [
        (STACK, {"stackId": ...}, "stackId is required for scope=stack", "stackId"),
        (STACK, {"stackId": " "}, "stackId is required for scope=stack", "stackId"),
        (SERVICE, {"serviceId": None}, "serviceId is required for scope=service", "serviceId"),
        (SERVICE, {"serviceId": None, "targets": []}, "serviceId is required for scope=service", "serviceId"),
        (SERVICE, {"targets": [], "targetTag": ...}, "targets is not supported for scope=service; use "
         "targetTag/targetDigest/pullTags", "targets"),
        (SERVICE, {"targetTag": ...}, "targetTag is required for scope=service", "targetTag"),
        (SERVICE, {"targetDigest": None}, "targetDigest is required for scope=service", "targetDigest"),
        (SERVICE, {"pullTags": ...}, "pullTags is required for scope=service", "pullTags"),
        (STACK, {"targetTag": "1"}, "targetTag/targetDigest/pullTags is only supported for scope=service", "targetTag"),
        (STACK, {"pullTags": []}, "targetTag/targetDigest/pullTags is only supported for scope=service", "pullTags"),
        (STACK, {"targets": ...}, "targets is required for scope=stack/all", "targets"),
        ({"scope": "all"}, {}, "targets is required for scope=stack/all", "targets"),
        (SERVICE, {"targetTag": "  "}, "targetTag must not be empty", "targetTag"),
        (SERVICE, {"pullTags": ["2", " "]}, "pullTags[1] must not be empty", "pullTags[1]"),
        (SERVICE, {"pullTags": ["-x"]}, "pullTags[0] is not a valid tag", "pullTags[0]"),
        (SERVICE, {"pullTags": ["a/../b"]}, "pullTags[0] is not a valid tag", "pullTags[0]"),
        (STACK, {"targets": [{**ENTRY, "serviceId": " "}]}, "targets[0].serviceId must not be empty",
         "targets[0].serviceId"),
        (STACK, {"targets": [ENTRY, ENTRY]}, "targets contains duplicate serviceId", "targets"),
    ],
)  # fmt: skip
def test_the_first_thing_wrong_is_named(base: dict[str, Any], changed: Any, message: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(base, **changed)
    assert caught.value.message == message
    assert caught.value.details["field"] == field


def test_targets_come_in_normal_form() -> None:
    (target,) = read(SERVICE, targetTag=" latest ", targetDigest=" cc ", pullTags=["1.5.0", "latest", " 1.5.0", "1.5"])
    assert target == Target("svc_a", "latest", "sha256:cc", ("1.5.0", "1.5"))
    assert read({"scope": "all", "targets": []}) == []


@given(st.text(min_size=1, max_size=40))
def test_a_digest_always_has_its_algorithm_and_is_otherwise_untouched(text: str) -> None:
    normal = normal_digest(text)
    assert ":" in normal and normal.endswith(text)
    assert normal_digest(normal) == normal
