"""What can go wrong between Dockrev and somebody who is to be told something.

    AdapterError
    └── NotifyError
        ├── NotConfigured   something needed to send is missing or unusable    permanent
        ├── Refused         the other side said no and would say it again      permanent
        │   └── Gone        the device does not want pushes any more           permanent
        └── Unreachable     no connection, no answer in time, 5xx, 429         try again

Texts name the host and what was answered; never an address with a password or token in it.
"""

from __future__ import annotations

from app.core.errors import AdapterError


class NotifyError(AdapterError):
    """Base of everything the notify adapter raises."""


class NotConfigured(NotifyError):
    """A setting is missing or cannot be used."""


class Refused(NotifyError):
    """Another try would end the same way."""


class Gone(Refused):
    """The push service does not know the subscription any more."""


class Unreachable(NotifyError):
    """Another try may work. `retry_after` is in seconds, if the other side named any."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, permanent=False, hint=hint)
        self.retry_after = retry_after
