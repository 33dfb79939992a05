"""GitHub's REST API: repositories of an owner and webhooks of a repository, nothing else (spec §9.3).

Use `GitHub` from here. Everything it raises derives from `GitHubError`.
"""

from app.adapters.github.client import API_URL, EVENT, GitHub
from app.adapters.github.errors import (
    GitHubDenied,
    GitHubError,
    GitHubNotFound,
    GitHubRateLimited,
    GitHubRefused,
    GitHubTimeout,
    GitHubUnreachable,
)
from app.adapters.github.records import Hook, Repository, is_owner, is_repo

__all__ = [
    "API_URL",
    "EVENT",
    "GitHub",
    "GitHubDenied",
    "GitHubError",
    "GitHubNotFound",
    "GitHubRateLimited",
    "GitHubRefused",
    "GitHubTimeout",
    "GitHubUnreachable",
    "Hook",
    "Repository",
    "is_owner",
    "is_repo",
]
