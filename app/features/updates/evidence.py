"""Keeps what a failed candidate had to say, before it is taken away (spec §7.8)."""

from __future__ import annotations

from typing import Any, Final

from app.adapters.engine import ContainerDetail, Engine, EngineError
from app.core.clock import rfc3339
from app.core.jobs.context import clean_line
from app.features.updates.records import Change, Failure

LOG_LINES: Final = 100
LOG_CHARS: Final = 16_000
LINE_CHARS: Final = 1_000
PROBES: Final = 5
PROBE_CHARS: Final = 1_000


async def gather(engine: Engine, change: Change, failure: Failure, found: list[ContainerDetail]) -> dict[str, Any]:
    """The evidence about the worst of the new containers; whatever the engine cannot tell any more is left out."""
    document: dict[str, Any] = {
        "trigger": failure.error,
        "step": failure.step,
        "failedDigest": change.target_ref.partition("@")[2],
        "failedImage": change.new_image_id,
        "restoredImage": change.old_image_id,
        "lastOutput": [],
    }
    new = [container for container in found if container.image_id == change.new_image_id]
    worst = max(new, key=_badness, default=None)
    if worst is None:
        return document
    document |= {"exitCode": worst.exit_code, "oomKilled": worst.oom_killed, "restarts": worst.restart_count}
    if worst.running:
        document["exitCode"] = None
    if worst.health is not None:
        document |= _health(worst)
    try:
        document["lastOutput"] = last_lines(await engine.logs(worst.id, tail=LOG_LINES))
    except EngineError as error:
        document["lastOutput"] = [f"(the log could not be read: {error.message})"]
    return document


def last_lines(text: str) -> list[str]:
    """The last 100 lines, cleaned, at most 16 kB."""
    kept: list[str] = []
    room = LOG_CHARS
    for raw in reversed(text.splitlines()[-LOG_LINES:]):
        line = clean_line(raw)[:LINE_CHARS]
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _badness(container: ContainerDetail) -> tuple[bool, bool, int]:
    unhealthy = container.health is not None and container.health.status == "unhealthy"
    return (not container.running, unhealthy, container.restart_count)


def _health(container: ContainerDetail) -> dict[str, Any]:
    assert container.health is not None
    probes = [
        {
            "exitCode": probe.exit_code,
            "output": clean_line(probe.output.replace("\n", " "))[:PROBE_CHARS],
            "at": rfc3339(probe.end) if probe.end else None,
        }
        for probe in container.health.log[-PROBES:]
    ]
    said = next((probe["output"] for probe in reversed(probes) if probe["output"]), None)
    return {"healthStatus": container.health.status, "healthProbes": probes, "healthOutput": said}
