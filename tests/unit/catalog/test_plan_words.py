"""What the plan of an update warns of."""

from __future__ import annotations

from typing import Any

import pytest

from app.features.catalog.plans import _caution
from app.features.updates import PlannedService


@pytest.mark.parametrize(
    ("tag", "now", "then", "more", "words"),
    [
        ("1.4", "1.4.0", "1.4.1", {}, ""),
        ("1.4", "1.4.0", "1.4.1", {"running": False}, "Does not run, so it is left as it is"),
        ("latest", "latest", "latest", {}, "Its version is not known"),
        ("latest", None, None, {}, "Its version is not known"),
        ("3.1", "3.1.0", "4.0.0", {}, "The tag 3.1 moved to another series"),
        ("latest", "2.0.0", "1.9.0", {}, "Older than what runs"),
    ],
)
def test_only_an_ordinary_step_ahead_needs_no_caution(
    tag: str, now: str | None, then: str | None, more: dict[str, Any], words: str
) -> None:
    planned = PlannedService(
        service_id="svc_1", service_name="web", stack_id="stk_1", stack_name="demo", target_tag=tag,
        target_digest="sha256:" + "2" * 64, pull_tags=(), from_version=now, to_version=then, from_digest=None,
        arch_match="match", arch=(), auto_rollback=True, **more,
    )  # fmt: skip
    assert _caution(planned) == words
