"""The settings row and the targets: read, and changed as one (spec §5.6)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import changes
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.features.hooks.models import SINGLETON, GithubSettingsRow, GithubTargetRow
from app.features.hooks.records import GithubSettings, TargetRecord
from app.features.hooks.rules import names, secrets, urls
from app.features.hooks.tracked import merged, replace_all


class HookSettings:
    """What is set for GitHub packages, and what was typed to find repositories."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def read(self) -> GithubSettings:
        """The settings, secrets included."""
        async with self._db.session() as session:
            row = await session.get(GithubSettingsRow, SINGLETON)
        return GithubSettings() if row is None else _settings(row)

    async def targets(self) -> list[TargetRecord]:
        """In the order they were added."""
        async with self._db.session() as session:
            rows = await session.exec(select(GithubTargetRow).order_by(col(GithubTargetRow.id)))
            return [TargetRecord(row.input, row.kind, row.owner, tuple(row.warnings)) for row in rows]

    async def change(
        self,
        *,
        enabled: bool,
        callback_url: str,
        pat: str | None,
        targets: Sequence[str] | None = None,
        repos: Sequence[tuple[str, bool]] | None = None,
    ) -> GithubSettings:
        """Store all of it or nothing; lists that are given replace those stored. Raises InvalidArgument (spec §5.6)."""
        url = urls.callback_url(callback_url)
        typed = None if targets is None else [(text.strip(), names.parse_target(text)) for text in targets]
        tracked = None if repos is None else merged(repos)
        now = self._clock.now()
        async with self._db.transaction() as session:
            row = await self._row(session)
            before = _facts(row)
            row.pat = secrets.kept_token(pat, row.pat)
            if enabled and not row.pat:
                raise InvalidArgument(
                    "pat is required when enabled=true",
                    hint="Make a token on GitHub that may read and write repository webhooks, and store it here.",
                    details={"field": "pat"},
                )
            row.enabled, row.callback_url, row.updated_at = enabled, url, now
            row.webhook_secret = row.webhook_secret or secrets.new_secret()
            lists: dict[str, object] = {}  # of these it is only told that they are others than before
            if typed is not None:
                stored = (await session.exec(select(GithubTargetRow.input))).all()
                wanted = {target.key: (text, target) for text, target in typed}
                lists["targets"] = {names.parse_target(text).key for text in stored} != wanted.keys() or None
                await session.exec(delete(GithubTargetRow))
                for text, target in wanted.values():
                    await self._put_target(session, text, target, ())
            if tracked is not None:
                lists["repos"] = await replace_all(session, tracked, now) or None
            changed, facts = _settings(row), _facts(row) | lists
        changes.tell(before, facts, harmless=("enabled",))
        return changed

    async def add_target(self, session: AsyncSession, text: str, target: names.Target, warnings: Sequence[str]) -> None:
        """Inside the caller's transaction: keep what was typed; typed again, it stands once."""
        await self._drop(session, target)
        await self._put_target(session, text, target, warnings)

    async def remove_target(self, text: str) -> None:
        """Forget what was typed, in whatever spelling; nothing happens when it is not there."""
        try:
            target = names.parse_target(text)
        except InvalidArgument:
            return
        async with self._db.transaction() as session:
            await self._drop(session, target)

    async def _put_target(
        self, session: AsyncSession, text: str, target: names.Target, warnings: Sequence[str]
    ) -> None:
        session.add(
            GithubTargetRow(
                input=text,
                kind=target.kind,
                owner=target.owner,
                warnings=list(warnings),
                updated_at=self._clock.now(),
            )
        )

    async def _drop(self, session: AsyncSession, target: names.Target) -> None:
        rows = await session.exec(select(GithubTargetRow).where(GithubTargetRow.owner == target.owner))
        for row in rows.all():
            if names.parse_target(row.input).key == target.key:
                await session.delete(row)
        await session.flush()

    async def _row(self, session: AsyncSession) -> GithubSettingsRow:
        row = await session.get(GithubSettingsRow, SINGLETON)
        if row is None:
            row = GithubSettingsRow()
            session.add(row)
        return row


def _facts(row: GithubSettingsRow) -> dict[str, object]:
    return {"enabled": bool(row.enabled), "callbackUrl": row.callback_url, "pat": row.pat}


def _settings(row: GithubSettingsRow) -> GithubSettings:
    return GithubSettings(row.enabled, row.callback_url, row.pat, row.webhook_secret)
