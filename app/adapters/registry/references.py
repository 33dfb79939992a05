"""Image references: what a person wrote in Compose, and the one spelling Dockrev compares (spec §7.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from sys import intern

from app.adapters.registry.errors import InvalidReference

DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"
_DOCKER_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", _DOCKER_HUB_API, "www.docker.io"})

_MAX_REPO = 255
# name + ":" + tag + "@" + the longest digest: anything beyond cannot be valid, so no pattern ever sees it.
_MAX_TEXT = _MAX_REPO + 1 + 128 + 1 + 7 + 128

_HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: str) -> bool:
    """Whether the text is a complete sha256 or sha512 digest in canonical (lower-case) form."""
    return DIGEST.fullmatch(text) is not None


def canonical_registry(host: str) -> str:
    """The registry's one name: lower-case, every spelling of Docker Hub as `docker.io`."""
    lowered = host.lower()
    return DOCKER_HUB if lowered in _DOCKER_HUB_NAMES else lowered


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A parsed image reference. `original` is kept for display; everything else is canonical."""

    registry: str
    name: str
    tag: str | None
    digest: str | None
    original: str

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Read a reference as Docker does. Raises InvalidReference for anything else, however hostile."""
        return _parse(text)

    @property
    def repo(self) -> str:
        """Canonical `<registry>/<name>`, e.g. `docker.io/library/nginx`."""
        return intern(f"{self.registry}/{self.name}")  # part of the key of thousands of tags

    @property
    def api_host(self) -> str:
        """Host (and port) the registry API answers on; Docker Hub's differs from its name."""
        return _DOCKER_HUB_API if self.registry == DOCKER_HUB else self.registry

    @property
    def effective_tag(self) -> str:
        """The tag followed: as written, or `latest` when none was."""
        return self.tag or "latest"

    @property
    def is_pinned(self) -> bool:
        """A reference with a digest never moves, whatever its tag says."""
        return self.digest is not None

    @property
    def familiar(self) -> str:
        """The short spelling people know: `nginx:1.27`, `grafana/loki`, `ghcr.io/acme/web:1`."""
        return self.familiar_repo + self._suffix

    @property
    def familiar_repo(self) -> str:
        """`familiar` without tag and digest."""
        if self.registry != DOCKER_HUB:
            return self.repo
        short = self._short_name
        # A dotted first segment would be read as a registry, so Docker Hub has to be named.
        return self.repo if "/" in short and _looks_like_registry(short.partition("/")[0]) else short

    def repo_aliases(self) -> frozenset[str]:
        """Every spelling of this repository that an engine's RepoDigests may use (spec §7.4)."""
        if self.registry != DOCKER_HUB:
            return frozenset({self.repo})
        names = {self.name, self._short_name}
        return frozenset(names | {f"{host}/{name}" for host in _DOCKER_HUB_NAMES for name in names})

    def with_digest(self, digest: str) -> ImageRef:
        """The same repository pinned to a digest; the tag is dropped. Raises InvalidReference."""
        lowered = digest.strip().lower()
        if not is_digest(lowered):
            raise _invalid(digest, "the digest is not sha256:<64 hex digits>")
        return replace(self, tag=None, digest=lowered)

    def with_tag(self, tag: str) -> ImageRef:
        """The same repository at another tag; a digest is dropped. Raises InvalidReference."""
        if not TAG.fullmatch(tag):
            raise _invalid(tag, "the tag has characters a tag cannot have")
        return replace(self, tag=tag, digest=None)

    @property
    def _short_name(self) -> str:
        """Docker Hub's name without `library/`, which only single-segment names may lose."""
        rest = self.name.removeprefix("library/")
        return self.name if "/" in rest else rest

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.repo + self._suffix


@lru_cache(maxsize=1024)
def _parse(text: str) -> ImageRef:
    if len(text) > _MAX_TEXT:
        raise _invalid(text, "it is too long")
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, "the digest is not sha256:<64 hex digits>")
    # A colon behind the last slash starts the tag; one before it belongs to the registry's port.
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not TAG.fullmatch(tag):
        raise _invalid(text, "the tag is empty or has characters a tag cannot have")
    registry, name = _split(head + slash + last)
    if not _HOST.fullmatch(registry) or not _port_ok(registry):
        raise _invalid(text, "the registry is not a host name")
    if not all(_PATH_PART.fullmatch(part) for part in name.split("/")):
        raise _invalid(text, "the name must be lower-case letters, digits and single separators")
    if len(registry) + 1 + len(name) > _MAX_REPO:
        raise _invalid(text, f"registry and name together are longer than {_MAX_REPO} characters")
    if name == "library/sha256" and is_digest(f"sha256:{tag}"):
        raise _invalid(text, "it is the id of a local image, which no registry knows")
    return ImageRef(registry, name, tag or None, digest or None, text)


def _split(repository: str) -> tuple[str, str]:
    """Registry and name: the first segment is a registry if it could not be a name."""
    first, slash, rest = repository.partition("/")
    if slash and _looks_like_registry(first):
        registry, name = canonical_registry(first), rest
    else:
        registry, name = DOCKER_HUB, repository
    if registry == DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return registry, name


def _looks_like_registry(segment: str) -> bool:
    return "." in segment or ":" in segment or segment == "localhost"


def _port_ok(registry: str) -> bool:
    match = _HOST.fullmatch(registry)
    port = match.group("port") if match else None
    return port is None or 0 < int(port) < 65536


def _invalid(text: str, why: str) -> InvalidReference:
    shown = "".join(c if c.isprintable() else "�" for c in text[:80]) + ("…" if len(text) > 80 else "")
    return InvalidReference(
        f"“{shown}” is not an image reference: {why}",
        hint="Write it as Compose does: [registry/]name[:tag][@sha256:…]",
    )
