"""A server on loopback that speaks the part of GitHub's API that Dockrev uses, and fails as told.

Run by itself (`python -m tests.fakes.github 8099 acme/web`) it serves a browser test or a look by hand.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "github_pat_s3cret"


@dataclass
class Fault:
    """What the next `times` requests whose "METHOD path" contains `where` get instead of an answer."""

    status: int = 500
    where: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message":"faulted"}'
    delay: float = 0.0
    drop: bool = False


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class FakeGitHub:
    """`orgs` and `users` map a login to names of repositories; `hooks` maps a lower-case full name to its hooks.

    `me` is whose token it is: the private repositories of that user are told under `/user/repos` only.
    """

    def __init__(self, *, port: int = 0, me: str = "alice", page_size: int | None = None) -> None:
        self.orgs: dict[str, list[str]] = {}
        self.users: dict[str, list[str]] = {}
        self.private: set[str] = set()
        self.archived: set[str] = set()
        self.hooks: dict[str, list[dict[str, Any]]] = {}
        self.renamed: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.me = me
        self.page_size = page_size
        self.with_links = True
        self._next_id = 1000
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeGitHub:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    # ---- what a test does

    def repository(self, *full_names: str) -> None:
        """Let repositories of a person exist, without hooks."""
        for full_name in full_names:
            owner, name = full_name.split("/")
            names = self.orgs[owner] if owner in self.orgs else self.users.setdefault(owner, [])
            if name not in names:
                names.append(name)

    def add_hook(self, full_name: str, url: str, events: tuple[str, ...] = ("package",), **more: Any) -> int:
        """Let a repository have a hook; its id."""
        with self._lock:
            self._next_id += 1
            hook = {"id": self._next_id, "name": "web", "active": True, "events": list(events), **more}
            self.hooks.setdefault(full_name.lower(), []).append({**hook, "config": {"url": url}})
            return self._next_id

    def calls(self, method: str, containing: str = "") -> list[Asked]:
        """What was asked so far."""
        return [asked for asked in self.asked if asked.method == method and containing in asked.path]

    # ---- the server's side

    def exists(self, full_name: str) -> bool:
        """Whether there is such a repository."""
        owner, _, name = full_name.lower().partition("/")
        for known in (self.orgs, self.users):
            for login, names in known.items():
                if login.lower() == owner and name in [each.lower() for each in names]:
                    return True
        return False

    def fault(self, line: str) -> Fault | None:
        """The fault for a request, used up by one."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.where in line:
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    github: FakeGitHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.github.asked.append(Asked(self.command, parts.path, query, headers, body))
        fault = self.github.fault(f"{self.command} {parts.path}")
        if fault is not None:
            time.sleep(fault.delay)
            if fault.drop:
                self.close_connection = True
                return
            if fault.status:
                self._send(fault.status, fault.body, fault.headers)
                return
        if headers.get("authorization") != f"Bearer {TOKEN}" and "authorization" in headers:
            self._json(401, {"message": "Bad credentials"})
            return
        self._route(parts.path, query, body, "authorization" in headers)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  # names of http.server

    def _route(self, path: str, query: dict[str, str], body: Any, signed_in: bool) -> None:
        github = self.github
        if found := re.fullmatch(r"/orgs/([^/]+)/repos", path):
            self._list_of(github.orgs, found[1], query)
        elif found := re.fullmatch(r"/users/([^/]+)/repos", path):
            self._list_of(github.users, found[1], query, public_only=True)
        elif path == "/user/repos":
            if signed_in:
                self._list_of(github.users, github.me, query, missing_is_empty=True)
            else:
                self._json(401, {"message": "Requires authentication"})
        elif found := re.fullmatch(r"/repos/([^/]+/[^/]+)/hooks(?:/(\d+))?", path):
            self._hooks(found[1], int(found[2]) if found[2] else None, query, body)
        else:
            self._json(404, {"message": "Not Found"})

    def _list_of(
        self,
        known: dict[str, list[str]],
        login: str,
        query: dict[str, str],
        *,
        public_only: bool = False,
        missing_is_empty: bool = False,
    ) -> None:
        spelled = next((name for name in known if name.lower() == login.lower()), None)
        if spelled is None:
            self._json(*((200, []) if missing_is_empty else (404, {"message": "Not Found"})))
            return
        documents = [
            {
                "full_name": f"{spelled}/{name}",
                "private": f"{spelled}/{name}" in self.github.private,
                "archived": f"{spelled}/{name}" in self.github.archived,
                "pushed_at": "2026-04-28T07:12:00Z",
            }
            for name in known[spelled]
            if not (public_only and f"{spelled}/{name}" in self.github.private)
        ]
        self._page(documents, query)

    def _page(self, documents: list[Any], query: dict[str, str]) -> None:
        wanted = int(query.get("per_page", "30"))
        size = min(self.github.page_size or wanted, wanted)
        page = int(query.get("page", "1"))
        headers = {}
        if self.github.with_links and page * size < len(documents):
            headers["Link"] = f'<https://elsewhere.example/?page={page + 1}>; rel="next", <x>; rel="last"'
        elif self.github.with_links and page > 1:
            headers["Link"] = '<https://elsewhere.example/?page=1>; rel="first"'
        self._json(200, documents[(page - 1) * size : page * size], headers)

    def _hooks(self, full_name: str, hook_id: int | None, query: dict[str, str], body: Any) -> None:
        github = self.github
        if target := github.renamed.get(full_name.lower()):
            suffix = f"/hooks/{hook_id}" if hook_id else "/hooks"
            self._json(
                301, {"message": "Moved"}, {"Location": target if "://" in target else f"/repos/{target}{suffix}"}
            )
            return
        if not github.exists(full_name):
            self._json(404, {"message": "Not Found"})
            return
        hooks = github.hooks.setdefault(full_name.lower(), [])
        if hook_id is None and self.command == "GET":
            self._page(hooks, query)
        elif hook_id is None:
            if any(hook["config"]["url"] == body["config"]["url"] for hook in hooks):
                self._json(422, {"message": "Validation Failed: Hook already exists on this repository"})
                return
            new = github.add_hook(full_name, body["config"]["url"], tuple(body["events"]))
            hook = next(hook for hook in hooks if hook["id"] == new)
            hook["config"] = body["config"]
            self._json(201, hook)
        else:
            self._one_hook(hooks, hook_id, body)

    def _one_hook(self, hooks: list[dict[str, Any]], hook_id: int, body: Any) -> None:
        hook = next((each for each in hooks if each["id"] == hook_id), None)
        if hook is None:
            self._json(404, {"message": "Not Found"})
        elif self.command == "DELETE":
            hooks.remove(hook)
            self._send(204, b"")
        else:
            hook.update(body)
            self._json(200, hook)

    def _json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked did not wait
            self.close_connection = True


if __name__ == "__main__":
    with FakeGitHub(port=int(sys.argv[1])) as running:
        running.repository(*sys.argv[2:])
        print(running.url, flush=True)
        threading.Event().wait()
