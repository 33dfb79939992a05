"""GitHub's API as far as Dockrev uses it: repositories of an owner, webhooks of a repository (spec §9.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Final

from app.adapters.github.errors import GitHubNotFound, GitHubRefused
from app.adapters.github.records import Hook, Repository, is_owner, is_repo
from app.adapters.github.transport import SECONDS, Transport
from app.core.clock import utc_now

API_URL: Final = "https://api.github.com"
PER_PAGE: Final = 100
MAX_PAGES: Final = 100
EVENT: Final = "package"


class GitHub:
    """A few requests with one token: `async with GitHub(url, token) as github`.

    Every method raises the GitHubError tree. Nothing is tried twice: who calls knows whether that is wanted.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        seconds: float = SECONDS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._transport = Transport(base_url, token, now=now, seconds=seconds)

    async def __aenter__(self) -> GitHub:
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def repositories(self, owner: str) -> list[Repository]:
        """All repositories of an organisation or a person that the token may see, by name.

        Raises GitHubNotFound when GitHub has no such owner.
        """
        _require(is_owner(owner), f"{owner[:40]!r} is no owner")
        about = f"repositories of {owner}"
        try:
            found = await self._pages(f"/orgs/{owner}/repos?type=all", about)
        except GitHubNotFound:  # a person, then: what is theirs and private is told only to themselves
            mine = await self._pages("/user/repos?affiliation=owner", about) if self._transport.has_token else []
            found = [*mine, *await self._pages(f"/users/{owner}/repos?type=owner", about)]
        seen: dict[str, Repository] = {}
        for document in found:
            repository = Repository.read(document)
            if repository is not None and repository.owner.lower() == owner.lower():
                seen.setdefault(repository.full_name.lower(), repository)
        return [seen[name] for name in sorted(seen)]

    async def hooks(self, owner: str, repo: str) -> list[Hook]:
        """The webhooks of a repository, in GitHub's order."""
        path = _hooks_path(owner, repo)
        return _hooks(await self._pages(path, f"webhooks of {owner}/{repo}"))

    async def create_hook(self, owner: str, repo: str, url: str, secret: str) -> Hook:
        """Add the webhook Dockrev wants; returns it as GitHub stored it."""
        about = f"adding a webhook to {owner}/{repo}"
        body = {"name": "web", **_wanted(url, secret)}
        answer = await self._transport.send("POST", _hooks_path(owner, repo), about=about, body=body)
        return self._one(answer.document, about)

    async def update_hook(self, owner: str, repo: str, hook_id: int, url: str, secret: str) -> Hook:
        """Make an existing webhook the one Dockrev wants."""
        about = f"changing webhook {hook_id} of {owner}/{repo}"
        path = f"{_hooks_path(owner, repo)}/{hook_id}"
        answer = await self._transport.send("PATCH", path, about=about, body=_wanted(url, secret))
        return self._one(answer.document, about)

    async def delete_hook(self, owner: str, repo: str, hook_id: int) -> bool:
        """Remove a webhook; False when there was none any more."""
        about = f"removing webhook {hook_id} of {owner}/{repo}"
        try:
            await self._transport.send("DELETE", f"{_hooks_path(owner, repo)}/{hook_id}", about=about)
        except GitHubNotFound:
            return False
        return True

    async def _pages(self, path: str, about: str) -> list[Any]:
        """Every entry of a list. Pages are counted: an address out of an answer would be somebody else's choice."""
        found: list[Any] = []
        for page in range(1, MAX_PAGES + 1):
            joint = "&" if "?" in path else "?"
            answer = await self._transport.send("GET", f"{path}{joint}per_page={PER_PAGE}&page={page}", about=about)
            if not isinstance(answer.document, list):
                raise GitHubRefused(f"{self._transport.host} sent no list: {about}", answered=answer.status)
            found += answer.document
            more = len(answer.document) >= PER_PAGE if answer.has_next is None else answer.has_next
            if not more or not answer.document:
                return found
        raise GitHubRefused(f"{self._transport.host} has more than {MAX_PAGES * PER_PAGE} entries: {about}")

    def _one(self, document: Any, about: str) -> Hook:
        hook = Hook.read(document)
        if hook is None:
            raise GitHubRefused(f"{self._transport.host} did not say which webhook it made: {about}")
        return hook


def _wanted(url: str, secret: str) -> dict[str, Any]:
    config = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
    return {"active": True, "events": [EVENT], "config": config}


def _hooks_path(owner: str, repo: str) -> str:
    _require(is_owner(owner) and is_repo(repo), f"{owner[:40]!r}/{repo[:40]!r} is no repository")
    return f"/repos/{owner}/{repo}/hooks"


def _hooks(documents: Iterable[Any]) -> list[Hook]:
    return [hook for document in documents if (hook := Hook.read(document)) is not None]


def _require(fine: bool, problem: str) -> None:
    if not fine:
        raise GitHubRefused(problem)
