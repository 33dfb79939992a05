"""Codes that let somebody add a passkey who cannot sign in: the very first, and the way back after all are lost.

Whoever reads Dockrev's log, or can run a command on its host, owns Dockrev anyway; nobody else gets one.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import delete, func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.background import every
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.core.errors import Forbidden
from app.core.ids import new_id
from app.features.passkeys.models import EnrolmentCodeRow, PasskeyRow
from app.features.passkeys.rules import code_hash, new_code

log = structlog.get_logger(__name__)

LIFETIME: Final = timedelta(minutes=15)
ATTEMPTS: Final = 10
IN_THE_LOG: Final = 8  # codes, two hours in all: then only the host makes another one
_NONE: Final = "0" * 64


class Codes:
    """At most one code counts; a new one ends the one before."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._logged = 0

    async def make(self) -> tuple[str, datetime]:
        """A fresh code, and when it ends."""
        code, ends = new_code(), self._clock.now() + LIFETIME
        async with self._db.transaction() as session:
            await session.exec(delete(EnrolmentCodeRow))
            row = EnrolmentCodeRow(id=new_id("enr"), code_hash=code_hash(code), expires_at=ends, attempts_left=ATTEMPTS)
            session.add(row)
        return code, ends

    async def check(self, typed: str) -> str:
        """The id of the code, if it is the one that counts. Raises Forbidden; each wrong one takes a try away."""
        now, good = self._clock.now(), False
        async with self._db.transaction() as session:
            row = (await session.exec(select(EnrolmentCodeRow))).first()
            same = hmac.compare_digest(code_hash(typed), row.code_hash if row else _NONE)
            if row is not None:
                good = same and row.expires_at > now
                if not good and row.attempts_left > 1 and row.expires_at > now:
                    row.attempts_left -= 1
                elif not good:
                    await session.delete(row)
        if not good or row is None:
            raise refused()
        return row.id

    async def spend(self, session: AsyncSession, code_id: str) -> None:
        """End a code inside the transaction that adds the passkey. Raises Forbidden when it does not count any more."""
        row = await session.get(EnrolmentCodeRow, code_id)
        if row is None or row.expires_at <= self._clock.now():
            raise refused()
        await session.delete(row)

    async def announce(self) -> None:
        """While nobody has a passkey and no code counts: tell one in the log, a few times."""
        async with self._db.session() as session:
            if (await session.exec(select(func.count()).select_from(PasskeyRow))).one():
                self._logged = 0  # the last one may be removed again
                return
            row = (await session.exec(select(EnrolmentCodeRow))).first()
        if (row is not None and row.expires_at > self._clock.now()) or self._logged > IN_THE_LOG:
            return
        self._logged += 1
        if self._logged > IN_THE_LOG:
            log.warning("no passkey was added; for another code run: dockrev passkeys code")
            return
        code, ends = await self.make()
        log.warning("no passkey yet: open /login and enter this code", code=code, until=rfc3339(ends))

    async def run(self) -> None:
        """Look every minute."""
        await every(60, self.announce, at_once=False)


def refused() -> Forbidden:
    """One answer for wrong, old and used codes."""
    return Forbidden(
        "that code does not count",
        hint="A code works once and for 15 minutes. On the host, `dockrev passkeys code` makes a new one.",
        details={"reason": "enrolment_code_refused"},
    )
