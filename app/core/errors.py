"""The one exception hierarchy of Dockrev.

    DockrevError
    ├── InvalidArgument      400  invalid_argument
    ├── AuthRequired         401  auth_required
    ├── Unauthorized         401  unauthorized
    ├── Forbidden            403  forbidden  (StepUpRequired: the person is wanted again)
    ├── NotFound             404  not_found
    ├── MethodNotAllowed     405  method_not_allowed
    ├── Conflict             409  conflict
    ├── Internal             500  internal
    ├── Unavailable          503  unavailable
    └── AdapterError         502  upstream   (each adapter derives its own tree)

`code`, `message` and `details` are what a client gets (spec §3.6); `hint` is the remedy, in words an owner can act on.
None of them ever carries a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class DockrevError(Exception):
    """Base of everything Dockrev raises on purpose."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})


class InvalidArgument(DockrevError):
    """The request is well addressed but says something impossible; `details.field` names the culprit."""

    code = "invalid_argument"
    status = 400


class AuthRequired(DockrevError):
    """No accepted identity came with the request (spec §3.3). `login` is where a browser signs in, if anywhere."""

    code = "auth_required"
    status = 401
    login: str = ""


class Unauthorized(DockrevError):
    """A webhook came without its secret or signature (spec §3.4, §3.5)."""

    code = "unauthorized"
    status = 401


class Forbidden(DockrevError):
    """The request came from another site or without its form token."""

    code = "forbidden"
    status = 403


class StepUpRequired(Forbidden):
    """Somebody is signed in, but this wants the person again; `login` is where a browser is led for that."""

    login: str = ""


class NotFound(DockrevError):
    """The named object does not exist."""

    code = "not_found"
    status = 404


class MethodNotAllowed(DockrevError):
    """The address exists, the method on it does not."""

    code = "method_not_allowed"
    status = 405


class Conflict(DockrevError):
    """The state of things forbids it now; often `details.existingJobId` and `details.reason`."""

    code = "conflict"
    status = 409


class Internal(DockrevError):
    """Dockrev's own fault."""


class Unavailable(DockrevError):
    """Something Dockrev needs is away for now (the engine, the disk)."""

    code = "unavailable"
    status = 503


class AdapterError(DockrevError):
    """An outside world failed. `permanent` tells the caller whether another try can help."""

    code = "upstream"
    status = 502

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = True,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.permanent = permanent
