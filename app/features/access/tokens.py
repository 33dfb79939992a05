"""API tokens: made, listed, revoked, and recognised.

All of them are held in memory beside the table, since every request with a token asks: there are at most LIMIT, and
only this process writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, update
from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, InvalidArgument, NotFound
from app.core.ids import new_id
from app.core.web.listening import access_changed
from app.features.access import secret
from app.features.access.models import ApiTokenRow, Scope

LIMIT: Final = 100
NAME_LENGTH: Final = 60
DAYS: Final = (30, 90, 365)
KEPT_REVOKED: Final = timedelta(days=30)
REVOKED_LIMIT: Final = 900
SAVE_SECONDS: Final = 60.0
_NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never its secret."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str | None = None
    revoked_at: datetime | None = None

    @property
    def principal(self) -> str:
        """What jobs record as their creator."""
        return f"token:{self.name}"

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """Why a text is no token that counts: a stable reason and a sentence with the remedy."""

    reason: str
    message: str


class Tokens:
    """The tokens. `load` first."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: dict[str, tuple[Token, str]] = {}
        self._used: set[str] = set()

    async def load(self) -> None:
        """Read all of them."""
        async with self._db.session() as session:
            rows = (await session.exec(select(ApiTokenRow))).all()
        self._known = {row.id: (_token(row), row.secret_hash) for row in rows}

    def all(self) -> list[Token]:
        """Newest first; those that were revoked lately too."""
        return sorted((token for token, _ in self._known.values()), key=lambda token: token.id, reverse=True)

    def get(self, token_id: str) -> Token:
        """One that was not revoked. Raises NotFound."""
        found = self._known.get(token_id)
        if found is None or found[0].revoked_at is not None:
            raise NotFound("token not found", hint="It was revoked already; reload the page.")
        return found[0]

    def recognise(self, text: str) -> Token | Unrecognised:
        """Whose token that is. Why it does not count is told only to who has the right secret."""
        token_id = secret.id_in(text)
        if token_id is None:
            return Unrecognised("token_invalid", "the API token is mistyped or cut off: its checksum is wrong")
        token, stored = self._known.get(token_id, (None, _NOBODY))
        if not secret.same(text, stored) or token is None:
            return Unrecognised("token_invalid", "the API token is not known here")
        if token.revoked_at is not None:
            return Unrecognised("token_revoked", f"the API token {token.name} was revoked; make a new one")
        if token.expired(self._clock.now()):
            return Unrecognised("token_expired", f"the API token {token.name} has expired; make a new one")
        return token

    async def stands(self, token_id: str) -> bool:
        """Whether it still opens something, for a stream that it opened."""
        found = self._known.get(token_id)
        return found is not None and found[0].revoked_at is None and not found[0].expired(self._clock.now())

    def used(self, token: Token, address: str) -> None:
        """Note the use; it is stored by `save`."""
        found = self._known.get(token.id)
        if found is not None:
            self._known[token.id] = (
                replace(found[0], last_used_at=self._clock.now(), last_used_from=address),
                found[1],
            )
            self._used.add(token.id)

    async def save(self) -> None:
        """Store when and from where tokens were used last: run once a minute, so that reading stays reading."""
        ids, self._used = self._used, set()
        tokens = [self._known[token_id][0] for token_id in ids if token_id in self._known]
        if not tokens:
            return
        try:
            async with self._db.transaction() as session:
                for token in tokens:
                    await session.exec(
                        update(ApiTokenRow)
                        .where(col(ApiTokenRow.id) == token.id)
                        .values(last_used_at=token.last_used_at, last_used_from=token.last_used_from)
                    )
        except Exception:
            self._used |= ids
            raise

    async def create(
        self, name: str, scope: Scope, days: int | None, by: str, not_after: datetime | None = None
    ) -> tuple[Token, str]:
        """A new token and its text, which is not kept. `days` is one of DAYS, or None for one that never expires; a
        token made by a token ends with it at the latest (`not_after`). Raises InvalidArgument, Conflict."""
        name = checked_name(name)
        if days is not None and days not in DAYS:
            told = ", ".join(map(str, DAYS))
            raise InvalidArgument(f"expiresInDays must be one of {told}, or null", details={"field": "expiresInDays"})
        now = self._clock.now()
        ends = None if days is None else now + timedelta(days=days)
        if not_after is not None and (ends is None or ends > not_after):
            ends = not_after
        token_id = new_id("tok")
        text = secret.new_secret(token_id)
        token = Token(token_id, name, scope, now, by, ends)
        async with self._db.transaction() as session:
            alive = [known for known, _ in self._known.values() if known.revoked_at is None]
            if any(known.name.casefold() == name.casefold() for known in alive):
                raise Conflict(
                    "a token of this name exists", hint="Revoke it first, or take another name.", details={"name": name}
                )
            if len(alive) >= LIMIT:
                raise Conflict(f"there are {LIMIT} tokens already", hint="Revoke those that nobody uses.")
            if len(self._known) >= LIMIT + REVOKED_LIMIT:
                raise Conflict("too many tokens were made and revoked lately", hint="Wait a few days.")
            session.add(ApiTokenRow(**_columns(token), secret_hash=secret.hash_of(text)))
            await session.flush()
            self._known[token_id] = (token, secret.hash_of(text))
        return token, text

    async def revoke(self, token_id: str) -> Token:
        """From now on it opens nothing. Raises NotFound."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            gone = replace(self.get(token_id), revoked_at=now)
            await session.exec(update(ApiTokenRow).where(col(ApiTokenRow.id) == token_id).values(revoked_at=now))
        self._known[token_id] = (gone, self._known[token_id][1])
        access_changed()
        return gone

    async def purge(self) -> None:
        """Forget tokens that were revoked long ago."""
        before = self._clock.now() - KEPT_REVOKED
        async with self._db.transaction() as session:
            await session.exec(delete(ApiTokenRow).where(col(ApiTokenRow.revoked_at) < before))
        self._known = {
            key: found
            for key, found in self._known.items()
            if found[0].revoked_at is None or found[0].revoked_at >= before
        }


def checked_name(name: str) -> str:
    """The name as it is stored. Raises InvalidArgument."""
    name = " ".join(name.split())
    if not name:
        raise InvalidArgument("name must not be empty", details={"field": "name"})
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise InvalidArgument(
            f"name must be at most {NAME_LENGTH} characters that can be printed", details={"field": "name"}
        )
    return name


def _token(row: ApiTokenRow) -> Token:
    return Token(**{name: getattr(row, name) for name in Token.__dataclass_fields__})


def _columns(token: Token) -> dict[str, Any]:
    return {name: getattr(token, name) for name in Token.__dataclass_fields__}
