"""Reading manifests and config blobs: bytes in, facts out (spec §7.3). No I/O."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from app.adapters.registry.errors import BadManifest
from app.adapters.registry.platforms import platform_key, select_platform
from app.adapters.registry.references import is_digest
from app.adapters.registry.store import StoredManifest

MAX_BODY = 4 * 1024 * 1024
INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
SINGLE_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
ACCEPT = ", ".join([*sorted(INDEX_TYPES), *sorted(SINGLE_TYPES)])

_LABEL_VERSION = "org.opencontainers.image.version"
_LABEL_SOURCE = "org.opencontainers.image.source"
# An index lists a handful of platforms; labels are a few lines. More is an attack on our memory or database.
_MAX_CHILDREN = 200
_MAX_LABELS = 100
_MAX_LAYERS = 500
_MAX_SIZE = 1 << 50
_LAYER_KEY = 16  # enough to tell the layers of two images of one repository apart
_MAX_LABEL_LENGTH = 2048
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as seen from one host platform.

    `index_digest` is set for an index; `platform_digest` is the host's child of an index (None when there is none
    for the host) or a single manifest's own digest. `arch` is sorted; empty means the registry did not say.
    """

    digest: str
    index_digest: str | None
    platform_digest: str | None
    arch: tuple[str, ...]
    children: dict[str, str] = field(default_factory=dict)
    config_digest: str | None = None

    def matches(self, digest: str) -> bool:
        """Whether a running image with this digest is this manifest: RepoDigests may name either one (§7.4)."""
        return digest.lower() in (self.index_digest, self.platform_digest, self.digest)


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """What the image says about itself; every field may be missing, none of it can be trusted as markup."""

    version: str | None = None
    source: str | None = None
    created: str | None = None
    all: dict[str, str] = field(default_factory=dict)


def view(stored: StoredManifest, host_platform: str) -> Manifest:
    """The host's view of a stored manifest."""
    if stored.is_index:
        return Manifest(
            digest=stored.digest,
            index_digest=stored.digest,
            platform_digest=select_platform(stored.children, host_platform),
            arch=tuple(sorted(stored.children)),
            children=dict(stored.children),
        )
    return Manifest(
        digest=stored.digest,
        index_digest=None,
        platform_digest=stored.digest,
        arch=(stored.platform,) if stored.platform else (),
        config_digest=stored.config_digest,
    )


def labels_of(stored: StoredManifest) -> ImageLabels:
    """OCI labels of a single manifest whose config blob was read."""
    return ImageLabels(
        version=stored.labels.get(_LABEL_VERSION) or None,
        source=stored.labels.get(_LABEL_SOURCE) or None,
        created=stored.created,
        all=dict(stored.labels),
    )


def content_digest(body: bytes, algorithm: str = "sha256") -> str:
    """`<algorithm>:<hex>` of a body; sha256 or sha512."""
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def verify(body: bytes, digest: str) -> None:
    """Raise BadManifest unless the body hashes to the digest it was asked for by."""
    if content_digest(body, digest.partition(":")[0]) != digest:
        raise BadManifest(
            "the registry sent content that does not match its digest",
            hint="A proxy or mirror in between may be broken; Dockrev keeps what it knew before.",
        )


def parse_manifest(body: bytes, digest: str, content_type: str) -> StoredManifest:
    """Read an index or a single manifest. Raises BadManifest for any other kind."""
    data = _object(body)
    declared = data.get("mediaType") or content_type.partition(";")[0].strip()
    if declared in INDEX_TYPES or isinstance(data.get("manifests"), list):
        return StoredManifest(digest, str(declared), True, children=_children(data.get("manifests")))
    config = data.get("config")
    if isinstance(config, dict) and isinstance(data.get("layers"), list):
        config_digest = config.get("digest")
        known = isinstance(config_digest, str) and is_digest(config_digest)
        return StoredManifest(
            digest,
            str(declared),
            False,
            config_digest=config_digest if known else None,
            layers=_layers(data["layers"]),
        )
    raise BadManifest(
        "the registry sent a kind of manifest Dockrev does not read",
        hint="Images pushed with Docker before 1.10 use an old format; push the image again.",
    )


def with_config(manifest: StoredManifest, body: bytes) -> StoredManifest:
    """The manifest completed from its config blob. Raises BadManifest when the blob is not JSON."""
    data = _object(body)
    os, architecture = _text(data.get("os")), _text(data.get("architecture"))
    settings = data.get("config")
    labels = settings.get("Labels") if isinstance(settings, dict) else None
    created = data.get("created")
    return replace(
        manifest,
        config_known=True,
        platform=platform_key(os, architecture, _text(data.get("variant"))) if os and architecture else None,
        created=created[:64] if isinstance(created, str) else None,
        labels=_labels(labels),
    )


def _children(entries: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries[:_MAX_CHILDREN] if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str) or not is_digest(entry["digest"]):
            continue
        platform = entry.get("platform")
        if not isinstance(platform, dict):
            continue
        os, architecture = _text(platform.get("os")), _text(platform.get("architecture"))
        # Build attestations travel as children of platform unknown/unknown; nobody can run them.
        if not os or not architecture or os == "unknown" or architecture == "unknown":
            continue
        # Windows lists one child per os.version; the first is the newest and as good as any here.
        found.setdefault(platform_key(os, architecture, _text(platform.get("variant"))), entry["digest"])
    return found


def _layers(entries: list[Any]) -> dict[str, int] | None:
    """Bytes by layer; None when one of them has no size one could add up."""
    found: dict[str, int] = {}
    for entry in entries:
        digest, size = (entry.get("digest"), entry.get("size")) if isinstance(entry, dict) else (None, None)
        if not isinstance(digest, str) or not is_digest(digest) or type(size) is not int or not 0 <= size < _MAX_SIZE:
            return None
        found[digest.partition(":")[2][:_LAYER_KEY]] = size
    return found if len(found) <= _MAX_LAYERS else None


def _labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict):
        return {}
    pairs = ((str(key)[:_MAX_LABEL_LENGTH], value) for key, value in labels.items() if isinstance(value, str))
    return {key: value[:_MAX_LABEL_LENGTH] for key, value in list(pairs)[:_MAX_LABELS]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadManifest("the registry sent something that is not JSON") from error
    if not isinstance(data, dict):
        raise BadManifest("the registry sent JSON that is not an object")
    return data
