"""What a fault proxy does to which requests, and what it keeps of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lab.httpwire import Answer, Request

WRONG_DIGEST = "sha256:" + "0" * 64

_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "MANIFEST_UNKNOWN", 429: "TOOMANYREQUESTS"}


@dataclass
class Rule:
    """What happens to matching requests. Of several matching rules, the one added last acts.

    `path` is a regular expression searched in the path; `method` None matches all; `times` None is for ever,
    otherwise the rule acts so often and then no more; `skip` lets so many matching requests pass first.
    Times in seconds.
    """

    path: str = ""
    method: str | None = None
    times: int | None = None
    skip: int = 0
    latency: float = 0.0
    status: int | None = None
    """Answer with this status instead of asking upstream."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Put into the answer, made here or passed on."""
    body: bytes | None = None
    """Sent instead of the body."""
    drop: bool = False
    """Close the connection without an answer."""
    cut_body: int | None = None
    """Announce the whole body, send so many bytes, close the connection."""
    wrong_digest: bool = False
    """Announce another `Docker-Content-Digest`."""
    remove_headers: tuple[str, ...] = ()
    slow_headers: float = 0.0
    """Send the headers in small pieces, spread over this time."""
    slow_body: float = 0.0
    """Wait so long before each 64 kB of the body."""
    hits: int = 0

    def matches(self, request: Request) -> bool:
        return (self.method in (None, request.method)) and re.search(self.path, request.path) is not None


@dataclass(frozen=True)
class Recorded:
    """One request as the proxy saw it. `status` 0: the connection was closed without an answer."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    status: int
    started: float
    seconds: float
    answer_headers: Mapping[str, str]


@dataclass
class RateLimit:
    """A pull quota as Docker Hub counts it: a GET of a manifest is a pull, a HEAD is free."""

    limit: int = 100
    remaining: int = 100
    window: int = 21600
    retry_after: int | None = None
    source: str = "203.0.113.7"

    def headers(self) -> dict[str, str]:
        return {
            "ratelimit-limit": f"{self.limit};w={self.window}",
            "ratelimit-remaining": f"{self.remaining};w={self.window}",
            "docker-ratelimit-source": self.source,
        }


def error_answer(status: int, message: str = "made by the lab") -> Answer:
    """An error in the form of the OCI distribution API."""
    code = _CODES.get(status, "UNKNOWN")
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)
