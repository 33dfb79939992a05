"""Sessions of browsers that signed in with a passkey: opened, recognised, changed every so often, ended."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, and_, delete, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import NotFound, Unavailable
from app.core.ids import new_id
from app.core.web.listening import access_changed
from app.features.passkeys.models import PasskeyRow, PasskeySessionRow
from app.features.passkeys.rules import token_hash

log = structlog.get_logger(__name__)

IDLE: Final = timedelta(days=14)
ABSOLUTE: Final = timedelta(days=90)
ROTATE: Final = timedelta(days=1)
OVERLAP: Final = timedelta(minutes=5)
SEEN: Final = timedelta(minutes=1)
LIMIT: Final = 50
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in; never its token."""

    id: str
    passkey_id: str
    passkey: str
    created_at: datetime
    rotated_at: datetime
    last_seen_at: datetime
    address: str
    device: str

    @property
    def ends_at(self) -> datetime:
        """When it is over, however much it is used."""
        return self.created_at + ABSOLUTE


class Sessions:
    """All of them are in the database: a passkey that is removed on the host ends its sessions at once."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.ended: Callable[[], Awaitable[None]] = _nothing
        """What follows when somebody ended a session, before it was over by itself."""

    async def open(self, passkey_id: str, device: str, address: str, *, instead_of: str = "") -> tuple[str, str]:
        """Id and token of a new session; what the browser had before (`instead_of`, a token) ends."""
        now, token, session_id = self._clock.now(), secrets.token_urlsafe(32), new_id("ses")
        async with self._db.transaction() as session:
            await session.exec(delete(PasskeySessionRow).where(_over(now)))
            replaced = 0
            if _TOKEN.fullmatch(instead_of):
                replaced = (await session.exec(delete(PasskeySessionRow).where(_is(instead_of, now)))).rowcount
            newest = select(PasskeySessionRow.id).order_by(col(PasskeySessionRow.last_seen_at).desc())
            for old in (await session.exec(newest.offset(LIMIT - 1))).all():
                await session.exec(delete(PasskeySessionRow).where(col(PasskeySessionRow.id) == old))
            session.add(
                PasskeySessionRow(
                    id=session_id, passkey_id=passkey_id, token_hash=token_hash(token), created_at=now,
                    rotated_at=now, last_seen_at=now, address=address[:100], device=device[:100],
                )
            )  # fmt: skip
        access_changed()
        if replaced:
            try:
                await self.ended()
            except Unavailable as error:  # who signs in cannot help it
                log.error("a session was replaced", cause=error.message)
        return session_id, token

    async def find(self, token: str) -> Session | None:
        """Whose token this is; None for one that never was, was revoked, or is too old."""
        if not _TOKEN.fullmatch(token):
            return None
        now = self._clock.now()
        async with self._db.session() as session:
            found = await self._rows(session, and_(_is(token, now), ~_over(now)))
        return found[0] if found else None

    async def stands(self, session_id: str) -> bool:
        """Whether it still counts, whatever its token is by now."""
        here = col(PasskeySessionRow.id) == session_id
        async with self._db.session() as session:
            return bool(await self._rows(session, and_(here, ~_over(self._clock.now()))))

    async def seen(self, known: Session, token: str, address: str) -> str | None:
        """Note that it was used, at most once a minute; a new token when it is time for one."""
        now = self._clock.now()
        if now - known.rotated_at >= ROTATE:
            fresh = secrets.token_urlsafe(32)
            change = (
                update(PasskeySessionRow)
                .where(col(PasskeySessionRow.token_hash) == token_hash(token))  # not twice by two requests at once
                .values(
                    token_hash=token_hash(fresh), previous_hash=token_hash(token), previous_until=now + OVERLAP,
                    rotated_at=now, last_seen_at=now, address=address[:100],
                )
            )  # fmt: skip
            async with self._db.transaction() as session:
                changed = (await session.exec(change)).rowcount
            return fresh if changed else None
        if now - known.last_seen_at >= SEEN:
            seen = update(PasskeySessionRow).where(col(PasskeySessionRow.id) == known.id)
            async with self._db.transaction() as session:
                await session.exec(seen.values(last_seen_at=now, address=address[:100]))
        return None

    async def all(self) -> list[Session]:
        """Those that count, the last used first."""
        async with self._db.session() as session:
            return await self._rows(session, ~_over(self._clock.now()))

    async def end(self, session_id: str) -> None:
        """Sign one browser out. Raises NotFound."""
        async with self._db.transaction() as session:
            gone = (
                await session.exec(delete(PasskeySessionRow).where(col(PasskeySessionRow.id) == session_id))
            ).rowcount
        if not gone:
            raise NotFound("session not found", hint="It ended already.")
        access_changed()
        await self.ended()

    async def end_others(self, kept: str) -> int:
        """Sign every browser out but one; how many there were."""
        async with self._db.transaction() as session:
            others = delete(PasskeySessionRow).where(col(PasskeySessionRow.id) != kept)
            count = (await session.exec(others)).rowcount
        access_changed()
        await self.ended()
        return count

    async def end_token(self, token: str) -> None:
        """Sign out whoever has this token."""
        async with self._db.transaction() as session:
            theirs = delete(PasskeySessionRow).where(_is(token, self._clock.now()))
            gone = (await session.exec(theirs)).rowcount
        access_changed()
        if gone:
            await self.ended()

    async def purge(self) -> None:
        """Forget those that are over."""
        async with self._db.transaction() as session:
            await session.exec(delete(PasskeySessionRow).where(_over(self._clock.now())))

    async def _rows(self, session: AsyncSession, wanted: ColumnElement[bool]) -> list[Session]:
        query = (
            select(PasskeySessionRow, PasskeyRow.name)
            .join(PasskeyRow, col(PasskeyRow.id) == col(PasskeySessionRow.passkey_id))
            .where(wanted)
            .order_by(col(PasskeySessionRow.last_seen_at).desc())
        )
        return [
            Session(
                row.id, row.passkey_id, name, row.created_at, row.rotated_at, row.last_seen_at, row.address, row.device
            )
            for row, name in (await session.exec(query)).all()
        ]


async def _nothing() -> None:
    return


def _is(token: str, now: datetime) -> ColumnElement[bool]:
    hashed = token_hash(token)
    before = and_(col(PasskeySessionRow.previous_hash) == hashed, col(PasskeySessionRow.previous_until) > now)
    return or_(col(PasskeySessionRow.token_hash) == hashed, before)


def _over(now: datetime) -> ColumnElement[bool]:
    idle, old = col(PasskeySessionRow.last_seen_at) <= now - IDLE, col(PasskeySessionRow.created_at) <= now - ABSOLUTE
    return or_(idle, old)
