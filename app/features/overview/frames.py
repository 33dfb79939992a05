"""What every page carries around its content (spec §11.1): navigation, banners, the running job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from litestar import Request

from app.core.feature import NavItem
from app.core.jobs import JobEngine, JobFilter, JobStatus
from app.core.web.auth import AuthPolicy, Identity, identity_of
from app.core.web.frame import Frame, NavLink, Pill
from app.core.web.languages import N_, _
from app.features.stacks import Runtime
from app.settings import Settings

AnyRequest = Request[Any, Any, Any]
PHASES = {
    "prepare": N_("starting"),
    "scanning": N_("checking"),
    "backup": N_("backing up"),
    "apply": N_("updating"),
    "done": N_("ending"),
}


class Frames:
    """Makes the frame of a page; `nav` comes from the installed rooms."""

    def __init__(self, settings: Settings, jobs: JobEngine, runtime: Runtime, nav: Sequence[NavItem]) -> None:
        self._settings = settings
        self._policy: AuthPolicy = settings.auth_policy
        self._jobs = jobs
        self._runtime = runtime
        self._nav = nav

    async def full(self, request: AnyRequest, topics: Sequence[str]) -> Frame:
        """For a page; reads the running jobs."""
        return self._frame(request, topics, await self.pill())

    def bare(self, request: AnyRequest) -> Frame:
        """For an error page: no stream, no job, and no navigation for somebody who was not let in."""
        return self._frame(request, (), None)

    async def pill(self) -> Pill | None:
        """The newest running job, or None."""
        if not self._jobs.running:
            return None
        running = await self._jobs.store.search(JobFilter(statuses=(JobStatus.RUNNING,), limit=20))
        if not running:
            return None
        job = running[0]
        progress = job.summary.get("progress") or {}
        percent = progress.get("percent")
        return Pill(
            job_id=job.id,
            phase=str(PHASES.get(phase := str(progress.get("phase") or job.type), phase.replace("_", " "))),
            percent=float(percent) if isinstance(percent, int | float) and percent else None,
            count=len(running),
        )

    def banners(self) -> Frame:
        """Only what the banners need, for the stream."""
        return self._with_banners(Frame())

    def _frame(self, request: AnyRequest, topics: Sequence[str], pill: Pill | None) -> Frame:
        identity = identity_of(request)
        path = request.url.path
        nav = [
            NavLink(item.href, _(item.label), item.icon, _is_current(item.href, path), item.wide) for item in self._nav
        ]
        frame = self._with_banners(
            Frame(
                nav=nav if identity else (),
                user=identity.user if identity and identity.user else None,
                person=(identity.name or identity.email) if identity else None,
                logout_url=self._logout(identity),
                pill=pill,
                topics=topics,
                version=self._settings.effective_version,
            )
        )
        # the engine's complaint tells where it is: nothing for somebody who was not let in
        return frame if identity else replace(frame, engine_error=None, engine_hint="")

    def _logout(self, identity: Identity | None) -> str | None:
        """Where this person signs out; who came without a name has nowhere to."""
        if identity is None or identity.matched_by == "anonymous_dev":
            return None
        return "/logout" if identity.matched_by == "passkey" else self._policy.logout_url

    def _with_banners(self, frame: Frame) -> Frame:
        engine = self._runtime.engine
        return replace(
            frame,
            engine_error=None if engine.connected or engine.checked_at is None else engine.error,
            engine_hint=engine.hint or "",
            sandbox=self._settings.sandbox,
            passkeys=self._settings.passkeys,
            open_to_anyone=self._policy.open_to_anyone,
        )


def _is_current(href: str, path: str) -> bool:
    if href == "/":
        return path == "/"
    if href == "/services" and path.startswith(("/stacks", "/updates")):
        return True
    if href == "/settings" and path == "/deploy-check":
        return True
    return path == href or path.startswith(href + "/")
