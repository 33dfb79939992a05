"""What the page says: words and states computed from the book, nothing else; the parts of it that move.

Texts are those of the reader (`speaking.py`), but for the log and what is run in a shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from app.core.web.languages import N_, _
from app.supervisor import state as machine
from app.supervisor.rollback import previous_ref
from app.supervisor.state import Book, Check, UpgradeLog, UpgradeOperation

if TYPE_CHECKING:
    from app.supervisor.answers import Templates

STEPS: Final = {
    "precheck": N_("Preflight"),
    "pull": N_("Pull"),
    "apply": N_("Replace"),
    "wait_healthy": N_("Health"),
    "postcheck": N_("Check"),
    "done": N_("Settled"),
}
ROLLBACK: Final = N_("Rollback")
ORDER: Final = tuple(STEPS)
Tone = tuple[str, str, N_]
TONES: Final[Mapping[str, Tone]] = {
    "idle": ("off", "skip", N_("Idle")),
    "running": ("run", "run", N_("Running")),
    "succeeded": ("ok", "ok", N_("Succeeded")),
    "failed": ("bad", "bad", N_("Failed")),
    "rolled_back": ("back", "back", N_("Rolled back")),
    "unknown": ("unk", "unk", N_("Unknown")),
}
VERDICTS: Final[Mapping[str, Tone]] = {
    "ok": ("ok", "ok", N_("Passed")),
    "warn": ("warn", "warn", N_("Look at this")),
    "bad": ("bad", "bad", N_("Forbids it")),
    "unknown": ("unk", "unk", N_("Unknown")),
}
SOURCES: Final = ("compose: ", "dockrev: ")
REGIONS: Final = ("headline", "actions", "upgrade", "preflight", "tabs", "log", "dialog", "hand")


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of the strip: `state` is done, run, bad, back, skip or todo."""

    key: str
    label: N_
    state: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    at: datetime
    source: str
    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One operation in the list."""

    op_id: str
    state: str
    started_at: datetime
    selected: bool


@dataclass(frozen=True, slots=True)
class View:
    """All a template needs. `action` is what runs: apply, dry-run, rollback, or ''."""

    book: Book
    title: str
    action: str
    step: N_
    steps: tuple[StepView, ...]
    can_roll_back: bool
    back_to: str
    back_name: str
    tabs: tuple[Tab, ...]
    lines: tuple[Line, ...]
    selected: str
    by_hand: str = ""
    verdicts: Mapping[str, Tone] = field(default_factory=lambda: VERDICTS)
    tones: Mapping[str, Tone] = field(default_factory=lambda: TONES)

    @property
    def passed(self) -> int:
        """How many checks of the preflight are fine."""
        return sum(check.verdict == "ok" for check in self.book.preflight)

    @property
    def worst(self) -> str:
        """The verdict over all checks."""
        found = {check.verdict for check in self.book.preflight}
        return next((verdict for verdict in ("bad", "warn", "unknown") if verdict in found), "ok")


def view_of(book: Book, selected: str = "") -> View:
    """The page of a book; `selected` is the operation whose log is shown, the current one without."""
    known = {operation.op_id: operation for operation in book.operations}
    shown = known.get(selected) or known.get(book.op_id)
    refused = machine.rollback_refused(book, book.op_id)
    return View(
        book=book,
        title=_title(book),
        action=_action(book),
        step=STEPS.get(book.progress.step, ROLLBACK),
        steps=_steps(book),
        can_roll_back=refused is None and book.state != "rolled_back",
        back_to=previous_ref(book.previous) if book.previous.known else "",
        back_name=_back_name(book),
        tabs=tuple(_tab(operation, shown) for operation in book.operations),
        lines=tuple(map(_line, shown.logs)) if shown else (),
        selected=shown.op_id if shown else "",
        by_hand=_by_hand(book),
    )


def regions(templates: Templates, book: Book) -> dict[str, str]:
    """The parts of the page that move, by the id they have; and what the buttons must know."""
    view = view_of(book)
    parts = templates.environment.get_template("parts.html").module
    found = {name: str(getattr(parts, name)(view)) for name in REGIONS}
    return {**found, "action": view.action, "state": book.state, "op": book.op_id}


def _action(book: Book) -> str:
    if book.state != "running":
        return ""
    return book.request.mode if book.request and book.progress.step != "rollback" else "rollback"


def _title(book: Book) -> str:
    step, names = book.progress.step, {"target": _target_name(book), "back": _back_name(book)}
    dry = book.recovery is not None and book.recovery.mode == "dry-run"
    if book.state == "idle":
        return _("No upgrade of Dockrev has been made here")
    if book.state == "running":
        return _while_running(step, **names)
    if book.state == "succeeded" and dry:
        return _("The dry run for %(target)s is done. Nothing was changed.", **names)
    if book.state == "succeeded":
        return _("Dockrev was upgraded to %(target)s", **names)
    if book.state == "rolled_back":
        return _("Dockrev is back on %(back)s", **names)
    if book.progress.message == machine.INTERRUPTED:
        return _("The upgrade to %(target)s was interrupted", **names)
    if step == "rollback":
        return _("Dockrev could not go back to %(back)s", **names)
    if dry:
        return _("The dry run for %(target)s failed", **names)
    return _("The upgrade to %(target)s failed", **names)


def _while_running(step: str, **names: str) -> str:
    match step:
        case "precheck":
            return _("Looking at what an upgrade to %(target)s needs", **names)
        case "pull":
            return _("Pulling %(target)s. Dockrev keeps running.", **names)
        case "apply":
            return _("Dockrev is being replaced by %(target)s. Your stacks keep running.", **names)
        case "wait_healthy":
            return _("Dockrev is restarting on %(target)s. Your stacks keep running.", **names)
        case "rollback":
            return _("Dockrev is going back to %(back)s. Your stacks keep running.", **names)
        case _other:
            return _("Dockrev answers on %(target)s", **names)


def _target_name(book: Book) -> str:
    """The version its image tells, else the tag."""
    return (book.recovery.target_version if book.recovery else "") or book.target.tag


def _back_name(book: Book) -> str:
    """The version that ran before as its image tells it, else its tag."""
    told = book.recovery.previous_version if book.recovery else ""
    tag = "" if "@" in book.previous.tag else book.previous.tag.rpartition(":")[2]
    return told or tag or _("the previous image")


def _steps(book: Book) -> tuple[StepView, ...]:
    if book.state == "idle":
        return ()
    dry = book.recovery is not None and book.recovery.mode == "dry-run"
    steps = [
        (key, label) for key, label in STEPS.items() if not (dry and key in ("apply", "wait_healthy", "postcheck"))
    ]
    at = _broke_at(book) if book.state in ("failed", "rolled_back") or book.progress.step == "rollback" else None
    found = [StepView(key, label, _step_state(book, key, at)) for key, label in steps]
    if at is None or book.progress.step not in ("rollback", "done"):
        return tuple(found)
    kept = [step for step in found if step.key in ORDER[: ORDER.index(at) + 1]]
    last = {"running": "run", "rolled_back": "back"}.get(book.state, "bad")
    return (*kept, StepView("rollback", ROLLBACK, last))


def _broke_at(book: Book) -> str:
    """The step that failed: the first error line of the log begins with it."""
    for line in book.logs:
        step = line.msg.partition(":")[0]
        if line.level == "ERROR" and step in ORDER:
            return step
    return book.progress.step if book.progress.step in ORDER[:-1] else "postcheck"


def _step_state(book: Book, key: str, broke_at: str | None) -> str:
    here = broke_at or book.progress.step
    place, current = ORDER.index(key), ORDER.index(here)
    if place < current:
        return "done"
    if place > current:
        return "skip" if broke_at else "todo"
    if broke_at:
        return "bad" if not (book.state == "rolled_back" and here == "postcheck") else "done"
    return "run" if book.state == "running" else "done"


def _tab(operation: UpgradeOperation, shown: UpgradeOperation | None) -> Tab:
    selected = shown is not None and shown.op_id == operation.op_id
    return Tab(operation.op_id, operation.state, operation.started_at, selected)


def _line(log: UpgradeLog) -> Line:
    source, text = "super", log.msg
    for prefix in SOURCES:
        if text.startswith(prefix):
            source, text = prefix[:-2], text[len(prefix) :]
    tone = {"ERROR": "e", "WARN": "w"}.get(log.level, "")
    return Line(log.ts, source, text, tone)


def _by_hand(book: Book) -> str:
    """The way back in a shell, when this page is gone too."""
    recovery = book.recovery
    if recovery is None or recovery.mode == "dry-run" or not book.previous.known:
        return ""
    override = f'services:\\n  {recovery.service}:\\n    image: "{previous_ref(book.previous)}"\\n'
    files = " ".join(f"-f '{file}'" for file in (*recovery.files, "/tmp/dockrev-back.yml"))  # noqa: S108  the owner's shell
    return (
        f"printf '{override}' > /tmp/dockrev-back.yml\n"
        f"docker compose -p {recovery.project} {files} up -d --no-deps {recovery.service}"
    )


__all__ = ["REGIONS", "Check", "View", "regions", "view_of"]
