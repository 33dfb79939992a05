"""Ignore rules: kept, listed, deleted, and asked by checks (spec §5.5, §7.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import delete
from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.features.versions.models import IgnoreRule
from app.features.versions.records import IgnoreRuleRecord


class IgnoreRules:
    """The owner's rules. A new or deleted rule counts from the next check of its service on (spec §5.5)."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock

    async def all(self, service_id: str | None = None) -> list[IgnoreRuleRecord]:
        """Newest first; of one service or of all."""
        query = select(IgnoreRule).order_by(col(IgnoreRule.created_at).desc(), col(IgnoreRule.id).desc())
        if service_id is not None:
            query = query.where(IgnoreRule.scope_service_id == service_id)
        async with self._db.session() as session:
            return [_record(rule) for rule in await session.exec(query)]

    async def active(self, service_ids: Collection[str] | None = None) -> dict[str, list[IgnoreRuleRecord]]:
        """Enabled rules by service, oldest first: in this order the first match wins."""
        query = select(IgnoreRule).where(col(IgnoreRule.enabled).is_(True))
        if service_ids is not None and len(service_ids) <= 500:
            query = query.where(col(IgnoreRule.scope_service_id).in_(service_ids))
        found: dict[str, list[IgnoreRuleRecord]] = defaultdict(list)
        async with self._db.session() as session:
            for rule in await session.exec(query.order_by(col(IgnoreRule.created_at), col(IgnoreRule.id))):
                found[rule.scope_service_id].append(_record(rule))
        return dict(found)

    async def add(
        self, service_id: str, kind: str, value: str, *, enabled: bool = True, note: str | None = None
    ) -> str:
        """Keep a rule; returns its id. The service need not exist (spec §4)."""
        rule_id, now = new_id("ign"), self._clock.now()
        async with self._db.transaction() as session:
            session.add(
                IgnoreRule(
                    id=rule_id,
                    enabled=enabled,
                    scope_service_id=service_id,
                    match_kind=kind,
                    match_value=value,
                    note=note,
                    created_at=now,
                    updated_at=now,
                )
            )
        self._changed(service_id)
        return rule_id

    async def delete(self, rule_id: str) -> bool:
        """Forget a rule; False when there was none."""
        async with self._db.transaction() as session:
            service_id = (
                await session.exec(select(IgnoreRule.scope_service_id).where(IgnoreRule.id == rule_id))
            ).first()
            await session.exec(delete(IgnoreRule).where(col(IgnoreRule.id) == rule_id))
        if service_id is not None:
            self._changed(service_id)
        return service_id is not None

    def _changed(self, service_id: str) -> None:
        self._bus.publish(EntitiesChanged("services", frozenset({service_id})))


def _record(rule: IgnoreRule) -> IgnoreRuleRecord:
    return IgnoreRuleRecord(
        id=rule.id,
        service_id=rule.scope_service_id,
        kind=rule.match_kind,
        value=rule.match_value,
        created_at=rule.created_at,
        enabled=rule.enabled,
        note=rule.note,
    )
