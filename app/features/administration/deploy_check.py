"""The deploy check (spec §5.7): twelve checks at once, each with its own time, none asks the network or old jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.web.auth import AuthPolicy, Identity, mask
from app.core.web.languages import N_, _, known, pgettext, plural
from app.features.administration import deploy_rules as rules
from app.features.administration.deploy_rules import Outcome
from app.features.administration.deploy_schemas import CheckOut, PassesOut, ReportOut
from app.features.administration.registry_logins import read_logins
from app.features.passkeys import look_at_passes
from app.features.preferences import ReadinessBoard
from app.features.stacks import ProjectRecord, ServiceRecord, StackRecord, Stacks
from app.settings import Settings

log = structlog.get_logger(__name__)

MARGIN_SECONDS: Final = 1.0
NOTIFICATIONS: Final = "/settings/notifications"
FEATURES: Final = {
    "feature.notifications.email": NOTIFICATIONS,
    "feature.notifications.webhook": NOTIFICATIONS,
    "feature.notifications.telegram": NOTIFICATIONS,
    "feature.notifications.web_push": NOTIFICATIONS,
    "feature.github_packages": "/settings/ghcr-webhooks",
}
MATCHED: Final = {
    "user": N_("let in by the allowed user"),
    "group": N_("let in by the allowed group"),
    "anonymous_dev": N_("let in by the development bypass"),
    "token": N_("let in by an API token"),
    "passkey": N_("let in by a passkey"),
}

SEE_ENGINE: Final = N_("See that the Docker engine runs and that DOCKER_HOST names its socket or proxy.")


class DeployCheck:
    """Makes reports. `failing` is how the last one ended; None before there was one."""

    def __init__(
        self,
        *,
        settings: Settings,
        policy: AuthPolicy,
        engine: Engine,
        compose: Compose,
        stacks: Stacks,
        board: ReadinessBoard,
        passkeys: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._engine = engine
        self._compose = compose
        self._stacks = stacks
        self._board = board
        self._passkeys = passkeys
        self._clock = clock
        self._timeout = float(settings.deploy_check_local_command_timeout_seconds)
        self.failing: bool | None = None

    async def report(self, identity: Identity | None = None) -> ReportOut:
        """All checks at once; takes no longer than the time of one command and a second."""
        asked: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "core.forward_auth_authorization_config": self._authorization,
            "core.forward_auth_request_authorization": lambda: self._request(identity),
            "core.docker_engine": self._docker_engine,
            "core.compose_access": self._compose_access,
            "core.service_image_ref_valid": self._image_references,
            "core.update_executor_ready": self._executor,
            "feature.registry_auth": self._registry_logins,
            **{check_id: self._feature(check_id, where) for check_id, where in FEATURES.items()},
        }
        checks = await asyncio.gather(*(self._careful(check_id, asked[check_id]) for check_id in rules.CHECKS))
        overall = rules.overall(checks)
        self.failing = overall.result == "fail"
        return ReportOut(overall=overall, generated_at=self._clock.now(), checks=list(checks))

    async def passes(self) -> PassesOut | None:
        """How it is about passes for the supervisor, beside the twelve of the contract; None without passkeys."""
        if not self._settings.passkeys:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                verdict = await look_at_passes(self._settings, self._engine)
        except (DockrevError, TimeoutError):
            waits = _("the engine would tell whether the supervisor shares their key")
            return PassesOut(status="warn", summary=waits, recommendation=str(SEE_ENGINE))
        return PassesOut(status=verdict.health, summary=verdict.text, recommendation=verdict.remedy)

    async def _careful(self, check_id: str, ask: Callable[[], Awaitable[Outcome]]) -> CheckOut:
        """A check that breaks or hangs is a finding of its own and does not hold up the others."""
        try:
            async with asyncio.timeout(self._timeout + MARGIN_SECONDS):
                outcome = await ask()
        except TimeoutError:
            waited = _("waited %(span)s s", span=f"{self._timeout:g}")
            outcome = Outcome("fail", _("no answer in time"), waited, _("Try again; see the log."))
        except DockrevError as error:
            hint = _said(error.hint) or _("See the log of Dockrev.")
            outcome = Outcome("fail", _said(error.message), error.code, hint)
        except Exception as error:
            log.exception("a check of the deploy check broke", check=check_id)
            broke = _("the check itself broke")
            outcome = Outcome("fail", broke, type(error).__name__, _("See the log of Dockrev."))
        return rules.told(check_id, outcome)

    # ---- who may come in

    async def _authorization(self) -> Outcome:
        policy = self._policy
        user, group = (
            mask(policy.allowed_user) or pgettext("setting", "none"),
            mask(policy.allowed_group) or pgettext("setting", "none"),
        )
        if policy.group_header:
            headers = _("headers %(user)s and %(groups)s", user=policy.user_header, groups=policy.group_header)
        else:
            headers = _("headers %(user)s", user=policy.user_header)
        evidence = _(
            "allowed user %(user)s, allowed group %(group)s; %(headers)s", user=user, group=group, headers=headers
        )
        if policy.has_allow_list:
            return Outcome("pass", _("a user or a group is allowed"), evidence)
        if count := await self._passkeys():
            evidence = f"{plural(count, 'passkey')}; {evidence}"
            return Outcome("pass", _("the owner signs in with a passkey"), evidence)
        return Outcome(
            "fail",
            _("nobody is named who may use Dockrev"),
            evidence,
            _(
                "Set DOCKREV_AUTH_ALLOWED_USER or DOCKREV_AUTH_ALLOWED_GROUP to what your proxy sends, and start "
                "Dockrev again."
            ),
        )

    async def _request(self, identity: Identity | None) -> Outcome:
        if identity is None:
            return Outcome("pass", _("asked by Dockrev itself"))
        groups = ", ".join(filter(None, map(mask, identity.groups[:8]))) or pgettext("setting", "none")
        how = _(
            "user %(user)s, groups %(groups)s", user=mask(identity.user) or pgettext("setting", "none"), groups=groups
        )
        return Outcome("pass", str(MATCHED[identity.matched_by]), f"matchedBy {identity.matched_by}; {how}")

    # ---- what Dockrev works with

    async def _docker_engine(self) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout):
                info = await self._engine.info()
        except TimeoutError:
            return Outcome(
                "fail",
                _("the engine did not answer within %(span)s s", span=f"{self._timeout:g}"),
                str(self._engine.endpoint),
                str(SEE_ENGINE),
            )
        except DockrevError as error:
            hint = _said(error.hint) or str(SEE_ENGINE)
            return Outcome("fail", _said(error.message), str(self._engine.endpoint), hint)
        facts = {"api": info.api_version, "platform": info.platform, "endpoint": self._engine.endpoint}
        return Outcome("pass", f"Docker {info.version}", _("API %(api)s, %(platform)s at %(endpoint)s", **facts))

    async def _executor(self) -> Outcome:
        try:
            version = await self._compose.ask_version(self._timeout)
        except DockrevError as error:
            hint = _said(error.hint) or _("Install Compose 2, or name it in DOCKREV_COMPOSE_BIN.")
            return Outcome("fail", _said(error.message), self._compose.binary, hint)
        return Outcome("pass", f"Compose {version.raw}", self._compose.binary)

    async def _compose_access(self) -> Outcome:
        stacks, projects = await asyncio.gather(self._stacks.stacks("exclude"), self._stacks.projects("exclude"))
        paths = named_files(stacks, projects)
        bad = await asyncio.to_thread(lambda: [path for path in paths if not _is_there(path)])
        return rules.compose_files(paths, bad)

    async def _image_references(self) -> Outcome:
        services = active(await self._stacks.stacks("exclude"))
        return rules.image_references([(f"{one.stack_name}/{one.name}", one.image_ref) for one in services])

    async def _registry_logins(self) -> Outcome:
        stacks = await self._stacks.stacks("exclude")
        refs = [ref for service in active(stacks) if (ref := rules.parsed(service.image_ref)) is not None]
        config = self._settings.docker_config
        logins = await asyncio.to_thread(read_logins, config) if config is not None else None
        return rules.registry_logins(refs, logins, any(stack.compose_files for stack in stacks))

    def _feature(self, check_id: str, where: str) -> Callable[[], Awaitable[Outcome]]:
        async def ask() -> Outcome:
            return rules.feature(await self._board.ask(check_id), where)

        return ask


def _said(text: str) -> str:
    """What an error says: translated where somebody did."""
    return known(text) or text


def active(stacks: Sequence[StackRecord]) -> list[ServiceRecord]:
    """Services that are not archived."""
    return [service for stack in stacks for service in stack.services if not service.hidden]


def named_files(stacks: Sequence[StackRecord], projects: Sequence[ProjectRecord]) -> list[str]:
    """Compose and env files of stacks, and the files that discovery was told of, each once."""
    named = [path for stack in stacks for path in (*stack.compose_files, *stack.env_files)]
    named += [path for project in projects for path in project.config_files or ()]
    return list(dict.fromkeys(named))


def _is_there(path: str) -> bool:
    try:
        return Path(path).is_absolute() and Path(path).is_file()
    except (OSError, ValueError):
        return False
