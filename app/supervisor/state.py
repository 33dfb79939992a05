"""The state of self-upgrades: one JSON file, read so that nothing in it can stop the supervisor (spec §10.2, §10.6)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import structlog
from pydantic import Field, ValidationError

from app.core.web.schema import ApiModel, Maybe

log = structlog.get_logger(__name__)

SCHEMA_VERSION: Final = 1
SIZE_LIMIT: Final = 20_000_000

State = Literal["idle", "running", "succeeded", "failed", "rolled_back"]
Step = Literal["precheck", "pull", "apply", "wait_healthy", "postcheck", "rollback", "done"]
Level = Literal["INFO", "WARN", "ERROR"]


class UpgradeRequest(ApiModel):
    """What was asked for; only there while it runs."""

    mode: Literal["apply", "dry-run"]
    rollback_on_failure: bool


class UpgradeTarget(ApiModel):
    """The image to go to."""

    image: str = ""
    tag: str = "latest"
    digest: str | None = None


class UpgradePrevious(ApiModel):
    """The image to go back to."""

    tag: str = "unknown"
    digest: str | None = None


class UpgradeProgress(ApiModel):
    """Where it stands."""

    step: Step = "done"
    message: str = "idle"


class UpgradeLog(ApiModel):
    """A line of an operation's log."""

    ts: datetime
    level: Level
    msg: str
    op_id: Maybe[str] = None


class UpgradeOperation(ApiModel):
    """An operation of the past or the present."""

    op_id: str
    state: State | Literal["unknown"]
    started_at: datetime
    updated_at: datetime
    logs: list[UpgradeLog] = Field(default_factory=list)


class UpgradeState(ApiModel):
    """`GET {base}/self-upgrade`; operations newest first."""

    state: State = "idle"
    op_id: str = ""
    request: Maybe[UpgradeRequest] = None
    target: UpgradeTarget = Field(default_factory=UpgradeTarget)
    previous: UpgradePrevious = Field(default_factory=UpgradePrevious)
    started_at: datetime
    updated_at: datetime
    progress: UpgradeProgress = Field(default_factory=UpgradeProgress)
    logs: list[UpgradeLog] = Field(default_factory=list)
    operations: list[UpgradeOperation] = Field(default_factory=list)


def read_state(path: Path, *, now: datetime, image: str) -> UpgradeState:
    """The persisted state; the idle default when there is none or it cannot be read (which is logged).

    A file that says `running` is shown as failed: nothing in this version runs upgrades, so what wrote it is gone.
    """
    state = _from_file(path) or UpgradeState(target=UpgradeTarget(image=image), started_at=now, updated_at=now)
    if state.state != "running":
        return state.model_copy(update={"request": None})
    message = "supervisor restarted; previous operation interrupted"
    progress = UpgradeProgress(step="postcheck", message=message)
    return state.model_copy(update={"state": "failed", "request": None, "progress": progress})


def _from_file(path: Path) -> UpgradeState | None:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ValueError("the file is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("schemaVersion", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise ValueError("the schema version is not known")
        return UpgradeState.model_validate(document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        log.warning("state of self-upgrades cannot be read", path=str(path), cause=str(error)[:300])
        return None
