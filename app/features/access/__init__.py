"""Access: API tokens for scripts, how often somebody may ask, and the audit trail of who did what."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.core.web.around import Around
from app.core.web.auth import AuthPolicy
from app.features.access import acts, controllers, page_controllers, trail_controllers
from app.features.access.gate import Gate, answer_headers
from app.features.access.ledger import AuditEvent, Ledger
from app.features.access.models import Outcome, Scope
from app.features.access.recorder import Recorder, remark
from app.features.access.tokens import SAVE_SECONDS, Tokens
from app.features.access.trail import Trail
from app.features.preferences import Sections
from app.features.stacks import Stacks
from app.settings import Settings

__all__ = ["FEATURE", "AuditEvent", "Ledger", "Outcome", "Scope", "needed_scope", "remark"]

PURGE_SECONDS: Final = 3600.0


def needed_scope(method: str, template: str) -> Scope | None:
    """What a token needs at an address, as the framework writes it; None where tokens do not count."""
    return acts.needed(method, template) if acts.takes_tokens(template) else None


def _setup(container: Container) -> None:
    settings, db, clock = container.get(Settings), container.get(Database), container.get(Clock)
    policy, around = container.get(AuthPolicy), container.get(Around)
    tokens = container.put(Tokens, Tokens(db, clock))
    gate = Gate(tokens, policy, clock, settings.api_rate_limit, settings.api_failed_token_limit)
    keep = timedelta(days=settings.audit_retention_days)
    ledger = container.put(Ledger, Ledger(db, clock, container.get(Stacks), keep, settings.audit_max_rows))
    container.put(Trail, Trail(db, ledger))
    container.get(Sections).add("tokens", "audit")
    recorder = Recorder(ledger, policy, clock)
    around.means.append(gate)
    around.before_request = recorder.before_request
    around.after_exception.append(recorder.after_exception)
    around.before_send += (recorder.before_send, answer_headers)
    container.get(JobEngine).on_start.append(recorder.job_started)


async def _start(container: Container) -> None:
    tokens, ledger, background = container.get(Tokens), container.get(Ledger), container.get(Background)
    await tokens.load()
    background.keep("audit trail", ledger.run)
    background.keep("audit retention", lambda: every(PURGE_SECONDS, ledger.purge))
    background.keep("token uses", lambda: every(SAVE_SECONDS, tokens.save, at_once=False))
    background.keep("token clean-up", lambda: every(PURGE_SECONDS, tokens.purge))


async def _stop(container: Container) -> None:
    await container.get(Ledger).stop()
    await container.get(Tokens).save()


FEATURE = Feature(
    name="access",
    setup=_setup,
    handlers=(*controllers.HANDLERS, *trail_controllers.HANDLERS, *page_controllers.HANDLERS),
    provides={"tokens": Tokens, "trail": Trail, "clock": Clock},
    start=_start,
    stop=_stop,
)
