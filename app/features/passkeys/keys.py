"""The passkeys themselves: added, used, removed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.core.web.listening import access_changed
from app.features.passkeys.codes import Codes
from app.features.passkeys.models import PasskeyRow, PasskeySessionRow
from app.features.passkeys.rules import checked_name, from_b64url, plain_name

LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class NewKey:
    """What an authenticator made, checked. Everything is base64url but the counter."""

    credential_id: str
    public_key: str
    user_handle: str
    sign_count: int
    rp_id: str


@dataclass(frozen=True, slots=True)
class Passkey(NewKey):
    """One that was added; a public key, no secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    last_used_from: str | None
    alarm_at: datetime | None


class Passkeys:
    """All of them belong to the one owner of this Dockrev."""

    def __init__(self, db: Database, clock: Clock, codes: Codes) -> None:
        self._db = db
        self._clock = clock
        self._codes = codes

    async def all(self) -> list[Passkey]:
        """In the order in which they were added."""
        async with self._db.session() as session:
            rows = (await session.exec(select(PasskeyRow).order_by(col(PasskeyRow.id)))).all()
        return [_passkey(row) for row in rows]

    async def count(self) -> int:
        """How many there are."""
        async with self._db.session() as session:
            return (await session.exec(select(func.count()).select_from(PasskeyRow))).one()

    async def get(self, passkey_id: str) -> Passkey:
        """One of them. Raises NotFound."""
        async with self._db.session() as session:
            row = await session.get(PasskeyRow, passkey_id)
        if row is None:
            raise NotFound("passkey not found", hint="It was removed already.")
        return _passkey(row)

    async def by_credential(self, credential_id: str) -> Passkey | None:
        """The one that an authenticator names."""
        async with self._db.session() as session:
            query = select(PasskeyRow).where(col(PasskeyRow.credential_id) == credential_id)
            row = (await session.exec(query)).first()
        return _passkey(row) if row else None

    async def handle(self) -> bytes:
        """What authenticators call the owner: random, the same for all passkeys (WebAuthn Level 3 §14.6.1)."""
        known = await self.all()
        return from_b64url(known[0].user_handle) if known else secrets.token_bytes(32)

    async def add(self, key: NewKey, name: str, *, code_id: str = "") -> Passkey:
        """Keep it; `code_id` is spent in the same step. Raises Conflict, Forbidden."""
        row = PasskeyRow(
            id=new_id("psk"),
            name=plain_name(name) or "Passkey",
            credential_id=key.credential_id,
            user_handle=key.user_handle,
            public_key=key.public_key,
            sign_count=key.sign_count,
            rp_id=key.rp_id,
            created_at=self._clock.now(),
        )
        async with self._db.transaction() as session:
            if code_id:
                await self._codes.spend(session, code_id)
            known = (await session.exec(select(PasskeyRow.credential_id))).all()
            if key.credential_id in known:
                raise Conflict("this passkey was added before", hint="Use it to sign in, or add another one.")
            if len(known) >= LIMIT:
                raise Conflict(f"there are {LIMIT} passkeys already", hint="Remove one that is not used any more.")
            session.add(row)
        access_changed()  # nobody without a name may listen any more
        return _passkey(row)

    async def used(self, passkey_id: str, sign_count: int, address: str) -> bool:
        """Note a sign-in; False when it was removed meanwhile, or somebody was quicker with the same counter."""
        same = col(PasskeyRow.id) == passkey_id
        if sign_count:
            same = same & (col(PasskeyRow.sign_count) < sign_count)
        change = update(PasskeyRow).where(same)
        values = {"sign_count": sign_count, "last_used_at": self._clock.now(), "last_used_from": address[:100]}
        async with self._db.transaction() as session:
            return bool((await session.exec(change.values(**values))).rowcount)

    async def alarm(self, passkey_id: str) -> None:
        """Its counter went back: say so on the page."""
        async with self._db.transaction() as session:
            change = update(PasskeyRow).where(col(PasskeyRow.id) == passkey_id)
            await session.exec(change.values(alarm_at=self._clock.now()))

    async def rename(self, passkey_id: str, name: str) -> Passkey:
        """Call it something else. Raises NotFound, InvalidArgument."""
        checked = checked_name(name)
        async with self._db.transaction() as session:
            row = await session.get(PasskeyRow, passkey_id)
            if row is None:
                raise NotFound("passkey not found", hint="It was removed already.")
            row.name = checked
        return _passkey(row)

    async def remove(self, passkey_id: str, *, even_the_last: bool) -> Passkey:
        """Remove it and end the sessions that it opened. Raises NotFound, Conflict."""
        async with self._db.transaction() as session:
            row = await session.get(PasskeyRow, passkey_id)
            if row is None:
                raise NotFound("passkey not found", hint="It was removed already.")
            count = (await session.exec(select(func.count()).select_from(PasskeyRow))).one()
            if count == 1 and not even_the_last:
                raise Conflict(
                    "this is the last passkey",
                    hint="Add another one first, or confirm that nobody can sign in with a passkey then.",
                    details={"reason": "last_passkey"},
                )
            await session.exec(delete(PasskeySessionRow).where(col(PasskeySessionRow.passkey_id) == passkey_id))
            await session.delete(row)
        access_changed()
        return _passkey(row)


def _passkey(row: PasskeyRow) -> Passkey:
    return Passkey(**{name: getattr(row, name) for name in Passkey.__dataclass_fields__})
