"""Sees every request end, and every job start, and notes in the audit trail what changes something or was refused."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message
from litestar.types import Scope as RequestScope

from app.core.changes import Change, collect
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.jobs import JobRecord
from app.core.web.auth import AuthPolicy, Identity
from app.features.access import acts
from app.features.access.addresses import LOCAL, client_address
from app.features.access.ledger import AuditEvent, Ledger
from app.features.access.models import Outcome
from app.features.access.tokens import Token

AnyRequest = Request[Any, Any, Any]
MEANS: Final = ("proxy", "passkey", "anonymous", "token", "webhook", "github", "mqtt", "schedule", "system", "none")
_MATCHED: Final = {
    "user": "proxy", "group": "proxy", "anonymous_dev": "anonymous", "token": "token", "passkey": "passkey",
}  # fmt: skip
_BY_ITSELF: Final = {"schedule": "schedule", "webhook": "webhook", "github": "github", "mqtt": "mqtt"}
_ONLY_LOOKS: Final = frozenset({"runtime_scan", "discovery"})  # every ten minutes, for ever: no act of anybody


@dataclass(slots=True)
class Note:
    """What is learnt of an act while its request is worked on; closed once it is answered."""

    act: acts.Act
    jobs: list[JobRecord] = field(default_factory=list)
    object_kind: str | None = None
    object_id: str | None = None
    label: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    open: bool = True


_current: ContextVar[Note | None] = ContextVar("audit_note", default=None)


def remark(
    request: AnyRequest, *, kind: str = "", object_id: str = "", label: str = "", **details: str | int | bool
) -> None:
    """Say more of what a request does than its address tells. Never a secret."""
    note: Note | None = request.scope["state"].get("audit_note")
    if note is None:
        return
    note.object_kind, note.object_id = kind or note.object_kind, object_id or note.object_id
    note.label = label or note.label
    note.details.update(details)


class Recorder:
    """The hooks (`core.web.around`, `JobEngine.on_start`)."""

    def __init__(self, ledger: Ledger, policy: AuthPolicy, clock: Clock) -> None:
        self._ledger = ledger
        self._policy = policy
        self._clock = clock

    async def before_request(self, request: AnyRequest) -> None:
        """Open a note for what may change something."""
        if request.method not in acts.SAFE:
            template = str(request.scope.get("path_template", ""))
            note = Note(acts.act(request.method, template, request.path_params), changes=collect())
            request.scope["state"]["audit_note"] = note
            _current.set(note)

    async def after_exception(self, error: Exception, scope: RequestScope) -> None:
        """Keep why it was refused."""
        if isinstance(error, DockrevError):
            scope["state"]["audit_refusal"] = error

    async def before_send(self, message: Message, scope: RequestScope) -> None:
        """An answer begins: note the act."""
        if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
            return
        status, safe = message["status"], scope["method"] in acts.SAFE
        if safe and status not in (401, 403, 429):
            return
        template = str(scope.get("path_template", ""))
        if not template:  # an address or a method that does not exist
            return
        event = self._event(scope, template, status)
        if event.action != "unknown" or event.principal:
            self._ledger.note(event)

    def job_started(self, job: JobRecord) -> None:
        """Of a request that is being worked on, or by itself."""
        note = _current.get()
        if note is not None and note.open:
            note.jobs.append(job)
            return
        means = _BY_ITSELF.get(job.created_by, "system")
        if means in ("system", "schedule") and job.type in _ONLY_LOOKS:
            return
        kind, object_id = _target(job)
        self._ledger.note(
            AuditEvent(
                at=self._clock.now(),
                action=acts.JOBS.get(job.type, "github.sync"),
                outcome=Outcome.OK,
                principal=job.created_by,
                means=means,
                address=LOCAL,
                object_kind=kind,
                object_id=object_id,
                job_id=job.id,
                details=_facts(job),
            )
        )

    def _event(self, scope: HTTPScope, template: str, status: int) -> AuditEvent:
        state = scope["state"]
        note: Note | None = state.get("audit_note")
        identity: Identity | None = state.get("identity")
        token: Token | None = state.get("token")
        refusal: DockrevError | None = state.get("audit_refusal") if status >= 400 else None
        if note is not None:
            note.open = False
        act = note.act if note else acts.act(scope["method"], template, scope.get("path_params", {}))
        by_token = token is not None or state.get("bad_token", False)
        details: dict[str, Any] = {**note.details} if note else {}
        if note and note.changes and status < 400:
            details["changes"] = note.changes
        if _is_refused_entry(scope["method"], status, act):
            action = "rate.limited" if status == 429 else "token.refused" if by_token else "login.refused"
            act = acts.Act(action)
            details |= {"method": scope["method"], "path": template}
        if refusal is not None and isinstance(reason := refusal.details.get("reason"), str):
            details["reason"] = reason
        kind, object_id = (note and note.object_kind) or act.object_kind, (note and note.object_id) or act.object_id
        job = note.jobs[0] if note and note.jobs else None
        if job is not None and note is not None:
            details |= _facts(job) | ({"jobs": len(note.jobs)} if len(note.jobs) > 1 else {})
            if kind is None:
                kind, object_id = _target(job)
        principal = identity.principal if identity else token.principal if token else ""
        means = _MATCHED[identity.matched_by] if identity else "token" if by_token else act.means
        outcome = Outcome.OK if status < 400 else Outcome.REFUSED if status < 500 else Outcome.FAILED
        return AuditEvent(
            at=self._clock.now(),
            action=act.action,
            outcome=outcome,
            principal=principal or (act.means if status < 400 else ""),
            means=means or "none",
            address=_where(scope, self._policy),
            object_kind=kind or None,
            object_id=object_id or None,
            object_label=(note and note.label) or None,
            code=None if outcome is Outcome.OK else refusal.code if refusal else _code(status),
            job_id=job.id if job else None,
            details=details,
        )


def _is_refused_entry(method: str, status: int, act: acts.Act) -> bool:
    """Whether somebody was stopped at the door; a webhook's own secret has the name of the webhook."""
    return (status in (401, 429) and not act.means) or (status == 403 and method in acts.SAFE)


def _where(scope: HTTPScope, policy: AuthPolicy) -> str:
    connection: Request[Any, Any, Any] = Request(scope)
    return client_address(connection, policy)


def _code(status: int) -> str:
    return {400: "invalid_argument", 404: "not_found", 405: "method_not_allowed"}.get(status, f"http_{status}")


def _target(job: JobRecord) -> tuple[str, str | None]:
    if job.service_id:  # of a job on GitHub this is the repository
        return "repository" if job.type.startswith("github_packages_") else "service", job.service_id
    return ("stack", job.stack_id) if job.stack_id else ("all", None)


def _facts(job: JobRecord) -> dict[str, Any]:
    mode = job.summary.get("mode") or job.payload.get("mode")
    return {"job": job.type} | ({"mode": mode} if isinstance(mode, str) else {})
