"""Talks to a Dockrev: its API over HTTP, errors as sentences with an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from app.cli.exits import Exit, Failure
from app.cli.sse import Event, events
from app.cli.text import one_line
from app.cli.token import VARIABLE

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 45.0  # a stream says something every 15 s
DEFAULT_PORT: Final = 50883

_CODES: Final = {
    **dict.fromkeys((400, 401, 403, 404), Exit.USAGE),
    409: Exit.CONFLICT,
    **dict.fromkeys((429, 503), Exit.UNREACHABLE),
}
_START_IT: Final = "Is it running? Start it with `dockrev serve`, or name another with --url or DOCKREV_URL."


class Unreachable(Failure):
    """Nobody answers, or somebody who is not Dockrev."""

    def __init__(self, message: str, hint: str = _START_IT) -> None:
        super().__init__(message, exit_code=Exit.UNREACHABLE, hint=hint, code="unreachable")


class Refused(Failure):
    """Dockrev answered with an error; `details` are the envelope's, `wait` is in how many seconds to ask again."""

    def __init__(
        self, status: int, code: str, message: str, details: dict[str, Any], *, by_token: bool = False, wait: int = 0
    ) -> None:
        hint = _hint(status, details, by_token, wait) or one_line(details.get("hint", ""))
        super().__init__(message, exit_code=_CODES.get(status, Exit.FAILED), hint=hint, code=code)
        self.status = status
        self.details = details
        self.wait = wait


def _hint(status: int, details: dict[str, Any], by_token: bool, wait: int) -> str:
    """The remedy at a shell, where it is another one than on a page."""
    if status == 401:
        remedy = f"Say who you are with --user, or put an API token into {VARIABLE}."
        if by_token:
            remedy = f"Make a token under Settings, API tokens, and put it into {VARIABLE} or the token file."
        return f"{one_line(details.get('message', ''))}. {remedy}".removeprefix(". ")
    if status == 403 and (needed := details.get("neededScope")):
        has = one_line(details.get("tokenScope", "another"), 20)
        return f"The token has the scope {has}. Make one with the scope {one_line(needed, 20)} and use that."
    if status == 429 and wait:
        return f"Ask again in {wait} s."
    if job := details.get("existingJobId"):
        return f"Watch what is in the way: dockrev jobs follow {job}"
    return ""


def default_url() -> str:
    """Dockrev on this machine, at the port it would use."""
    _, _, port = os.environ.get("DOCKREV_HTTP_ADDR", "").rpartition(":")
    return f"http://127.0.0.1:{port if port.isdigit() and port != '0' else DEFAULT_PORT}"


def _user_header() -> str:
    from app.core.web.presets import DEFAULT, PRESETS

    preset = PRESETS.get(os.environ.get("DOCKREV_AUTH_PRESET", "").strip().lower(), DEFAULT)
    return os.environ.get("DOCKREV_AUTH_FORWARD_HEADER_NAME") or preset.user


class Client:
    """One Dockrev. With `token` nobody else is named. `uds` is the path of a socket to use instead of the address."""

    def __init__(self, url: str, *, user: str = "", token: str = "", uds: str | None = None) -> None:
        import httpx

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failure(f"not an address: {url}", exit_code=Exit.USAGE, hint="It looks like http://127.0.0.1:50883.")
        if not user.isascii() or not user.isprintable():
            raise Failure("the user's name must be printable ASCII", exit_code=Exit.USAGE)
        self.url = url.rstrip("/")
        headers = {"Accept": "application/json", "User-Agent": "dockrev-cli"}
        self._by_token = bool(token)
        if token:  # says who it is; a name beside it would say it twice
            headers["Authorization"] = f"Bearer {token}"
        elif user:
            headers[_user_header()] = user
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=5.0),
            transport=httpx.HTTPTransport(uds=uds) if uds else None,
            trust_env=uds is None and parts.hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def version(self) -> str:
        """The version of the Dockrev that answers. Raises Unreachable."""
        found = self.get("/api/version").get("version")
        if not isinstance(found, str):
            raise Unreachable(f"what answers at {self.url} is not Dockrev")
        return found

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """GET a document; members of `query` that are None are left out. Raises Unreachable, Refused."""
        return self._ask("GET", path, params={key: value for key, value in query.items() if value is not None})

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST a document. Raises Unreachable, Refused."""
        return self._ask("POST", path, json=body or {})

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with self._told():
            answer = self._http.request(method, path, **more)
        if not answer.is_success:
            raise self._refusal(answer)
        return self._document(answer)

    def _document(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unreachable(f"what answers at {self.url} is not Dockrev's API")
        return found

    def _refusal(self, answer: httpx.Response) -> Failure:
        if answer.is_redirect:
            return Unreachable(
                f"{self.url} sends us elsewhere (status {answer.status_code})",
                "A login page in front of Dockrev? Use the address behind it.",
            )
        error = self._document(answer).get("error")
        if not isinstance(error, dict):
            told = one_line(error or f"status {answer.status_code}")
            return Refused(answer.status_code, "failed", told, {}, by_token=self._by_token)
        details, wait = error.get("details"), answer.headers.get("retry-after", "")
        return Refused(
            answer.status_code,
            one_line(error.get("code", "failed"), 60),
            one_line(error.get("message", f"status {answer.status_code}")),
            details if isinstance(details, dict) else {},
            by_token=self._by_token,
            wait=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else 0,
        )

    def stream(self, path: str, *, after: str = "") -> Iterator[Event]:
        """Events of a stream from `after` on, until the server ends it. Raises Unreachable, Refused."""
        import httpx

        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=5.0)
        with self._told(), self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal(answer)
            yield from events(answer.iter_lines())

    @contextmanager
    def _told(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable(f"Dockrev at {self.url} does not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"no Dockrev can be reached at {self.url} ({type(error).__name__})") from error
