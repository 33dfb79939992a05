"""What can go wrong between Dockrev and GitHub.

    AdapterError
    └── GitHubError
        ├── GitHubUnreachable    no connection, cut-off answer, 5xx                      try again
        │   └── GitHubTimeout    nothing complete came in time                           try again
        ├── GitHubRateLimited    the hourly quota is used up, or too much at once        try again, later
        ├── GitHubDenied         401 or 403: the token is wrong or may not do that       permanent
        ├── GitHubNotFound       404: it does not exist, or the token may not see it     permanent
        └── GitHubRefused        any other answer Dockrev cannot go on with              permanent

Texts name the host, what was asked for and the status, and at most GitHub's own sentence; never the token.
"""

from __future__ import annotations

from app.core.errors import AdapterError


class GitHubError(AdapterError):
    """Base of everything the GitHub adapter raises. `answered` is the status of GitHub's answer, if there was one."""

    def __init__(self, message: str, *, permanent: bool = True, hint: str = "", answered: int | None = None) -> None:
        super().__init__(message, permanent=permanent, hint=hint)
        self.answered = answered


class GitHubUnreachable(GitHubError):
    """There was no complete answer; the same request may work later."""

    def __init__(self, message: str, *, hint: str = "", answered: int | None = None) -> None:
        super().__init__(message, permanent=False, hint=hint, answered=answered)


class GitHubTimeout(GitHubUnreachable):
    """The answer took longer than the timeout."""


class GitHubRateLimited(GitHubError):
    """GitHub wants to be left alone. `retry_after` is in seconds, counted from the answer."""

    def __init__(self, message: str, *, retry_after: float, answered: int) -> None:
        hint = "Wait until the limit is renewed; Dockrev does not ask before somebody tells it to."
        super().__init__(message, permanent=False, hint=hint, answered=answered)
        self.retry_after = retry_after


class GitHubDenied(GitHubError):
    """The token is not valid, has expired, or lacks a permission."""


class GitHubNotFound(GitHubError):
    """There is no such owner, repository or hook, or none that this token may see."""


class GitHubRefused(GitHubError):
    """An answer that leaves nothing to try."""
