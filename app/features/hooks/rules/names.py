"""What a person types for an owner or a repository, and names as GitHub has them (spec §5.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from app.adapters.github import is_owner, is_repo
from app.core.errors import InvalidArgument

MAX_INPUT: Final = 400
HOST: Final = "github.com"
Kind = Literal["repo", "owner"]


@dataclass(frozen=True, slots=True)
class Target:
    """An owner, or with `repo` one repository of theirs, spelled as typed."""

    owner: str
    repo: str | None = None

    @property
    def kind(self) -> Kind:
        """As the API calls it."""
        return "owner" if self.repo is None else "repo"

    @property
    def key(self) -> str:
        """Equal for two inputs that mean the same."""
        return (self.owner if self.repo is None else f"{self.owner}/{self.repo}").lower()


def parse_target(text: str) -> Target:
    """`owner`, `owner/repo`, an address on github.com or `git@github.com:…`. Raises `invalid target input`."""
    given = text.strip()
    if not given:
        raise _invalid(text, "it is empty")
    if len(given) > MAX_INPUT or not given.isprintable():
        raise _invalid(text, "it is too long or not readable")
    if given.startswith(f"git@{HOST}:"):
        parts = given.removeprefix(f"git@{HOST}:").split("/")
        return _target(text, parts, repo_wanted=True)
    if "://" in given:
        return _from_url(text, given)
    return _target(text, given.split("/"))


def _from_url(text: str, given: str) -> Target:
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid(text, "the address cannot be read") from None
    if parts.scheme not in ("http", "https") or host != HOST or port is not None or "@" in parts.netloc:
        raise _invalid(text, f"only addresses on {HOST} are known")
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments[:1] == ["orgs"] and len(segments) > 1:
        return _target(text, segments[1:2])
    return _target(text, segments[:2])


def _target(text: str, parts: list[str], *, repo_wanted: bool = False) -> Target:
    if len(parts) == 1 and not repo_wanted and is_owner(parts[0]):
        return Target(parts[0])
    if len(parts) == 2 and is_owner(parts[0]):
        repo = parts[1].removesuffix(".git")
        if is_repo(repo):
            return Target(parts[0], repo)
    raise _invalid(text, f"expected owner, owner/repo or an address on {HOST}")


def _invalid(text: str, error: str) -> InvalidArgument:
    return InvalidArgument(
        "invalid target input",
        hint="Write an owner (acme), a repository (acme/web) or its address on github.com.",
        details={"field": "input", "input": text[:200], "error": error},
    )


def split_full_name(text: str) -> tuple[str, str] | None:
    """Owner and repository of exactly `owner/repo`; None for anything else."""
    owner, slash, repo = text.strip().partition("/")
    return (owner, repo) if slash and is_owner(owner) and is_repo(repo) else None


def full_name(text: str, field: str = "fullName") -> tuple[str, str]:
    """The same, or InvalidArgument `invalid fullName`."""
    found = split_full_name(text)
    if found is None:
        raise InvalidArgument(
            "invalid fullName", hint="Write it as owner/repo.", details={"field": field, "fullName": text[:200]}
        )
    return found
