"""A registry made of dictionaries: tags, manifests, and failures that a test puts in."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence

from app.adapters.registry import (
    Credentials,
    ImageLabels,
    ImageRef,
    Manifest,
    ManifestStore,
    ManifestUnknown,
    MemoryStore,
    RegistryClient,
    RegistryCoolingDown,
    RegistryError,
    Resolved,
    StoredManifest,
    TagState,
    Validator,
)
from app.adapters.registry.manifests import view

INDEX = "application/vnd.oci.image.index.v1+json"
SINGLE = "application/vnd.oci.image.manifest.v1+json"


def digest_of(text: str) -> str:
    """A digest that differs for each text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class FakeRegistry(RegistryClient):
    """Answers from `repos` (repository → tag → digest); `calls` counts questions by verb, `asked` lists tags.

    `failing` maps a repository or `repository:tag` to the error raised for it; `cooling` repositories refuse
    background questions; `delay` is how long an answer takes, in seconds.
    """

    def __init__(self, *, store: ManifestStore | None = None, host_platform: str = "linux/amd64") -> None:
        super().__init__(Credentials(), store=store or MemoryStore(), host_platform=host_platform)
        self.repos: dict[str, dict[str, str]] = {}
        self.manifests: dict[str, StoredManifest] = {}
        self.failing: dict[str, RegistryError] = {}
        self.cooling: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.told: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.asked: list[str] = []
        self.delay = 0.0
        self.at_once = 0
        self._now = 0

    # ---- what a test does

    def push(self, repo: str, tags: str | Sequence[str], content: str, *, arch: Sequence[str] = ()) -> str:
        """Let tags point to an image (or, with `arch`, to an index over these platforms); its digest."""
        if arch:
            children = {platform: digest_of(f"{content} {platform}") for platform in arch}
            for platform, child in children.items():
                self.manifests[child] = StoredManifest(child, SINGLE, False, config_known=True, platform=platform)
            digest = digest_of(content + ",".join(arch))
            self.manifests[digest] = StoredManifest(digest, INDEX, True, children=children)
        else:
            digest = digest_of(content)
            self.manifests[digest] = StoredManifest(
                digest, SINGLE, False, config_known=True, platform=self.host_platform
            )
        for tag in [tags] if isinstance(tags, str) else tags:
            self.repos.setdefault(repo, {})[tag] = digest
        return digest

    def child(self, digest: str, platform: str = "linux/amd64") -> str:
        """The digest of an index's image for a platform."""
        return self.manifests[digest].children[platform]

    # ---- the adapter's side

    async def _asked(self, verb: str, ref: ImageRef, tag: str, background: bool) -> None:
        self.calls[verb] += 1
        self.asked.append(f"{ref.repo}:{tag}" if tag else ref.repo)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self._now -= 1
        if background and ref.repo in self.cooling:
            raise RegistryCoolingDown(f"{ref.registry} limited the rate; background checks rest")
        if error := self.failing.get(f"{ref.repo}:{tag}") or self.failing.get(ref.repo):
            raise error

    async def resolve(self, ref: ImageRef, tag: str, *, background: bool = False) -> Resolved:
        await self.store.load((ref.repo,))
        known = self.store.validator(ref.repo, tag)
        await self._asked("resolve", ref, tag, background)
        digest = self.repos.get(ref.repo, {}).get(tag)
        if digest is None:
            raise ManifestUnknown(f"{ref.repo} has no {tag} at the registry")
        manifest = self.manifests[digest]
        if known is None or known.digest != digest:
            self.store.remember(ref.repo, tag, Validator(None, digest, manifest.media_type, "2026-05-01T10:00:00Z"))
        return Resolved(digest, manifest.media_type, manifest.is_index, known is not None)

    async def manifest(self, ref: ImageRef, reference: str, *, background: bool = False) -> Manifest:
        digest = reference if ":" in reference else self.repos[ref.repo][reference]
        stored = await self.store.manifest(digest)
        if stored is None:
            await self._asked("manifest", ref, reference, background)
            if digest not in self.manifests:
                raise ManifestUnknown(f"{ref.repo} has no {digest} at the registry")
            stored = self.manifests[digest]
            self.store.remember_manifest(stored)
        return view(stored, self.host_platform)

    async def check(self, ref: ImageRef, tag: str, *, running: str | None = None, background: bool = False) -> TagState:
        resolved = await self.resolve(ref, tag, background=background)
        if running == resolved.digest:
            return TagState(resolved.digest, None, None, (), resolved.from_cache)
        seen = await self.manifest(ref, resolved.digest, background=background)
        return TagState(seen.digest, seen.index_digest, seen.platform_digest, seen.arch, resolved.from_cache)

    async def tags(self, ref: ImageRef, *, background: bool = False) -> list[str]:
        await self._asked("tags", ref, "", background)
        if ref.repo not in self.repos:
            raise ManifestUnknown(f"{ref.repo} does not exist at the registry")
        return sorted(self.repos[ref.repo])

    async def download_size(
        self, ref: ImageRef, digest: str, running: str | None = None, *, ask: bool, background: bool = False
    ) -> int | None:
        """What `sizes` says, once it was asked for."""
        if ask:
            await self._asked("size", ref, digest, background)
            self.told.add(digest)
        return self.sizes.get(digest) if digest in self.told else None

    async def image_labels(self, ref: ImageRef, digest: str, *, background: bool = False) -> ImageLabels:
        await self._asked("labels", ref, digest, background)
        if digest not in self.manifests:
            raise ManifestUnknown(f"{ref.repo} has no {digest} at the registry")
        version = self.manifests[digest].labels.get("org.opencontainers.image.version")
        return ImageLabels(version=version)
