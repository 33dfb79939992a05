"""When somebody is told something (spec §8.3, §8.4): listens to jobs that end, queues what is to be said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged
from app.core.jobs import JobEngine, JobLog, JobRecord, JobStatus
from app.features.notifications import announcements, payload
from app.features.notifications.finished import (
    Finished,
    error_of,
    facts_of,
    finished_after,
    is_unattended,
    service_ids,
)
from app.features.notifications.models import AnnouncementStatus
from app.features.notifications.newversions import NewVersions
from app.features.notifications.outbox import Outbox
from app.features.notifications.payload import Origin, RepoAnomaly
from app.features.notifications.redact import redact
from app.features.notifications.settings import NotificationSettings, SettingsStore
from app.features.notifications.texts import Texts
from app.features.preferences import Preferences
from app.features.stacks import Stacks
from app.features.versions import CHECK

log = structlog.get_logger(__name__)

CHANGING: Final = frozenset({"update", "rollback"})
MOVING: Final = CHANGING | {CHECK, "runtime_scan"}
TOLD: Final = frozenset({JobStatus.FAILED, JobStatus.ROLLED_BACK, JobStatus.SUCCESS})


class Notifications:
    """What is told of the house's jobs. Rooms above call `announce_anomaly`; everything else comes by itself."""

    def __init__(
        self,
        *,
        db: Database,
        jobs: JobEngine,
        stacks: Stacks,
        preferences: Preferences,
        settings: SettingsStore,
        outbox: Outbox,
        texts: Texts,
        versions: NewVersions,
        clock: Clock,
        app_version: str,
        queued: Callable[[], None],
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._stacks = stacks
        self._preferences = preferences
        self._settings = settings
        self._outbox = outbox
        self._texts = texts
        self._versions = versions
        self._clock = clock
        self._app_version = app_version
        self._queued = queued
        self._seen = 0
        self._moved = asyncio.Event()
        self._announcing: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """At start: what a dead process left half told is told."""
        self._seen = await self._settings.ensure()
        await self._outbox.reclaim()
        async with self._db.session() as session:
            checks = await announcements.unfinished_checks(session)
        for job_id in checks:
            self._spawn(self._announce(job_id))
        self._moved.set()

    async def note(self, event: EntitiesChanged) -> None:
        """Jobs moved: look whether one ended."""
        if event.domain == "jobs":
            self._moved.set()

    async def note_services(self, _: object) -> None:
        """A service is another one or gone: what was announced of it may be overtaken."""
        await self.supersede()

    async def follow(self) -> None:
        """For ever: look when something moved."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            while await self.look():
                pass  # `look` takes so many at a time; again until there are none

    async def look(self) -> bool:
        """Deal with the jobs that ended since; whether there were any."""
        async with self._db.session() as session:
            found, read = await finished_after(session, self._seen)
        for each in found:
            try:
                await self._deal_with(each)
            except DockrevError:  # the disk, say: once more, later
                raise
            except Exception:
                log.exception("a finished job could not be told about", job_id=each.job.id)
        if any(each.job.type in MOVING for each in found):
            async with self._db.transaction() as session:
                await self._mark(session, found[-1].row_id)
            await self.supersede()
        self._seen = read
        return bool(found)

    async def stop(self) -> None:
        """Leave announcements that still wait for versions to the next start."""
        for task in self._announcing:
            task.cancel()

    # ---- jobs

    async def _deal_with(self, ended: Finished) -> None:
        job, settings = ended.job, await self._settings.read()
        told = job.type in CHANGING and job.status in TOLD and job.payload.get("mode", "apply") == "apply"
        unattended = job.type == CHECK and job.status is JobStatus.SUCCESS and is_unattended(job)
        if told and settings.wants("update"):
            await self._tell_of_job(ended, settings)
        elif unattended and settings.wants("new_version"):
            await self._reserve(ended)

    async def _tell_of_job(self, ended: Finished, settings: NotificationSettings) -> None:
        """One message of an update or roll back, queued together with the mark that it was looked at."""
        job = ended.job
        async with self._db.session() as session:
            ids = await service_ids(session, job.id)
        services = await self._stacks.services(ids)
        if job.status is JobStatus.SUCCESS and services and all(service.hidden for service in services):
            await self._write_log(job.id, "notify skipped (only archived services)", ended.row_id)
            return
        facts = facts_of(job, services)
        human = self._texts.job(job, facts, redact(error_of(job), settings.secrets))
        document = payload.job_finished(job, human, facts, await self._origin())
        async with self._db.transaction() as session:
            await self._outbox.enqueue(session, f"job:{job.id}", document, settings.channels, job.id)
            await self._mark(session, ended.row_id)
        self._queued()

    async def _mark(self, session: AsyncSession, row_id: int) -> None:
        row = await self._settings.row(session)
        row.seen_row_id = max(row.seen_row_id, row_id)

    async def _write_log(self, job_id: str, line: str, row_id: int) -> None:
        async with self._db.transaction() as session:
            session.add(JobLog(job_id=job_id, ts=self._clock.now(), level="info", msg=line))
            await self._mark(session, row_id)
        self._jobs.wake()

    async def _origin(self) -> Origin:
        return Origin(self._app_version, self._clock.now(), await self._preferences.public_base_url())

    # ---- new versions

    async def _reserve(self, ended: Finished) -> None:
        """Reserve what a check found, together with the mark; the message follows when its versions are known."""
        job = ended.job
        found = (job.summary.get("newVersions") or {}).get("services") or []
        async with self._db.session() as session:
            checked = await service_ids(session, job.id)
        if not checked:  # a check of everything names none
            checked = [service.id for service in await self._stacks.select("all")]
        outside = await self._versions.missed(checked)
        async with self._db.transaction() as session:
            again = await announcements.failed_before(session, checked)
            missed = await announcements.never_announced(session, outside)
            news = {entry["serviceId"]: entry for entry in (*again, *missed, *found)}
            count = await announcements.reserve(session, job.id, job.reason, news.values(), self._clock.now())
            await self._mark(session, ended.row_id)
        if count:
            self._spawn(self._announce(job.id))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def _announce(self, job_id: str) -> None:
        """One message for all that a check reserved."""
        try:
            job = await self._jobs.store.get(job_id)
            async with self._db.session() as session:
                reserved = await announcements.pending(session, job_id)
            if job is None or not reserved:
                return
            ready = await self._versions.ready(reserved)
            settings = await self._settings.read()
            facts = [each.facts for each in ready]
            human = self._texts.new_versions(facts) if facts else None
            checked = int(job.summary.get("servicesChecked") or 0)
            async with self._db.transaction() as session:
                overtaken = {each.id for each in reserved} - {each.announcement.id for each in ready}
                now = self._clock.now()
                await announcements.mark(session, overtaken, AnnouncementStatus.SUPERSEDED, superseded_at=now)
                if human is None:
                    return
                if not settings.wants("new_version"):
                    ids = {each.announcement.id for each in ready}
                    error = "nobody was to be told any more"
                    await announcements.mark(session, ids, AnnouncementStatus.FAILED, last_error=error)
                    return
                for each in ready:
                    await announcements.set_display(
                        session, each.announcement.id, each.facts.current_display_tag, each.facts.candidate_display_tag
                    )
                document = payload.new_versions(job, human, facts, checked, await self._origin())
                event = announcements.event_of(job_id)
                await self._outbox.enqueue(session, event, document, settings.channels, job_id)
            self._queued()
        except Exception:  # it stays reserved; the next start tells it
            log.exception("new versions could not be announced", job_id=job_id)

    async def supersede(self) -> int:
        """Let go of announcements whose candidate is no more, so that it may be announced when it comes back."""
        async with self._db.session() as session:
            found = await announcements.open_ones(session)
        if not found:
            return 0
        overtaken = await self._versions.overtaken(found)
        if overtaken:
            async with self._db.transaction() as session:
                now = self._clock.now()
                await announcements.mark(session, overtaken, AnnouncementStatus.SUPERSEDED, superseded_at=now)
        return len(overtaken)

    # ---- for the room of GitHub's webhooks

    async def announce_anomaly(self, job: JobRecord, repos: Sequence[RepoAnomaly]) -> bool:
        """Tell that a scheduled audit found webhooks missing, in conflict or failing (spec §8.3); whether it is told.

        Does nothing for an audit a person started, without anomalies, or when nobody wants to know.
        """
        settings = await self._settings.read()
        if job.reason != "schedule" or not repos or not settings.wants("ghcr_webhook_anomaly"):
            return False
        clean = [
            RepoAnomaly(repo.owner, repo.repo, repo.state, redact(repo.last_error, settings.secrets))
            if repo.last_error
            else repo
            for repo in repos
        ]
        document = payload.ghcr_anomaly(job, self._texts.ghcr_anomaly(clean), clean, await self._origin())
        async with self._db.transaction() as session:
            await self._outbox.enqueue(session, f"audit:{job.id}", document, settings.channels, job.id)
        self._queued()
        return True
