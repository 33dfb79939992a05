"""Devices that get pushes (spec §5.7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select

from app.adapters.notify import Device, NotifyError, check_endpoint
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.features.notifications import rules
from app.features.notifications.models import WebPushSubscriptionRow

MAX_DEVICES = 500


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """One device. The endpoint is as good as a key to it, so it is not shown."""

    name: str
    created_at: datetime
    endpoint: str = field(repr=False)
    last_delivery_at: datetime | None = None
    last_error: str | None = None


class Devices:
    """The subscriptions."""

    def __init__(self, db: Database, clock: Clock, allowed_origins: Collection[str]) -> None:
        self._db = db
        self._clock = clock
        self._allowed = frozenset(allowed_origins)

    async def subscribe(
        self, endpoint: str, p256dh: str, auth: str, name: str = "", *, called: str = "", replaces: str | None = None
    ) -> None:
        """Add a device or renew its keys. One that is known keeps its name unless another one is given; a new one
        without a name takes that of the device it `replaces`, else it is `called` so.

        Raises InvalidArgument naming the field.
        """
        try:
            address = check_endpoint(endpoint, self._allowed)
        except NotifyError as error:
            raise InvalidArgument(
                f"endpoint: {error.message}", hint=error.hint, details={"field": "endpoint"}
            ) from error
        p256dh, auth = rules.device_key("keys.p256dh", p256dh), rules.device_key("keys.auth", auth)
        async with self._db.transaction() as session:
            row = await session.get(WebPushSubscriptionRow, address)
            old = await session.get(WebPushSubscriptionRow, replaces.strip()) if replaces else None
            if old is not None and old is not row:
                name = name or old.name
                await session.delete(old)
                await session.flush()
            if row is None:
                known = (await session.exec(select(WebPushSubscriptionRow.endpoint))).all()
                if len(known) >= MAX_DEVICES:
                    raise InvalidArgument(f"there are {MAX_DEVICES} devices already", details={"field": "endpoint"})
                row = WebPushSubscriptionRow(endpoint=address, p256dh="", auth="", created_at=self._clock.now())
                session.add(row)
            row.p256dh, row.auth, row.last_error = p256dh, auth, None
            row.name = name or row.name or called

    async def unsubscribe(self, endpoint: str) -> bool:
        """Forget a device; whether there was one."""
        async with self._db.transaction() as session:
            gone = await session.exec(
                delete(WebPushSubscriptionRow).where(col(WebPushSubscriptionRow.endpoint) == endpoint.strip())
            )
            return bool(gone.rowcount)

    async def unsubscribe_all(self) -> int:
        """Forget all devices, because the keys they subscribed with are gone; how many there were."""
        async with self._db.transaction() as session:
            return (await session.exec(delete(WebPushSubscriptionRow))).rowcount

    async def all(self) -> list[DeviceRecord]:
        """Every device, oldest first."""
        query = select(WebPushSubscriptionRow).order_by(
            col(WebPushSubscriptionRow.created_at), col(WebPushSubscriptionRow.endpoint)
        )
        async with self._db.session() as session:
            rows = (await session.exec(query)).all()
        return [
            DeviceRecord(row.name, row.created_at, row.endpoint, row.last_delivery_at, row.last_error) for row in rows
        ]

    async def device(self, endpoint: str) -> Device | None:
        """What is needed to send to one; None when it was forgotten."""
        async with self._db.session() as session:
            row = await session.get(WebPushSubscriptionRow, endpoint)
        return None if row is None else Device(row.endpoint, row.p256dh, row.auth)
