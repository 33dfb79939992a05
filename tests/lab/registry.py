"""A registry of the lab's own: Debian's docker-registry on a free port of 127.0.0.1.

The helpers speak the registry's HTTP API directly, so that hundreds of tags are published in a second or two.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.lab.builder import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Blob,
    Image,
    Manifest,
    Spec,
    attestation,
    digest_of,
    image,
    index,
)
from tests.lab.errors import LabError, LabUnavailable
from tests.lab.janitor import Janitor
from tests.lab.packages import Tools

ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))

# `htpasswd -nbB -C 4 homelab correct-horse`: a cheap hash, so that a check of many requests is not slowed down.
_USER, _PASSWORD = "homelab", "correct-horse"
_HTPASSWD = "homelab:$2y$04$foBP9GOpQX9vkD83slP9RuxJNiBnni1xug/O5WWgDFOVgcR2qjf8C\n"


@dataclass(frozen=True)
class Credentials:
    """A user name and password for a private registry."""

    user: str
    password: str


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Registry:
    """One registry process. `credentials` is set for a private one (HTTP Basic)."""

    def __init__(self, tools: Tools, janitor: Janitor, name: str, *, private: bool = False) -> None:
        self._tools = tools
        self._janitor = janitor
        self._folder = janitor.folder / f"registry-{name}"
        self._process: subprocess.Popen[bytes] | None = None
        self._pushed: set[tuple[str, str]] = set()
        self.credentials = Credentials(_USER, _PASSWORD) if private else None
        self.port = 0
        self._http: httpx.Client | None = None

    @property
    def http(self) -> httpx.Client:
        """A client with the registry's address and credentials, for what has no helper here."""
        if self._http is None:
            raise LabError("the registry is not running")
        return self._http

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, the first part of its image references."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{self.host}"

    def ref(self, repo: str, tag: str) -> str:
        """The image reference to write into a compose file."""
        return f"{self.host}/{repo}:{tag}"

    @property
    def _storage(self) -> Path:
        return self._folder / "data/docker/registry/v2"

    def _repository(self, repo: str) -> Path:
        return self._storage / "repositories" / repo

    # -- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start and wait until it answers. Raises `LabUnavailable` with the log's end when it doesn't."""
        self._folder.mkdir(parents=True)
        for _ in range(3):  # the free port may be taken between finding and using it
            self.port = free_port()
            if self._try_start():
                self._http = httpx.Client(base_url=self.url, auth=self._auth(), timeout=30, trust_env=False)
                return
        log = (self._folder / "registry.log").read_text(errors="replace")
        raise LabUnavailable(f"docker-registry won't start here: {log.strip()[-400:]}")

    def _auth(self) -> httpx.BasicAuth | None:
        return httpx.BasicAuth(self.credentials.user, self.credentials.password) if self.credentials else None

    def _try_start(self) -> bool:
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "data"), "maxthreads": 100},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": self.host, "secret": "lab"},
        }
        if self.credentials:
            (self._folder / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "lab", "path": str(self._folder / "htpasswd")}}
        path = self._folder / "config.yml"
        path.write_text(json.dumps(config))
        with (self._folder / "registry.log").open("wb") as log:
            process = subprocess.Popen(
                [str(self._tools.registry), "serve", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._janitor.own_process(process.pid)
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            try:
                httpx.get(f"{self.url}/v2/", timeout=2, trust_env=False)
            except httpx.TransportError:
                time.sleep(0.03)
            else:
                self._process = process
                return True
        process.kill()
        process.wait(timeout=5)
        return False

    def stop(self) -> None:
        """Kill the process; its port answers nobody from then on."""
        if self._http:
            self._http.close()
            self._http = None
        if self._process:
            self._process.kill()
            self._process.wait(timeout=5)
            self._process = None

    # -- the HTTP API --------------------------------------------------------------------------------

    def push_blob(self, repo: str, blob: Blob) -> None:
        """Upload a blob unless this object already did."""
        if (repo, blob.digest) in self._pushed:
            return
        started = self._ok(self.http.post(f"/v2/{repo}/blobs/uploads/"))
        location = httpx.URL(started.headers["Location"]).copy_merge_params({"digest": blob.digest})
        self._ok(self.http.put(location, content=blob.body))
        self._pushed.add((repo, blob.digest))

    def put_manifest(self, repo: str, reference: str, body: bytes, media_type: str) -> str:
        """PUT a manifest under a tag or digest and return its digest."""
        self._ok(self.http.put(f"/v2/{repo}/manifests/{reference}", content=body, headers={"Content-Type": media_type}))
        return digest_of(body)

    def get_manifest(self, repo: str, reference: str) -> tuple[bytes, str]:
        """The manifest's bytes and media type."""
        answer = self._ok(self.http.get(f"/v2/{repo}/manifests/{reference}", headers={"Accept": ACCEPT}))
        return answer.content, answer.headers["Content-Type"]

    def digest(self, repo: str, reference: str) -> str:
        """What a tag points to."""
        answer = self._ok(self.http.head(f"/v2/{repo}/manifests/{reference}", headers={"Accept": ACCEPT}))
        return str(answer.headers["Docker-Content-Digest"])

    def tags(self, repo: str) -> list[str]:
        """All tags of a repository, sorted as text; empty when there are none."""
        answer = self.http.get(f"/v2/{repo}/tags/list")
        return [] if answer.status_code == 404 else sorted(self._ok(answer).json().get("tags") or [])

    def retag(self, repo: str, source: str, target: str) -> str:
        """Let tag `target` point to what `source` (a tag or digest) is; returns the digest."""
        return self.put_manifest(repo, target, *self.get_manifest(repo, source))

    def delete_tag(self, repo: str, tag: str) -> None:
        """Remove one tag only. The registry's API can't (it deletes the manifest with all its tags)."""
        folder = self._repository(repo) / "_manifests/tags" / tag
        if not folder.is_dir():
            raise LabError(f"{repo} has no tag {tag}")
        shutil.rmtree(folder)

    def delete_manifest(self, repo: str, digest: str) -> None:
        """Delete a manifest with every tag that points to it."""
        self._ok(self.http.delete(f"/v2/{repo}/manifests/{digest}"))

    @staticmethod
    def _ok(answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise LabError(f"the registry answered {answer.status_code} to {answer.request.url}: {answer.text[:300]}")
        return answer

    # -- publishing ----------------------------------------------------------------------------------

    def push_image(self, repo: str, built: Image) -> Manifest:
        """Upload the blobs and the manifest (by digest, no tag)."""
        self.push_blob(repo, built.config)
        for each in built.layers:
            self.push_blob(repo, each.blob)
        self.put_manifest(repo, built.manifest.digest, built.manifest.body, built.manifest.media_type)
        return built.manifest

    def publish(self, repo: str, tag: str | Iterable[str], spec: Spec) -> str:
        """Build and push one platform's image under one or more tags; returns its digest."""
        built = image(spec)
        self.push_blob(repo, built.config)
        for each in built.layers:
            self.push_blob(repo, each.blob)
        for name in [tag] if isinstance(tag, str) else tag:
            self.put_manifest(repo, name, built.manifest.body, built.manifest.media_type)
        return built.manifest.digest

    def publish_index(
        self,
        repo: str,
        tag: str | Iterable[str],
        specs: Iterable[Spec],
        *,
        media_type: str = OCI_INDEX,
        attestations: bool = False,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """Push one image per spec and an index over them; returns the index's digest."""
        manifests = [self.push_image(repo, image(spec)) for spec in specs]
        if attestations:
            for each in manifests:
                self.push_image(repo, attestation(each))
        top = index(manifests, media_type=media_type, attestations=attestations, annotations=annotations)
        for name in [tag] if isinstance(tag, str) else tag:
            self.put_manifest(repo, name, top.body, top.media_type)
        return top.digest

    def publish_many(self, repo: str, tags: Iterable[str], spec: Spec) -> dict[str, str]:
        """One image per tag that differs in an annotation only. Tag → digest.

        Written straight into the registry's storage: a thousand tags take well under a second.
        """
        built = image(spec)
        self.push_image(repo, built)
        content = json.loads(built.manifest.body)
        made: dict[str, str] = {}
        for tag in tags:
            content["annotations"] = {"org.opencontainers.image.version": tag}
            body = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
            made[tag] = self._store_manifest(repo, tag, body)
        return made

    def _store_manifest(self, repo: str, tag: str, body: bytes) -> str:
        digest = digest_of(body)
        name = digest.removeprefix("sha256:")
        manifests = self._repository(repo) / "_manifests"
        files = {
            self._storage / f"blobs/sha256/{name[:2]}/{name}/data": body,
            manifests / f"revisions/sha256/{name}/link": digest.encode(),
            manifests / f"tags/{tag}/index/sha256/{name}/link": digest.encode(),
            manifests / f"tags/{tag}/current/link": digest.encode(),
        }
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return digest
