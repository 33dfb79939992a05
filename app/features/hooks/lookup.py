"""From what a person typed to repositories (spec §5.6 resolve, targets)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.adapters.github import (
    GitHub,
    GitHubDenied,
    GitHubError,
    GitHubNotFound,
    GitHubRateLimited,
    GitHubTimeout,
    Repository,
)
from app.core.clock import Clock
from app.core.errors import DockrevError, Internal, InvalidArgument
from app.features.hooks.matching import deployed_repos
from app.features.hooks.rules.names import Kind, Target, parse_target
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import Name, TrackedRepos
from app.features.stacks import Stacks


class TokenProblem(InvalidArgument):
    """There is no token, or GitHub does not accept it for this (spec §15: 422)."""

    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class FoundRepo:
    """A repository of the answer; `deployed` when a service here runs its image."""

    full_name: str
    selected: bool
    visibility: str
    last_activity_at: datetime | None
    deployed: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """What an input means."""

    kind: Kind
    owner: str
    repos: tuple[FoundRepo, ...]
    warnings: tuple[str, ...]


class Lookup:
    """Asks GitHub who has which repositories, and adds them to those tracked."""

    def __init__(self, settings: HookSettings, repos: TrackedRepos, stacks: Stacks, clock: Clock, api_url: str) -> None:
        self._settings = settings
        self._repos = repos
        self._stacks = stacks
        self._clock = clock
        self._api_url = api_url

    async def resolve(self, text: str) -> Resolved:
        """Raises InvalidArgument for no target, TokenProblem (422) and Internal with the reasons of spec §5.6."""
        target = parse_target(text)
        known = await self._repos.known(target.owner)
        deployed = deployed_repos(await self._stacks.select("all"))
        if target.repo is not None:
            name = f"{target.owner}/{target.repo}"
            tracked = known.get(name.lower())
            found = FoundRepo(
                tracked.full_name if tracked else name,
                tracked.selected if tracked else True,
                "unknown",
                None,
                name.lower() in deployed,
            )
            return Resolved("repo", target.owner, (found,), ())
        pat = (await self._settings.read()).pat
        if not pat:
            raise TokenProblem(
                "pat is required",
                hint="Store a token first: GitHub tells the repositories of an owner to somebody it knows.",
                details={"reason": "ghcr_pat_missing", "owner": target.owner},
            )
        listed = await self._of_owner(target, pat)
        return Resolved(
            "owner",
            listed[0].owner if listed else target.owner,
            tuple(
                FoundRepo(
                    each.full_name,
                    (record := known.get(each.full_name.lower())) is not None and record.selected,
                    each.visibility,
                    each.pushed_at,
                    each.full_name.lower() in deployed,
                )
                for each in listed
            ),
            _warnings(listed),
        )

    async def add(self, text: str, only: Collection[str] | None = None) -> tuple[Target, int]:
        """Keep the target and track its repositories as selected; how many were not tracked before.

        With `only`, those of them alone (full names, whatever their case), and those already tracked get selected.
        Raises `pat is required`, and what `resolve` raises.
        """
        target = parse_target(text)
        pat = (await self._settings.read()).pat
        if not pat:
            raise InvalidArgument("pat is required", hint="Store a token first.", details={"field": "pat"})
        warnings: tuple[str, ...] = ()
        if target.repo is not None:
            wanted: list[Name] = [(target.owner, target.repo)]
        else:
            listed = await self._of_owner(target, pat)
            wanted, warnings = [(each.owner, each.name) for each in listed], _warnings(listed)
        if only is not None:
            chosen = {name.strip().lower() for name in only}
            wanted = [name for name in wanted if "/".join(name).lower() in chosen]
        async with self._repos.db.transaction() as session:
            await self._settings.add_target(session, text.strip(), target, warnings)
            return target, await self._repos.add(session, wanted, select_known=only is not None)

    async def _of_owner(self, target: Target, pat: str) -> list[Repository]:
        try:
            async with GitHub(self._api_url, pat, now=self._clock.now) as github:
                return await github.repositories(target.owner)
        except GitHubError as error:
            raise told(error, target.owner) from None


def _warnings(listed: Collection[Repository]) -> tuple[str, ...]:
    archived = sum(each.archived for each in listed)
    found = []
    if not listed:
        found.append("GitHub tells of no repository of this owner that the token may see.")
    if archived:
        found.append(f"Archived on GitHub, where no webhook can be added: {archived} of {len(listed)}.")
    return tuple(found)


def told(error: GitHubError, owner: str) -> DockrevError:
    """A failure of GitHub as an answer of the API (spec §5.6)."""
    if isinstance(error, GitHubDenied):
        return TokenProblem(
            "GitHub does not accept the token for this owner",
            hint=error.hint,
            details={
                "reason": "ghcr_pat_invalid_or_scope_insufficient",
                "owner": owner,
                "status": error.answered,
                "cause": error.message,
            },
        )
    if isinstance(error, GitHubNotFound):
        return InvalidArgument(
            "invalid target input",
            hint="Check the spelling, and whether the token may see this owner.",
            details={"field": "input", "input": owner, "error": error.message},
        )
    details = {"reason": "github_upstream_unavailable", "owner": owner, "cause": error.message}
    if isinstance(error, GitHubTimeout):
        details["reason"] = "github_upstream_timeout"
    elif isinstance(error, GitHubRateLimited):
        details["retryAfterSeconds"] = str(round(error.retry_after))
    return Internal("internal error", hint=error.hint, details=details)
