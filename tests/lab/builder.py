"""Build image manifests in memory: layers, configs, manifests and indexes, without any engine.

Pure functions: equal arguments give equal digests, another label gives another digest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

_CONFIG_TYPE = {
    DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
    OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
}
_LAYER_TYPE = {
    DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
}


def digest_of(body: bytes) -> str:
    """`sha256:…` of the bytes."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass(frozen=True)
class Blob:
    """Bytes with their digest."""

    body: bytes
    digest: str

    @classmethod
    def of(cls, body: bytes) -> Blob:
        return cls(body, digest_of(body))


@dataclass(frozen=True)
class Layer:
    """A gzipped layer and the digest of its tar before compression."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, ready to PUT."""

    body: bytes
    media_type: str
    digest: str
    platform: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Image:
    """One platform's image: its manifest and the blobs the manifest names."""

    manifest: Manifest
    config: Blob
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Health:
    """A HEALTHCHECK; times in seconds."""

    command: str
    interval: float = 1.0
    timeout: float = 2.0
    start_period: float = 0.0
    retries: int = 3

    def as_config(self) -> dict[str, object]:
        return {
            "Test": ["CMD-SHELL", self.command],
            "Interval": int(self.interval * 1e9),
            "Timeout": int(self.timeout * 1e9),
            "StartPeriod": int(self.start_period * 1e9),
            "Retries": self.retries,
        }


@dataclass(frozen=True)
class Spec:
    """What an image is made of. `arch` may be `arm/v7`-like: the part after the slash is the variant."""

    layers: tuple[Layer, ...]
    command: tuple[str, ...] = ("/app/run",)
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    health: Health | None = None
    ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    arch: str = "amd64"
    os: str = "linux"
    media_type: str = DOCKER_MANIFEST
    created: str = "2026-01-05T09:00:00Z"


def layer(files: Mapping[str, bytes | str], modes: Mapping[str, int] | None = None, level: int = 6) -> Layer:
    """A layer of files; a text value that starts with `->` is a symbolic link. Paths have no leading slash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folders = {p for name in files for p in _parents(name)}
        for name in sorted({*folders, *files}):
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            content = files.get(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                archive.addfile(info)
            elif isinstance(content, str) and content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
                archive.addfile(info)
            else:
                data = content.encode() if isinstance(content, str) else content
                info.size, info.mode = len(data), (modes or {}).get(name, 0o644)
                archive.addfile(info, io.BytesIO(data))
    tar = buffer.getvalue()
    return Layer(Blob.of(gzip.compress(tar, compresslevel=level, mtime=0)), digest_of(tar))


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def image(spec: Spec) -> Image:
    """The image of a spec."""
    arch, _, variant = spec.arch.partition("/")
    settings: dict[str, object] = {
        "Cmd": list(spec.command),
        "Env": ["PATH=/bin:/app", *(f"{key}={value}" for key, value in spec.env.items())],
        "Labels": dict(spec.labels),
        "WorkingDir": "/",
    }
    if spec.health:
        settings["Healthcheck"] = spec.health.as_config()
    if spec.ports:
        settings["ExposedPorts"] = {f"{port}/tcp": {} for port in spec.ports}
    if spec.volumes:
        settings["Volumes"] = {volume: {} for volume in spec.volumes}
    platform = {"architecture": arch, "os": spec.os, **({"variant": variant} if variant else {})}
    config = Blob.of(
        _json(
            {
                **platform,
                "created": spec.created,
                "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in spec.layers]},
                "history": [{"created": spec.created, "created_by": "dockrev lab"} for _ in spec.layers],
            }
        )
    )
    body = _json(
        {
            "schemaVersion": 2,
            "mediaType": spec.media_type,
            "config": _descriptor(_CONFIG_TYPE[spec.media_type], config),
            "layers": [_descriptor(_LAYER_TYPE[spec.media_type], each.blob) for each in spec.layers],
        }
    )
    return Image(Manifest(body, spec.media_type, digest_of(body), platform), config, spec.layers)


def index(
    manifests: Sequence[Manifest],
    *,
    media_type: str = OCI_INDEX,
    attestations: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An index (or Docker manifest list) over manifests.

    `attestations` adds what BuildKit adds: an `unknown/unknown` child per image, annotated as an attestation.
    The children must be pushed too, registries refuse an index with missing ones; see `attestation`.
    """
    children: list[dict[str, object]] = [
        {
            "mediaType": each.media_type,
            "digest": each.digest,
            "size": len(each.body),
            "platform": dict(each.platform or {"architecture": "unknown", "os": "unknown"}),
        }
        for each in manifests
    ]
    if attestations:
        for each in manifests:
            statement = attestation(each).manifest
            children.append(
                {
                    "mediaType": statement.media_type,
                    "digest": statement.digest,
                    "size": len(statement.body),
                    "platform": {"architecture": "unknown", "os": "unknown"},
                    "annotations": {
                        "vnd.docker.reference.digest": each.digest,
                        "vnd.docker.reference.type": "attestation-manifest",
                    },
                }
            )
    content: dict[str, object] = {"schemaVersion": 2, "mediaType": media_type, "manifests": children}
    if annotations:
        content["annotations"] = dict(annotations)
    body = _json(content)
    return Manifest(body, media_type, digest_of(body))


def attestation(subject: Manifest) -> Image:
    """The provenance image BuildKit would push beside `subject`."""
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [subject.digest]})
    spec = Spec(layers=(layer({"provenance.json": statement}),), arch="unknown", os="unknown", media_type=OCI_MANIFEST)
    return image(spec)


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": blob.digest, "size": len(blob.body)}


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
