"""A registry in a few lines, over real sockets on loopback: programmable, counting, with a token server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    declared_length: int | None = None  # to cut a body off, or to lie
    delay: float = 0.0
    drop: bool = False  # close without a word


Fault = Callable[[Request], Reply | None]


class FakeRegistry:
    """Images by repository and tag. `faults` are asked first, in order; the first reply wins."""

    def __init__(self) -> None:
        self.port = 0
        self.latency = 0.0
        self.requests: list[Request] = []
        self.repos: dict[str, dict[str, str]] = {}
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.faults: list[Fault] = []
        self.auth = ""  # "", "basic", "bearer"
        self.user = ("alice", "s3cret")
        self.anonymous_tokens = True
        self.multi_scope = True
        self.forbidden: set[str] = set()
        self.tokens: dict[str, set[str]] = {}
        self.token_life = 300
        self.page_size = 1000
        self.paging = True
        self.send_etag = True
        self.send_digest = True
        self.quota: dict[str, str] = {}
        self.busy = 0
        self.most_busy = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def single(
        self,
        repo: str,
        tag: str,
        *,
        arch: str = "amd64",
        variant: str = "",
        salt: str = "",
        labels: dict[str, str] | None = None,
        layers: dict[str, object] | None = None,
    ) -> str:
        config: dict[str, Any] = {
            "os": "linux",
            "architecture": arch,
            "created": "2026-01-02T03:04:05Z",
            "config": {"Labels": labels or {}},
            "salt": salt,
        }
        if variant:
            config["variant"] = variant
        config_digest = self.put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "layers": [{"digest": digest_of(text.encode()), "size": size} for text, size in (layers or {}).items()],
                "config": {"digest": config_digest, "size": 1},
            }
        ).encode()
        digest = self.put(MANIFEST, body)
        self.repos.setdefault(repo, {})
        if tag:
            self.repos[repo][tag] = digest
        return digest

    def index(
        self, repo: str, tag: str, platforms: list[str], salt: str = "", layers: dict[str, object] | None = None
    ) -> str:
        entries = []
        for platform in platforms:
            os, arch, *variant = platform.split("/")
            child = self.single(repo, "", arch=arch, variant="".join(variant), salt=salt, layers=layers)
            wanted = {"os": os, "architecture": arch} | ({"variant": variant[0]} if variant else {})
            entries.append({"mediaType": MANIFEST, "digest": child, "size": 1, "platform": wanted})
        entries.append({"digest": digest_of(b"att"), "platform": {"os": "unknown", "architecture": "unknown"}})
        digest = self.put(INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())
        self.repos[repo][tag] = digest
        return digest

    def child(self, digest: str, platform: str) -> str:
        for entry in json.loads(self.blobs[digest][1])["manifests"]:
            p = entry["platform"]
            if "/".join(x for x in (p["os"], p["architecture"], p.get("variant")) if x) == platform:
                return str(entry["digest"])
        raise KeyError(platform)

    def put(self, media_type: str, body: bytes) -> str:
        digest = digest_of(body)
        self.blobs[digest] = (media_type, body)
        return digest

    def count(self, method: str = "", path: str = "") -> int:
        return sum(1 for r in self.requests if r.method.startswith(method) and path in r.path)

    def answer(self, request: Request) -> Reply:
        for fault in self.faults:
            if reply := fault(request):
                return reply
        if request.path == "/token":
            return self._token(request)
        name = request.path.removeprefix("/v2/").rpartition("/")[0].rpartition("/")[0]
        if refused := self._unauthorised(request, name):
            return refused
        reply = self._content(request, name)
        reply.headers.update(self.quota)
        return reply

    def _content(self, request: Request, name: str) -> Reply:
        kind, _, reference = request.path.rpartition("/")
        tags = self.repos.get(name)
        if tags is None:
            return Reply(404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
        if request.path.endswith("/tags/list"):
            return self._tags(request, name, sorted(tags))
        digest = tags.get(reference, reference)
        if digest not in self.blobs:
            return Reply(404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        media_type, body = self.blobs[digest]
        headers = {"Content-Type": media_type}
        if "manifests" in kind and self.send_digest:
            headers["Docker-Content-Digest"] = digest
        if self.send_etag:
            headers["ETag"] = f'"{digest}"'
        if request.headers.get("if-none-match") == f'"{digest}"':
            return Reply(304, headers)
        return Reply(200, headers, body)

    def _tags(self, request: Request, name: str, tags: list[str]) -> Reply:
        if "n" in request.query and not self.paging:
            return Reply(400)
        last = request.query.get("last", [""])[0]
        rest = [tag for tag in tags if tag > last]
        page, more = rest[: self.page_size], rest[self.page_size :]
        headers = {"Content-Type": "application/json"}
        if "n" in request.query and more:
            headers["Link"] = f'</v2/{name}/tags/list?last={page[-1]}&n=1000>; rel="next"'
        else:
            page = rest if "n" not in request.query else page
        return Reply(200, headers, json.dumps({"name": name, "tags": page}).encode())

    def _unauthorised(self, request: Request, name: str) -> Reply | None:
        given = request.headers.get("authorization", "")
        if self.auth == "basic":
            wanted = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
            return None if given == wanted else Reply(401, {"WWW-Authenticate": 'Basic realm="lab"'})
        if self.auth == "bearer":
            if name in self.tokens.get(given.removeprefix("Bearer "), ()):
                return None
            challenge = f'Bearer realm="http://{self.host}/token",service="lab",scope="repository:{name}:pull"'
            return Reply(401, {"WWW-Authenticate": challenge})
        return None

    def _token(self, request: Request) -> Reply:
        if request.method == "POST":
            form = parse_qs(request.body.decode())
            if form.get("refresh_token") != ["idtok"]:
                return Reply(401)
            scopes = form["scope"][0].split(" ")
        else:
            basic = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
            if not self.anonymous_tokens and request.headers.get("authorization") != basic:
                return Reply(401)
            scopes = request.query.get("scope", [])
        names = [scope.split(":")[1] for scope in scopes]
        names = names if self.multi_scope else names[:1]
        value = f"tok{len(self.tokens)}"
        self.tokens[value] = {name for name in names if name not in self.forbidden}
        return Reply(200, body=json.dumps({"token": value, "expires_in": self.token_life}).encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                parts = urlsplit(target)
                request = Request(method, parts.path, parse_qs(parts.query), headers, body)
                self.requests.append(request)
                reply = self.answer(request)
                self.busy += 1
                self.most_busy = max(self.most_busy, self.busy)
                if self.latency or reply.delay:
                    await asyncio.sleep(self.latency + reply.delay)
                self.busy -= 1
                if reply.drop:
                    return
                length = reply.declared_length if reply.declared_length is not None else len(reply.body)
                out = [f"HTTP/1.1 {reply.status} X"]
                out += [
                    f"{k}: {v}" for k, v in ({} if reply.status == 304 else {"Content-Length": str(length)}).items()
                ]
                out += [f"{k}: {v}" for k, v in reply.headers.items()]
                payload = b"" if method == "HEAD" or reply.status == 304 else reply.body
                writer.write("\r\n".join(out).encode("latin-1") + b"\r\n\r\n" + payload)
                await writer.drain()
                if reply.declared_length is not None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has hung up
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[FakeRegistry]:
    registry = FakeRegistry()
    server = await asyncio.start_server(registry._serve, "127.0.0.1", 0)
    registry.port = server.sockets[0].getsockname()[1]
    try:
        yield registry
    finally:
        server.close()
