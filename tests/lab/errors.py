"""Errors of the lab.

LabError
├── LabUnavailable    this machine cannot run the lab; the reason is meant for a person
└── CommandFailed     a program of the lab ended with an error (its output is in the message)
"""

from __future__ import annotations


class LabError(RuntimeError):
    """Anything that went wrong in the lab itself."""


class LabUnavailable(LabError):
    """The lab can't be had here. `reason` says why in words that fit a skip message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CommandFailed(LabError):
    """A program ended with an exit code other than 0."""

    def __init__(self, command: str, code: int, output: str) -> None:
        super().__init__(f"{command} ended with {code}: {output.strip()[-2000:]}")
        self.code = code
        self.output = output
