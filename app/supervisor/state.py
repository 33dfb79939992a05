"""The document of self-upgrades (spec §10.2) and what may happen to it: pure functions, no file, no engine.

A `Book` is what the file holds: the document that everybody may read, and beside it what a way back needs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from app.core.web.schema import ApiModel, Maybe

SCHEMA_VERSION: Final = 1
KEPT_OPERATIONS: Final = 30
KEPT_LINES: Final = 500
LONGEST_MESSAGE: Final = 2_000
INTERRUPTED: Final = "supervisor restarted; previous operation interrupted"

State = Literal["idle", "running", "succeeded", "failed", "rolled_back"]
Step = Literal["precheck", "pull", "apply", "wait_healthy", "postcheck", "rollback", "done"]
Level = Literal["INFO", "WARN", "ERROR"]
Mode = Literal["apply", "dry-run"]
Verdict = Literal["ok", "warn", "bad", "unknown"]


class UpgradeRequest(ApiModel):
    """What was asked for; only there while it runs."""

    mode: Mode
    rollback_on_failure: bool


class UpgradeTarget(ApiModel):
    """The image to go to."""

    image: str = ""
    tag: str = "latest"
    digest: str | None = None

    @property
    def ref(self) -> str:
        """The digest where one was asked for, else the tag."""
        return f"{self.image}@{self.digest}" if self.digest else f"{self.image}:{self.tag}"


class UpgradePrevious(ApiModel):
    """The image to go back to: `tag` is the whole reference the container was made with."""

    tag: str = "unknown"
    digest: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to go back to."""
        return self.tag != "unknown" or self.digest is not None


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


class Check(ApiModel):
    """One finding of the preflight. `bad` forbids to go on; `unknown` is never taken for fine."""

    name: str
    verdict: Verdict
    text: str


class DatabaseCopy(ApiModel):
    """Dockrev's database as it was before the upgrade: a tar of its files as the container had them."""

    file: str
    path: str
    schema_revision: str | None = None
    taken_at: datetime
    size: int = 0


class Recovery(ApiModel):
    """What is known about the container that is replaced; written before anything is changed."""

    mode: Mode
    project: str
    service: str
    files: list[str]
    working_dir: str = ""
    env_files: list[str] = Field(default_factory=list)
    container_id: str
    image_id: str
    port: int
    previous_version: str = ""
    target_version: str = ""
    stopped: bool = False
    replaced: bool = False
    database: Maybe[DatabaseCopy] = None


class Book(UpgradeState):
    """All of the file."""

    schema_version: int = SCHEMA_VERSION
    preflight: list[Check] = Field(default_factory=list)
    recovery: Maybe[Recovery] = None

    def public(self) -> dict[str, Any]:
        """The document of the API, as JSON's values."""
        return self.model_dump(mode="json", by_alias=True, exclude={"schema_version", "preflight", "recovery"})


def idle(now: datetime, image: str) -> Book:
    """Nothing was ever done."""
    return Book(target=UpgradeTarget(image=image), started_at=now, updated_at=now)


def begin(book: Book, op_id: str, request: UpgradeRequest, target: UpgradeTarget, now: datetime) -> Book:
    """A new operation. The caller has made sure that none runs."""
    operation = UpgradeOperation(op_id=op_id, state="running", started_at=now, updated_at=now)
    return book.model_copy(
        update={
            "state": "running",
            "op_id": op_id,
            "request": request,
            "target": target,
            "previous": UpgradePrevious(),
            "started_at": now,
            "updated_at": now,
            "progress": UpgradeProgress(step="precheck", message="looking for Dockrev's container"),
            "logs": [],
            "operations": [operation, *book.operations][:KEPT_OPERATIONS],
            "preflight": [],
            "recovery": None,
        }
    )


def is_running_as(book: Book, request: UpgradeRequest, target: UpgradeTarget) -> bool:
    """Whether exactly this runs already (spec §10.3: a double click is one operation)."""
    return book.state == "running" and book.request == request and book.target == target


def begin_rollback(book: Book, now: datetime) -> Book:
    """The current operation is taken back by hand."""
    return _changed(book, now, state="running", request=None, progress=_at("rollback", "going back by hand"))


def enter(book: Book, step: Step, message: str, now: datetime) -> Book:
    """The next step, or news of this one."""
    return _changed(book, now, progress=_at(step, message))


def note(book: Book, level: Level, message: str, now: datetime) -> Book:
    """One more line in the log of the current operation; the oldest give way."""
    line = UpgradeLog(ts=now, level=level, msg=message[:LONGEST_MESSAGE], op_id=book.op_id or None)
    return _changed(book, now, logs=[*book.logs, line][-KEPT_LINES:])


def end(book: Book, state: State, message: str, now: datetime) -> Book:
    """How it ended. A failed operation stays at the step that failed."""
    step = book.progress.step if state == "failed" else "done"
    return _changed(book, now, state=state, request=None, progress=_at(step, message))


def interrupted(book: Book, now: datetime) -> Book:
    """What a supervisor makes of an operation that runs in the file: whoever ran it is gone (spec §10.6)."""
    if book.state != "running":
        return book.model_copy(update={"request": None}) if book.request else book
    failed = _changed(book, now, state="failed", request=None, progress=_at("postcheck", INTERRUPTED))
    return note(failed, "ERROR", f"{INTERRUPTED}; it was at step {book.progress.step}", now)


def rollback_refused(book: Book, op_id: str) -> tuple[Literal["unknown", "running", "nothing"], str] | None:
    """Why this operation cannot be taken back; None when it can (spec §10.5)."""
    if not op_id or op_id != book.op_id:
        return "unknown", "opId not found"
    if book.state == "running":
        return "running", "an operation is running"
    if not book.previous.known or book.recovery is None:
        return "nothing", "no rollback target available"
    if book.recovery.mode == "dry-run":
        return "nothing", "no rollback target available: a dry run changes nothing"
    return None


def _at(step: Step, message: str) -> UpgradeProgress:
    return UpgradeProgress(step=step, message=message[:LONGEST_MESSAGE])


def _changed(book: Book, now: datetime, **changes: Any) -> Book:
    """The book with changes; the current operation's entry in the list follows."""
    changed = book.model_copy(update={"updated_at": now, **changes})
    if not changed.op_id:
        return changed
    current = UpgradeOperation(
        op_id=changed.op_id,
        state=changed.state,
        started_at=changed.started_at,
        updated_at=now,
        logs=changed.logs,
    )
    others = [operation for operation in changed.operations if operation.op_id != changed.op_id]
    return changed.model_copy(update={"operations": [current, *others][:KEPT_OPERATIONS]})
