"""Tracked repositories: one row per repository, whatever its spelling (spec §4, §5.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Integer, cast, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument, NotFound
from app.features.hooks.models import GithubRepoRow, Op, WebhookState
from app.features.hooks.records import BUSY, RepoPage, RepoRecord
from app.features.hooks.rules import names

SelectedFilter = Literal["all", "selected", "unselected"]
FILTERS: Final = ("all", "selected", "unselected")
Name = tuple[str, str]


def selected_filter(text: str | None) -> SelectedFilter:
    """The `selectedFilter` of a list; raises InvalidArgument for what is none."""
    match text or "all":
        case "all":
            return "all"
        case "selected":
            return "selected"
        case "unselected":
            return "unselected"
        case other:
            raise InvalidArgument(
                f"invalid selectedFilter: {other[:40]}",
                hint="Use all, selected or unselected.",
                details={"field": "selectedFilter"},
            )


def merged(repos: Iterable[tuple[str, bool]]) -> dict[Name, bool]:
    """Names with their flag; blank ones are left out, variants of one name are one, selected when any of them is."""
    found: dict[str, tuple[Name, bool]] = {}
    for text, selected in repos:
        if not text.strip():
            continue
        name = names.split_full_name(text)
        if name is None:
            raise InvalidArgument(
                "invalid repos", hint="Write each as owner/repo.", details={"field": "repos", "fullName": text[:200]}
            )
        key = "/".join(name).lower()
        known = found.get(key)
        found[key] = (known[0], known[1] or selected) if known else (name, selected)
    return dict(found.values())


async def replace_all(session: AsyncSession, wanted: dict[Name, bool], now: datetime) -> bool:
    """Inside the caller's transaction: track exactly these; what is known of a webhook stays. True if any differs."""
    differs = False
    keys = {"/".join(name).lower(): (name, selected) for name, selected in wanted.items()}
    for row in (await session.exec(select(GithubRepoRow))).all():
        found = keys.pop(f"{row.owner}/{row.repo}".lower(), None)
        if found is None:
            await session.delete(row)
            differs = True
        elif row.selected != found[1]:
            row.selected, row.updated_at = found[1], now
            differs = True
    for (owner, repo), selected in keys.values():
        session.add(GithubRepoRow(owner=owner, repo=repo, selected=selected, updated_at=now))
    return differs or bool(keys)


class TrackedRepos:
    """The rows. Whatever changes a webhook is a job (`WebhookJobs`)."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self._clock = clock

    async def page(
        self,
        *,
        q: str = "",
        chosen: SelectedFilter = "all",
        state: WebhookState | None = None,
        page: int = 1,
        per_page: int = 50,
    ) -> RepoPage:
        """Rows by owner and repository. `q` is part of `owner/repo`, in whatever case."""
        wanted = _conditions(q, chosen, state)
        query = (
            select(GithubRepoRow)
            .where(*wanted)
            .order_by(col(GithubRepoRow.owner), col(GithubRepoRow.repo))
            .offset((page - 1) * per_page)
            .limit(per_page)
        )
        async with self.db.session() as session:
            counts = await session.exec(select(func.count(), func.sum(cast(col(GithubRepoRow.selected), Integer))))
            total, selected = counts.one()
            filtered = (await session.exec(select(func.count()).select_from(GithubRepoRow).where(*wanted))).one()
            rows = (await session.exec(query)).all()
        repos = tuple(RepoRecord.of(row) for row in rows)
        return RepoPage(page, per_page, total, filtered, selected or 0, repos)

    async def counts(self) -> dict[WebhookState, int]:
        """Selected repositories by the state of their webhook."""
        query = (
            select(GithubRepoRow.webhook_state, func.count())
            .where(col(GithubRepoRow.selected).is_(True))
            .group_by(col(GithubRepoRow.webhook_state))
        )
        async with self.db.session() as session:
            return {WebhookState(state): number for state, number in await session.exec(query)}

    async def last_audit(self) -> datetime | None:
        """When webhooks were last looked at."""
        async with self.db.session() as session:
            query = (
                select(GithubRepoRow.last_audit_at)
                .where(col(GithubRepoRow.last_audit_at).is_not(None))
                .order_by(col(GithubRepoRow.last_audit_at).desc())
                .limit(1)
            )
            return (await session.exec(query)).first()

    async def selected(self) -> list[RepoRecord]:
        """Selected repositories by name."""
        query = (
            select(GithubRepoRow)
            .where(col(GithubRepoRow.selected).is_(True))
            .order_by(col(GithubRepoRow.owner), col(GithubRepoRow.repo))
        )
        async with self.db.session() as session:
            return [RepoRecord.of(row) for row in await session.exec(query)]

    async def known(self, owner: str) -> dict[str, RepoRecord]:
        """The tracked repositories of an owner, by lower-case full name."""
        async with self.db.session() as session:
            rows = await session.exec(select(GithubRepoRow).where(GithubRepoRow.owner == owner))
            return {record.key: record for row in rows if (record := RepoRecord.of(row))}

    async def find(self, name: Name) -> RepoRecord | None:
        """One repository, or None."""
        async with self.db.session() as session:
            row = await session.get(GithubRepoRow, name)
        return None if row is None else RepoRecord.of(row)

    async def get(self, name: Name) -> RepoRecord:
        """One repository. Raises NotFound."""
        found = await self.find(name)
        if found is None:
            raise NotFound("repo is not tracked", details={"fullName": "/".join(name)})
        return found

    async def covers(self, owner: str | None, repo: str | None) -> bool:
        """Whether a delivery of this repository, or of any of this owner's, is wanted."""
        if not owner:
            return False
        query = select(func.count()).where(GithubRepoRow.owner == owner, col(GithubRepoRow.selected).is_(True))
        if repo:
            query = query.where(GithubRepoRow.repo == repo)
        async with self.db.session() as session:
            return (await session.exec(query)).one() > 0

    async def select(self, name: Name, selected: bool) -> RepoRecord:
        """Track it if it is not, and set its flag; a known spelling is kept."""
        async with self.db.transaction() as session:
            row = await session.get(GithubRepoRow, name)
            if row is None:
                row = GithubRepoRow(owner=name[0], repo=name[1])
                session.add(row)
            row.selected, row.updated_at = selected, self._clock.now()
            return RepoRecord.of(row)

    async def select_matching(self, q: str, chosen: SelectedFilter, selected: bool) -> int:
        """Set the flag of every row that matches, not only of one page; how many match."""
        change = update(GithubRepoRow).where(*_conditions(q, chosen, None))
        async with self.db.transaction() as session:
            done = await session.exec(change.values(selected=selected, updated_at=self._clock.now()))
            return done.rowcount

    async def add(self, session: AsyncSession, found: Sequence[Name], *, select_known: bool = False) -> int:
        """Inside the caller's transaction: track these as selected; how many were not tracked before.

        Those that are tracked are left as they are, unless `select_known`.
        """
        count = 0
        for name in found:
            row = await session.get(GithubRepoRow, name)
            if row is None:
                count += 1
                session.add(GithubRepoRow(owner=name[0], repo=name[1], selected=True, updated_at=self._clock.now()))
                await session.flush()
            elif select_known and not row.selected:
                row.selected, row.updated_at = True, self._clock.now()
        return count

    # ---- what jobs write

    async def mark_queued(self, session: AsyncSession, repos: Sequence[RepoRecord], op: Op, job_id: str) -> None:
        """Inside the transaction that inserts the job."""
        for repo in repos:
            await session.exec(_row(repo).values(webhook_state=WebhookState.QUEUED, webhook_job_id=job_id, last_op=op))

    async def write(self, repo: RepoRecord, **values: Any) -> None:
        """Set columns of one row; nothing happens when it is gone."""
        async with self.db.transaction() as session:
            await session.exec(_row(repo).values(**values, updated_at=self._clock.now()))

    async def remove(self, repo: RepoRecord) -> None:
        """Track it no more."""
        async with self.db.transaction() as session:
            row = await session.get(GithubRepoRow, (repo.owner, repo.repo))
            if row is not None:
                await session.delete(row)

    async def unfinished(self) -> list[RepoRecord]:
        """Rows whose job was to do something."""
        query = select(GithubRepoRow).where(col(GithubRepoRow.webhook_state).in_(BUSY))
        async with self.db.session() as session:
            return [RepoRecord.of(row) for row in await session.exec(query)]


def _row(repo: RepoRecord) -> Any:
    return update(GithubRepoRow).where(col(GithubRepoRow.owner) == repo.owner, col(GithubRepoRow.repo) == repo.repo)


def _conditions(q: str, chosen: SelectedFilter, state: WebhookState | None) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if text := q.strip().lower()[:200]:
        name = func.lower(col(GithubRepoRow.owner) + "/" + col(GithubRepoRow.repo))
        wanted.append(func.instr(name, text) > 0)
    if chosen != "all":
        wanted.append(col(GithubRepoRow.selected).is_(chosen == "selected"))
    if state is not None:
        wanted.append(col(GithubRepoRow.webhook_state) == state)
    return wanted
