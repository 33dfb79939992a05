"""The secrets with which others call Dockrev: made anew while the old one counts for a while, so that no call is lost.

Two count at most. Of the trigger's only SHA-256s are kept: what comes is compared, nothing has to be known. Signatures
of GitHub are made with the secret itself, which lies with the settings; the old one lies here until its time is over.

`DOCKREV_WEBHOOK_SECRET` is the trigger's secret until another one is made here; a different one that is set there later
is the owner's newest word, and counts instead of those made here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument, NotFound, Unauthorized
from app.features.hooks.models import SINGLETON, GithubSettingsRow, WebhookSecretRow
from app.features.hooks.rules.delivery import Signed
from app.features.hooks.rules.secrets import new_secret

OVERLAP_HOURS: Final = 24
MAX_OVERLAP_HOURS: Final = 7 * 24
NOTED: Final = timedelta(minutes=1)  # uses within this time of one that was noted are not noted again
_NOBODY: Final = "0" * 64


class Which(StrEnum):
    """Whose secret it is."""

    TRIGGER = "trigger"
    GITHUB = "github-packages"


@dataclass(frozen=True, slots=True)
class SecretState:
    """How a secret stands; never the secret. `previous_counts` says that the old one is still taken."""

    which: Which
    configured: bool
    from_environment: bool = False
    rotated_at: datetime | None = None
    used_at: datetime | None = None
    previous_counts: bool = False
    previous_until: datetime | None = None
    previous_used_at: datetime | None = None


class WebhookSecrets:
    """Makes, compares and ends them. `environment` is `DOCKREV_WEBHOOK_SECRET`."""

    def __init__(self, db: Database, clock: Clock, environment: str | None) -> None:
        self._db = db
        self._clock = clock
        self._environment = _hash(environment) if environment else None

    async def states(self) -> list[SecretState]:
        """All of them."""
        async with self._db.session() as session:
            return [await self._state(session, which) for which in Which]

    async def state(self, which: Which) -> SecretState:
        """One of them."""
        async with self._db.session() as session:
            return await self._state(session, which)

    async def require_trigger(self, given: str | None) -> Signed:
        """Which secret that is. Raises Unauthorized; takes as long whatever is wrong with it."""
        async with self._db.session() as session:
            row = await session.get(WebhookSecretRow, Which.TRIGGER)
        current, previous = self._trigger(row)
        if current is None:
            raise Unauthorized("unauthorized", details={"reason": "webhook_secret_not_configured"})
        presented = _hash(given or "")
        is_current = hmac.compare_digest(presented, current)
        is_previous = hmac.compare_digest(presented, previous or _NOBODY)
        if not is_current and not is_previous:
            raise Unauthorized("unauthorized")
        return Signed.CURRENT if is_current else Signed.PREVIOUS

    async def previous_of_github(self) -> str | None:
        """The secret that webhooks on GitHub may still sign with, beside that of the settings."""
        async with self._db.session() as session:
            row = await session.get(WebhookSecretRow, Which.GITHUB)
        return row.previous if row is not None and self._overlaps(row) else None

    async def used(self, which: Which, signed: Signed) -> None:
        """Note that somebody used it, at most once a minute; nothing to note where none was changed."""
        now = self._clock.now()
        row, column = WebhookSecretRow, "used_at" if signed is Signed.CURRENT else "previous_used_at"
        async with self._db.session() as session:
            known = await session.get(row, which)
        last = getattr(known, column) if known is not None else None
        if known is None or (last is not None and now - last < NOTED):
            return
        async with self._db.transaction() as session:
            same = (col(row.which) == which) & (col(row.rotated_at) == known.rotated_at)
            await session.exec(update(row).where(same).values({column: now}))

    async def rotate(self, which: Which, overlap_hours: int) -> str:
        """A new secret, told this once; the old one counts for `overlap_hours` (0 to 168). One that was old before
        ends. Raises InvalidArgument."""
        if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
            raise InvalidArgument(
                f"overlapHours must be between 0 and {MAX_OVERLAP_HOURS}",
                hint="0 ends the old secret at once.",
                details={"field": "overlapHours"},
            )
        now = self._clock.now()
        async with self._db.transaction() as session:
            row = await session.get(WebhookSecretRow, which)
            if which is Which.TRIGGER:
                old, made = self._trigger(row)[0], secrets.token_urlsafe(32)
            else:
                old, made = await _replace_github(session, now)
            row = row or WebhookSecretRow(which=which, rotated_at=now)
            if which is Which.TRIGGER:
                row.current_hash, row.environment_hash = _hash(made), self._environment
            kept = old is not None and overlap_hours > 0
            row.previous, row.previous_until = (old, now + timedelta(hours=overlap_hours)) if kept else (None, None)
            row.rotated_at, row.used_at, row.previous_used_at = now, None, None
            session.add(row)
        return made

    async def end_previous(self, which: Which) -> None:
        """The old one counts no more. Raises NotFound."""
        async with self._db.transaction() as session:
            row = await session.get(WebhookSecretRow, which)
            if row is None or not self._overlaps(row):
                raise NotFound("there is no old secret that still counts", hint="It ended already.")
            row.previous, row.previous_until = None, self._clock.now()

    async def purge(self) -> None:
        """Forget old ones whose time is over."""
        row = WebhookSecretRow
        over = col(row.previous).is_not(None) & (col(row.previous_until) <= self._clock.now())
        async with self._db.transaction() as session:
            await session.exec(update(row).where(over).values(previous=None))

    def _overlaps(self, row: WebhookSecretRow) -> bool:
        return bool(row.previous and row.previous_until and row.previous_until > self._clock.now())

    def _trigger(self, row: WebhookSecretRow | None) -> tuple[str | None, str | None]:
        """The hashes that count: the current one and the old one."""
        if row is None or self._set_since(row):
            return self._environment, None
        return row.current_hash, row.previous if self._overlaps(row) else None

    def _set_since(self, row: WebhookSecretRow) -> bool:
        """Whether the environment was given another secret after the last one was made here."""
        return self._environment is not None and self._environment != row.environment_hash

    async def _state(self, session: AsyncSession, which: Which) -> SecretState:
        row = await session.get(WebhookSecretRow, which)
        if which is Which.TRIGGER:
            current = self._trigger(row)[0]
            by_environment = current is not None and current == self._environment
            row = None if by_environment else row
        else:
            settings = await session.get(GithubSettingsRow, SINGLETON)
            current, by_environment = settings.webhook_secret if settings else None, False
        if row is None:
            return SecretState(which, current is not None, by_environment)
        return SecretState(
            which, current is not None, by_environment, row.rotated_at, row.used_at,
            self._overlaps(row), row.previous_until, row.previous_used_at,
        )  # fmt: skip


async def _replace_github(session: AsyncSession, now: datetime) -> tuple[str | None, str]:
    """The secret that was in the settings, and the new one that is there now."""
    settings = await session.get(GithubSettingsRow, SINGLETON) or GithubSettingsRow()
    old, made = settings.webhook_secret, new_secret()
    settings.webhook_secret, settings.updated_at = made, now
    session.add(settings)
    return old, made


def parse_which(text: str) -> Which:
    """From an address. Raises NotFound."""
    if text not in list(Which):
        raise NotFound("no such webhook secret", hint="There are trigger and github-packages.")
    return Which(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
