"""What is done to the webhook of one repository on GitHub (spec §9.4). Knows no job and no table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from app.adapters.github import GitHub, GitHubError, GitHubNotFound, GitHubRateLimited, Hook
from app.features.hooks.models import WebhookState
from app.features.hooks.rules.urls import ours

T = TypeVar("T")
DELAYS: Final = (1.0, 3.0, 8.0)  # up to three more tries, for what may pass by itself
LONGEST_WAIT: Final = 60.0  # a longer rate limit ends the job: a worker must not sleep for an hour
ERROR_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """The webhook as it shall be."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """Which of several webhooks stays, and which of them go."""

    keep: int
    delete: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How a repository's webhook stands after it was looked at or changed. `hooks` are those in conflict."""

    state: WebhookState
    hook_id: int | None = None
    error: str | None = None
    hooks: tuple[Hook, ...] = ()
    deleted: int = 0
    action: str = "noop"

    @property
    def failed(self) -> bool:
        """Whether GitHub did not let us do or see it."""
        return self.state is WebhookState.ERROR


class Worker:
    """Repository after repository with one connection to GitHub."""

    def __init__(
        self, github: GitHub, wanted: Wanted, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._github = github
        self._wanted = wanted
        self._sleep = sleep

    async def sync(self, owner: str, repo: str, resolution: Resolution | None = None) -> Result:
        """Make sure there is exactly the webhook that is wanted. Several are left alone until somebody chose one."""
        return await self._told(lambda: self._sync(owner, repo, resolution))

    async def audit(self, owner: str, repo: str) -> Result:
        """Only look."""
        return await self._told(lambda: self._audit(owner, repo))

    async def unregister(self, owner: str, repo: str, hook_id: int | None) -> Result:
        """Remove the webhook that is known and every other one that calls us."""
        return await self._told(lambda: self._unregister(owner, repo, hook_id))

    async def _sync(self, owner: str, repo: str, resolution: Resolution | None) -> Result:
        found = ours(await self._github.hooks(owner, repo), self._wanted.url)
        if resolution is not None and len(found) > 1:
            if resolution.keep not in {hook.id for hook in found}:
                return Result(
                    WebhookState.CONFLICT,
                    None,
                    "the webhook to keep is not there any more",
                    tuple(found),
                    0,
                    "conflict",
                )
            for hook in found:  # only what calls us may be removed, whatever was asked for
                if hook.id in resolution.delete and hook.id != resolution.keep:
                    await self._github.delete_hook(owner, repo, hook.id)
            found = ours(await self._github.hooks(owner, repo), self._wanted.url)
        if len(found) > 1:
            text = f"{len(found)} webhooks call this Dockrev; choose the one to keep"
            return Result(WebhookState.CONFLICT, None, text, tuple(found), 0, "conflict")
        if not found:
            made = await self._github.create_hook(owner, repo, self._wanted.url, self._wanted.secret)
            return Result(WebhookState.OK, made.id, action="created")
        kept = await self._github.update_hook(owner, repo, found[0].id, self._wanted.url, self._wanted.secret)
        return Result(WebhookState.OK, kept.id, action="updated")

    async def _audit(self, owner: str, repo: str) -> Result:
        found = ours(await self._github.hooks(owner, repo), self._wanted.url)
        if len(found) > 1:
            return Result(WebhookState.CONFLICT, None, f"{len(found)} webhooks call this Dockrev", tuple(found))
        if not found:
            return Result(WebhookState.MISSING, None, "no webhook on GitHub calls this Dockrev")
        if not found[0].active:
            return Result(WebhookState.MISSING, found[0].id, "its webhook is switched off on GitHub")
        return Result(WebhookState.OK, found[0].id)

    async def _unregister(self, owner: str, repo: str, hook_id: int | None) -> Result:
        try:
            doomed = [hook.id for hook in ours(await self._github.hooks(owner, repo), self._wanted.url)]
        except GitHubNotFound:  # the repository is gone, and its webhooks with it
            return Result(WebhookState.UNKNOWN, action="deleted")
        deleted = 0
        for number in dict.fromkeys([*([hook_id] if hook_id else []), *doomed]):
            deleted += await self._github.delete_hook(owner, repo, number)
        return Result(WebhookState.UNKNOWN, deleted=deleted, action="deleted")

    async def _told(self, action: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await patiently(action, self._sleep)
        except GitHubError as error:
            return Result(WebhookState.ERROR, None, explained(error), action="error")


async def patiently(action: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]]) -> T:
    """Up to three more tries for what may pass by itself (spec §9.4). Raises the last GitHubError.

    The whole action is repeated: a webhook whose answer got lost is found then, not made a second time.
    """
    for delay in DELAYS:
        try:
            return await action()
        except GitHubRateLimited as error:
            if error.retry_after > LONGEST_WAIT:
                raise
            await sleep(error.retry_after)
        except GitHubError as error:
            if error.permanent:
                raise
            await sleep(delay)
    return await action()


def explained(error: GitHubError) -> str:
    """A failure with its remedy, for a row of a list."""
    wait = f" It asks to wait {error.retry_after / 60:.0f} min." if isinstance(error, GitHubRateLimited) else ""
    return f"{error.message}.{wait} {error.hint}".strip()[:ERROR_LIMIT]


def hook_documents(hooks: Sequence[Hook]) -> list[dict[str, Any]]:
    """The webhooks in conflict as the API tells them."""
    return [{"id": hook.id, "url": hook.url, "events": list(hook.events), "active": hook.active} for hook in hooks[:20]]
