"""Which candidate digests were announced (spec §8.4): each once, until it is another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, literal, update
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.db.types import UtcDateTime
from app.features.notifications.models import (
    AnnouncementStatus,
    DeliveryRow,
    DeliveryState,
    NewVersionNotificationRow,
)
from app.features.versions import VersionRecord

OPEN: Final = (AnnouncementStatus.PENDING, AnnouncementStatus.SENT)
_CHECK: Final = "check:"


def event_of(job_id: str) -> str:
    """The event under which the findings of a check are told."""
    return f"{_CHECK}{job_id}"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A reserved candidate: nobody else announces it."""

    id: int
    service_id: str
    image_ref: str
    image_tag: str
    current_tag: str
    current_display_tag: str
    candidate_tag: str
    candidate_display_tag: str
    candidate_digest: str


async def reserve(
    session: AsyncSession, job_id: str, reason: str, found: Collection[Mapping[str, Any]], now: datetime
) -> int:
    """Inside the caller's transaction: reserve what a check found (`newVersions.services`); how many were free."""
    count = 0
    for entry in found:
        values = {
            "service_id": entry["serviceId"],
            "job_id": job_id,
            "reason": reason,
            "image_ref": entry["imageRef"],
            "image_tag": entry["candidateTag"],
            "current_tag": entry["currentTag"],
            "current_display_tag": entry["currentDisplayTag"],
            "candidate_tag": entry["candidateTag"],
            "candidate_display_tag": entry["candidateDisplayTag"],
            "candidate_digest": entry["candidateDigest"],
            "status": AnnouncementStatus.PENDING,
            "sent_channels": [],
            "created_at": now,
        }
        done = await session.exec(insert(NewVersionNotificationRow).values(**values).on_conflict_do_nothing())
        count += done.rowcount
    return count


async def failed_before(session: AsyncSession, service_ids: Collection[str]) -> list[dict[str, Any]]:
    """Candidates of these services whose announcement reached nobody, as a check would tell them: tried once more."""
    query = (
        select(NewVersionNotificationRow)
        .where(
            col(NewVersionNotificationRow.status) == AnnouncementStatus.FAILED,
            col(NewVersionNotificationRow.service_id).in_(service_ids),
        )
        .order_by(col(NewVersionNotificationRow.id).desc())
    )
    newest: dict[str, NewVersionNotificationRow] = {}
    for row in (await session.exec(query)).all():
        newest.setdefault(row.service_id, row)
    return [
        {
            "serviceId": row.service_id,
            "imageRef": row.image_ref,
            "currentTag": row.current_tag,
            "currentDisplayTag": row.current_display_tag,
            "candidateTag": row.candidate_tag,
            "candidateDisplayTag": row.candidate_display_tag,
            "candidateDigest": row.candidate_digest,
        }
        for row in newest.values()
    ]


async def never_announced(session: AsyncSession, found: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of these findings about which there is no announcement yet, however it ended."""
    row = NewVersionNotificationRow
    query = select(row.service_id, row.candidate_digest).where(
        col(row.service_id).in_([entry["serviceId"] for entry in found])
    )
    known = set((await session.exec(query)).all()) if found else set()
    return [entry for entry in found if (entry["serviceId"], entry["candidateDigest"]) not in known]


async def pending(session: AsyncSession, job_id: str) -> list[Announcement]:
    """What a check reserved and nobody queued or dropped yet."""
    query = select(NewVersionNotificationRow).where(
        NewVersionNotificationRow.job_id == job_id, NewVersionNotificationRow.status == AnnouncementStatus.PENDING
    )
    return [_announcement(row) for row in (await session.exec(query)).all()]


async def unfinished_checks(session: AsyncSession) -> list[str]:
    """Checks whose reservations were made by a process that died before it queued the message."""
    query = (
        select(NewVersionNotificationRow.job_id)
        .where(NewVersionNotificationRow.status == AnnouncementStatus.PENDING)
        .distinct()
    )
    jobs = (await session.exec(query)).all()
    queued = set((await session.exec(select(DeliveryRow.event).where(col(DeliveryRow.event).like(f"{_CHECK}%")))).all())
    return [job_id for job_id in jobs if event_of(job_id) not in queued]


async def open_ones(session: AsyncSession) -> list[Announcement]:
    """Everything announced or about to be, that was not overtaken."""
    query = select(NewVersionNotificationRow).where(col(NewVersionNotificationRow.status).in_(OPEN))
    return [_announcement(row) for row in (await session.exec(query)).all()]


def is_current(announced: Announcement, record: VersionRecord | None) -> bool:
    """Whether the candidate is still what it was when it was reserved: same image, same tag, same digest."""
    return (
        record is not None
        and record.has_candidate
        and record.candidate_digest == announced.candidate_digest
        and record.image_ref == announced.image_ref
        and record.image_tag == announced.image_tag
    )


async def mark(session: AsyncSession, ids: Collection[int], status: AnnouncementStatus, **values: Any) -> None:
    """Move open rows to another status."""
    rows = col(NewVersionNotificationRow.id).in_(ids) & col(NewVersionNotificationRow.status).in_(OPEN)
    await session.exec(update(NewVersionNotificationRow).where(rows).values(status=status, **values))


async def set_display(session: AsyncSession, announcement_id: int, current: str, candidate: str) -> None:
    """Keep the versions as they were told."""
    await session.exec(
        update(NewVersionNotificationRow)
        .where(col(NewVersionNotificationRow.id) == announcement_id)
        .values(current_display_tag=current, candidate_display_tag=candidate)
    )


async def settle(session: AsyncSession, event: str, now: datetime) -> None:
    """After an attempt: `sent` as soon as one channel took it, `failed` when none did and none is tried any more."""
    if not event.startswith(_CHECK):
        return
    rows = (await session.exec(select(DeliveryRow).where(DeliveryRow.event == event))).all()
    took = list(dict.fromkeys(row.channel for row in rows if row.state is DeliveryState.DELIVERED))
    mine = (
        (col(NewVersionNotificationRow.job_id) == event.removeprefix(_CHECK))
        & col(NewVersionNotificationRow.status).in_(OPEN)
    )  # fmt: skip
    change = update(NewVersionNotificationRow).where(mine)
    if took:
        sent = func.coalesce(col(NewVersionNotificationRow.sent_at), literal(now, UtcDateTime()))
        await session.exec(change.values(status=AnnouncementStatus.SENT, sent_channels=took, sent_at=sent))
    elif all(row.state is DeliveryState.FAILED for row in rows):
        error = next((row.last_error for row in rows if row.last_error), None)
        await session.exec(change.values(status=AnnouncementStatus.FAILED, last_error=error))


async def purge(session: AsyncSession, before: datetime) -> None:
    """Forget what was overtaken or reached nobody, and is old."""
    closed = col(NewVersionNotificationRow.status).not_in(OPEN)
    old = col(NewVersionNotificationRow.created_at) < before
    await session.exec(delete(NewVersionNotificationRow).where(closed, old))


def _announcement(row: NewVersionNotificationRow) -> Announcement:
    return Announcement(**{name: getattr(row, name) for name in Announcement.__dataclass_fields__})
