"""How long a service was away in its earlier updates."""

from __future__ import annotations

from typing import Any

from app.features.updates.rules.timings import Away, away


def line(key: str, began: str, ended: str, *, end: str = "settled", **changed: str) -> dict[str, Any]:
    steps = [
        {"step": "recreate", "status": "done", "startedAt": f"2026-05-01T10:00:{began}Z"},
        {"step": "health", "status": "done", "finishedAt": f"2026-05-01T10:00:{ended}Z", **changed},
        {"step": end, "status": "done"},
    ]
    return {"key": key, "steps": steps}


def job(*lines: dict[str, Any]) -> dict[str, Any]:
    return {"timeline": list(lines)}


def test_the_median_of_the_newest_five_that_settled() -> None:
    seconds = ("09", "03", "05", "04", "06", "59")
    jobs = [job(line("svc_b", "00", "40"), line("svc_a", "00", second)) for second in seconds]
    assert away(jobs, "svc_a") == Away(5.0, 5)
    assert away(jobs[:1], "svc_a") == Away(9.0, 1)
    assert away(jobs, "svc_b") == Away(40.0, 5)


def test_what_was_not_measured_is_not_known() -> None:
    assert away([], "svc_a") is None
    assert away([{}, {"timeline": []}, job({"key": "svc_a", "steps": []})], "svc_a") is None
    assert away([job(line("svc_a", "00", "10", end="rolled_back"))], "svc_a") is None
    assert away([job(line("svc_a", "00", "10", status="bad"))], "svc_a") is None
    assert away([job(line("svc_a", "10", "05"))], "svc_a") is None, "a clock that was set back measures nothing"
    assert away([job(line("svc_a", "xx", "05"))], "svc_a") is None
