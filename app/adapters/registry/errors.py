"""What can go wrong between Dockrev and a registry.

    AdapterError
    └── RegistryError
        ├── InvalidReference      the text is no image reference                     permanent
        ├── RegistryUnreachable   no connection, cut-off answer, 5xx                 try again
        │   └── RegistryTimeout   nothing came in time                               try again
        ├── RegistryAuthError     401 or 403 in spite of everything we may present   permanent
        ├── RateLimited           429 after all retries                              try again, later
        ├── RegistryCoolingDown   not even asked: the host is resting after a 429    try again, later
        ├── ManifestUnknown       the repository, tag or digest does not exist       permanent
        ├── BadManifest           the answer is not what its digest or type claims   permanent
        └── RegistryRefused       any other answer Dockrev cannot go on with         permanent

Texts name the registry host, the repository and the status; never a credential, a token or a whole URL.
"""

from __future__ import annotations

from app.core.errors import AdapterError


class RegistryError(AdapterError):
    """Base of everything the registry adapter raises."""


class InvalidReference(RegistryError):
    """The text is not an image reference (spec §7.2)."""

    code = "invalid_argument"
    status = 400


class RegistryUnreachable(RegistryError):
    """The registry did not give a complete answer; the same request may work later."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, permanent=False, hint=hint)


class RegistryTimeout(RegistryUnreachable):
    """The registry took longer than the connect or request timeout."""


class RegistryAuthError(RegistryError):
    """The registry wants other credentials than Dockrev has for it."""


class RateLimited(RegistryError):
    """The registry answered 429 until the retries were used up. `retry_after` is in seconds, if it named any."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, permanent=False, hint=hint)
        self.retry_after = retry_after


class RegistryCoolingDown(RegistryError):
    """A background request was not sent, because the host rests after a rate limit."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, permanent=False, hint=hint)


class ManifestUnknown(RegistryError):
    """The registry does not know this repository, tag or digest."""


class BadManifest(RegistryError):
    """A body that is too large, not JSON, of an unknown kind, or that does not hash to its digest."""


class RegistryRefused(RegistryError):
    """An answer that leaves nothing to try."""
