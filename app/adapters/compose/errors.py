"""What can go wrong with Compose and its files.

AdapterError
└── ComposeError
    ├── ComposeMissing         no Compose v2 to be had. details: binary
    ├── ComposeInvalidName     a project, service or image name that must not reach a command line
    ├── ComposeCommandFailed   it ran and failed; `.result`
    ├── ComposeTimeout         it was ended after its time; `.result` holds what came until then
    ├── ComposeFileUnreadable  `.path`; details: path
    └── ComposeFileInvalid     `.path`, `.line` (1-based, 0 = the file as a whole), `.reason`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.core.errors import AdapterError

_RATE_LIMIT_WORDS = ("toomanyrequests", "too many requests", "rate limit", "rate-limit", "pull limit")
_TRANSIENT_WORDS = ("timeout", "timed out", "deadline exceeded", "connection refused", "connection reset", "eof", " 50")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """One command that ran. `stdout`/`stderr` are the last part of what it wrote, colours removed, *not* redacted:
    show them through `Compose.outcome`. `duration` in seconds; `returncode` is negative for a signal."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration: float

    @property
    def rate_limited(self) -> bool:
        """Whether a registry said that there were too many requests (spec §7.8: never retried)."""
        said = f"{self.stderr}\n{self.stdout}".lower()
        return any(word in said for word in _RATE_LIMIT_WORDS)


class ComposeError(AdapterError):
    code: ClassVar[str] = "compose"


class ComposeMissing(ComposeError):
    code = "compose_missing"

    def __init__(self, binary: str, reason: str) -> None:
        super().__init__(
            f"Compose v2 cannot be run as {binary}: {reason}",
            hint="Install the docker compose plugin (version 2) and set DOCKREV_COMPOSE_BIN to `docker`, or to the "
            "path of a docker-compose of version 2. Compose 1 is not enough.",
            details={"binary": binary, "reason": reason},
        )


class ComposeInvalidName(ComposeError):
    code = "compose_invalid_name"


class ComposeCommandFailed(ComposeError):
    """`said` is the redacted end of what the command wrote. Permanent unless the words sound like a bad moment."""

    code = "compose_failed"

    def __init__(self, result: CommandResult, action: str, said: str) -> None:
        self.result = result
        self.rate_limited = result.rate_limited
        words = "registry rate limited" if self.rate_limited else said or "it said nothing"
        transient = action == "pull" and any(w in result.stderr.lower() for w in _TRANSIENT_WORDS)
        super().__init__(
            f"docker compose {action} ended with status {result.returncode}: {words}",
            permanent=self.rate_limited or not transient,
            details={"action": action, "status": result.returncode},
        )


class ComposeTimeout(ComposeError):
    code = "compose_timeout"

    def __init__(self, result: CommandResult, action: str, timeout: float) -> None:
        self.result = result
        super().__init__(
            f"docker compose {action} took longer than {timeout:g} s and was ended",
            permanent=False,
            hint="Look at the engine's log: a slow registry or disk is the usual cause.",
            details={"action": action, "timeoutSeconds": timeout},
        )


class ComposeFileUnreadable(ComposeError):
    code = "compose_file_unreadable"

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"compose_file_unreadable: {shown(path)} ({reason})",
            hint="Mount the folder of the stack into Dockrev, read-only, at the same absolute path as on the host.",
            details={"path": shown(path), "reason": reason},
        )


class ComposeFileInvalid(ComposeError):
    code = "compose_file_invalid"

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path, self.line, self.reason = path, line, reason
        where = f", line {line}" if line else ""
        super().__init__(
            f"compose_file_invalid: {shown(path)}{where}: {reason}",
            hint="Correct the file; `docker compose config` on the host shows the same complaint.",
            details={"path": shown(path), "line": line, "reason": reason},
        )


def shown(path: Path) -> str:
    """A path for messages: printable and bounded, whatever a label put into it."""
    return "".join(c if c.isprintable() else "?" for c in str(path))[:512]
