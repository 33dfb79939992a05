"""What there is to tell, read from the catalog in one go. Unknown stays unknown: it has no version."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from app.core.web.presentation import clean
from app.features.catalog import Catalog, Known
from app.features.catalog.schemas import ServiceState
from app.features.preferences import Preferences
from app.features.stacks import Runtime, ServiceRecord
from app.features.versions import VersionRecord, Versions
from app.settings import is_address

PLAIN: Final = re.compile(r"[vV]?\d+(\.\d+){0,3}")


@dataclass(frozen=True, slots=True)
class Told:
    """One service. `installed` and `latest` are None when they are not known, equal when there is nothing to update.
    `install` is the digest that a command may ask for; None when there is none to be installed from outside."""

    id: str
    stack_id: str
    stack: str
    name: str
    tag: str
    installed: str | None = None
    latest: str | None = None
    busy: bool = False
    percent: int | None = None
    install: str | None = None
    url: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether it can be said if there is an update."""
        return self.installed is not None and self.latest is not None

    @property
    def waits(self) -> bool:
        """Whether there is an update that nobody has started."""
        return self.known and self.installed != self.latest and not self.busy


@dataclass(frozen=True, slots=True)
class House:
    """Everything. `updates` and `last_check` are None before the first check, `problem` while nothing was looked at."""

    version: str
    base: str | None
    updates: int | None
    last_check: datetime | None
    engine: bool | None
    failed_checks: int | None
    services: tuple[Told, ...] = ()

    @property
    def problem(self) -> bool | None:
        """Whether something keeps Dockrev from knowing: the engine, or registries."""
        if self.engine is False or self.failed_checks:
            return True
        return None if self.engine is None else False


class Facts:
    """Reads; three queries, two more while a job runs."""

    def __init__(
        self, catalog: Catalog, versions: Versions, runtime: Runtime, preferences: Preferences, version: str
    ) -> None:
        self._catalog = catalog
        self._versions = versions
        self._runtime = runtime
        self._preferences = preferences
        self._version = version

    async def house(self) -> House:
        """As it is now."""
        known, engine = await self._catalog.counted(), self._runtime.engine
        base = (await self._preferences.read()).public_base_url
        seen = self._catalog.seen(known)
        records = [one.record for one in seen.values() if one.record is not None]
        last = max((record.checked_at for record in records if record.checked_at), default=None)
        services = [one.service for one in seen.values()]
        waiting = self._versions.actionable(services, known.records, reason="webhook")
        told = [self._told(known, one, waiting, base) for one in sorted(services, key=lambda one: one.id)]
        return House(
            version=self._version,
            base=base,
            updates=sum(one.waits for one in told) if last else None,
            last_check=last,
            engine=engine.connected if engine.checked_at else None,
            failed_checks=sum(bool(record.last_error) for record in records) if last else None,
            services=tuple(told),
        )

    def _told(self, known: Known, service: ServiceRecord, waiting: Collection[str], base: str | None) -> Told:
        record, row, busy = known.records.get(service.id), self._catalog.row(known, service), known.busy.get(service.id)
        ready = row.state is ServiceState.UPDATABLE
        installed, latest = versions_of(record, offered=ready or service.id in waiting)
        own = f"{base}/services/{service.stack_id}/{service.id}" if base else None
        return Told(
            id=service.id,
            stack_id=service.stack_id,
            stack=service.stack_name,
            name=service.name,
            tag=service.image_tag,
            installed=installed,
            latest=latest,
            busy=busy is not None,
            percent=None if busy is None or busy.percent is None else max(0, min(100, int(busy.percent))),
            install=row.candidate_digest if ready and not row.is_dockrev else None,
            url=next((url for url in (service.repo_url, own) if _is_link(url)), None),
            attributes={
                "image": clean(service.image_ref, 300),
                "dockrev_state": row.state.value,
                "reason": clean(row.reason, 200),
                "installed_digest": row.current_digest,
                "latest_digest": row.candidate_digest,
                "checked_at": row.checked_at.isoformat() if row.checked_at else None,
                "check_error": clean(record.last_error, 200) if record and record.last_error else None,
                "dockrev_itself": row.is_dockrev,
                "page": own,
            },
        )


def versions_of(record: VersionRecord | None, *, offered: bool) -> tuple[str | None, str | None]:
    """Installed and latest as Home Assistant compares them: equal is up to date, and of two that it cannot compare the
    other one is an update. So names and rebuilt versions carry their digests; nothing else would show the update.

    What was never checked, does not run, or could not be asked for anything newer has no latest version.
    """
    if record is None or record.checked_at is None or record.current_digest is None:
        return None, None
    now = clean(record.current_display, 80)
    if not offered:
        return now, None if record.last_error else now
    new = clean(record.candidate_display or record.image_tag, 80)
    if PLAIN.fullmatch(now) and PLAIN.fullmatch(new) and _numbers(new) > _numbers(now):
        return now, new
    return _with_digest(now, record.current_digest), _with_digest(new, record.candidate_digest or "")


def _numbers(version: str) -> list[int]:
    """Four numbers, whatever is written: 1 and 1.0 are the same."""
    return [*(int(part) for part in version.lstrip("vV").split(".")), 0, 0, 0, 0][:4]


def _is_link(url: str | None) -> bool:
    return url is not None and url.startswith("http") and is_address(url)


def _with_digest(version: str, digest: str) -> str:
    return f"{version} ({digest.rpartition(':')[2][:12]})"
