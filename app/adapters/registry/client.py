"""The registry client: what a tag points to, on which platforms, and which tags there are (spec §7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from sys import intern
from weakref import WeakValueDictionary

from app.adapters.registry.auth import Authenticator
from app.adapters.registry.credentials import Credentials
from app.adapters.registry.errors import (
    BadManifest,
    InvalidReference,
    ManifestUnknown,
    RegistryError,
    RegistryRefused,
)
from app.adapters.registry.limits import HostState, RetryPolicy
from app.adapters.registry.manifests import (
    ACCEPT,
    INDEX_TYPES,
    SINGLE_TYPES,
    ImageLabels,
    Manifest,
    content_digest,
    labels_of,
    parse_manifest,
    verify,
    view,
    with_config,
)
from app.adapters.registry.references import TAG, ImageRef, is_digest
from app.adapters.registry.session import Query, Session
from app.adapters.registry.store import ManifestStore, StoredManifest, Validator
from app.adapters.registry.taglist import TagLists
from app.adapters.registry.transport import Answer, Observer, Transport
from app.core.clock import Clock, rfc3339


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a tag points to now. `is_index` is None when the registry did not say the kind.

    `from_cache`: the registry confirmed (304) what was already known.
    """

    digest: str
    media_type: str
    is_index: bool | None
    from_cache: bool


@dataclass(frozen=True, slots=True)
class TagState:
    """A tag as a check needs it; `digest` is the index digest if there is one, else the image's own (§7.3).

    `arch` is empty when the registry does not say, and when the caller's own digest made the manifest needless.
    """

    digest: str
    index_digest: str | None
    platform_digest: str | None
    arch: tuple[str, ...]
    from_cache: bool

    def matches(self, digest: str) -> bool:
        """Whether an image running under this digest is what the tag points to."""
        return digest.lower() in (self.digest, self.index_digest, self.platform_digest)


class RegistryClient:
    """Asks registries as seldom as possible: an unchanged tag costs one conditional HEAD, a manifest is fetched once.

    Every method raises only the RegistryError tree. `background=True` marks work nobody waits for: it is not sent
    while the host rests after a rate limit. Call `aclose` at the end, and the store's `flush` after each job.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        store: ManifestStore,
        host_platform: str,
        plain_http_hosts: Collection[str] = frozenset(),
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_request: Observer | None = None,
    ) -> None:
        self.store = store
        self.host_platform = host_platform
        self.credentials = credentials
        self._clock = clock or Clock()
        self._transport = Transport(retry or RetryPolicy(), self._clock, sleep, on_request, store)
        authenticator = Authenticator(credentials, self._transport, self._clock)
        self._session = Session(self._transport, authenticator, plain_http_hosts)
        self._tag_lists = TagLists(self._session)
        self._flights: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def resolve(self, ref: ImageRef, tag: str, *, background: bool = False) -> Resolved:
        """What the tag points to, by one HEAD: conditional if the tag was seen before, so usually without a body."""
        _check_tag(tag)
        await self.store.load((ref.repo,))
        known = self.store.validator(ref.repo, tag)
        if known:
            answer = await self._manifest_request(ref, "HEAD", tag, known, background)
            if answer.status != 304:
                return await self._taken_in(ref, tag, known, answer, background, ask_whether=known)
            if _digest_header(answer) in (None, known.digest):
                return Resolved(known.digest, known.media_type, _kind(known.media_type), True)
            # A cache in between confirms something else than we asked about.
        return await self._resolve_anew(ref, tag, known, background)

    async def manifest(self, ref: ImageRef, reference: str, *, background: bool = False) -> Manifest:
        """A manifest by digest or tag, as this host sees it. By digest it is fetched at most once, ever."""
        if is_digest(reference):
            stored = await self._stored(ref, reference, background)
        else:
            resolved = await self.resolve(ref, reference, background=background)
            stored = await self._behind(ref, reference, resolved, background)
        return view(stored, self.host_platform)

    async def check(self, ref: ImageRef, tag: str, *, running: str | None = None, background: bool = False) -> TagState:
        """A tag's digests and platforms. `running` is the digest in use: if the tag still points to it, nothing
        else is asked, which on Docker Hub saves a pull from the quota."""
        resolved = await self.resolve(ref, tag, background=background)
        if running and running.lower() == resolved.digest:
            stored = await self.store.manifest(resolved.digest)
            if stored is None:
                index = resolved.digest if resolved.is_index else None
                return TagState(resolved.digest, index, None if index else resolved.digest, (), resolved.from_cache)
        else:
            stored = await self._behind(ref, tag, resolved, background)
        seen = view(stored, self.host_platform)
        return TagState(seen.digest, seen.index_digest, seen.platform_digest, seen.arch, resolved.from_cache)

    async def match_digest(self, ref: ImageRef, tag: str, wanted: str, *, background: bool = False) -> bool:
        """Whether the tag is the wanted digest, as an index or as the image for this host's platform.

        One HEAD; children are looked at only when the wanted digest is not itself an index (an index is never
        a child), which one request for all tags of the repository finds out.
        """
        wanted = wanted.lower()
        resolved = await self.resolve(ref, tag, background=background)
        if resolved.digest == wanted:
            return True
        if resolved.is_index is False or not is_digest(wanted):
            return False
        try:
            target = await self._stored(ref, wanted, background, config=False)
        except ManifestUnknown:
            return False  # what the registry no longer has cannot be part of what it serves
        if target.is_index:
            return False
        stored = await self._behind(ref, tag, resolved, background)
        return view(stored, self.host_platform).matches(wanted)

    async def tags(self, ref: ImageRef, *, background: bool = False) -> list[str]:
        """All tags of the repository, sorted, at most 20,000 (100 pages)."""
        return await self._tag_lists.fetch(ref, background=background)

    async def image_labels(self, ref: ImageRef, digest: str, *, background: bool = False) -> ImageLabels:
        """OCI labels of an image; of an index, those of the host's child, else of the first. Read once, ever."""
        stored = await self._stored(ref, digest.lower(), background)
        if stored.is_index:
            children = stored.children
            child = view(stored, self.host_platform).platform_digest or next(iter(sorted(children.values())), None)
            if child is None:
                return ImageLabels()
            stored = await self._stored(ref, child, background)
        return labels_of(stored)

    async def download_size(
        self, ref: ImageRef, digest: str, running: str | None = None, *, ask: bool, background: bool = False
    ) -> int | None:
        """Bytes of an image's compressed layers for this host, without those the running image shares, as far as they
        are known. That is the most a pull can need: other images may have some of them too. None: not known.

        Without `ask` from memory alone. With it by one or two GETs, each of which counts as a pull, once ever.
        """
        image = await self._layered(ref, digest.lower(), ask, background)
        if image is None or image.layers is None:
            return None
        here = await self._layered(ref, running.lower(), False, background) if running else None
        shared = (here.layers or {}) if here else {}
        return sum(size for layer, size in image.layers.items() if layer not in shared)

    def warm(self, registry: str, names: Collection[str]) -> None:
        """Say which repositories (`ImageRef.name`) of a registry come next, so that one token can serve many.

        Sends nothing by itself.
        """
        self._session.warm(registry, names)

    def hosts(self) -> list[HostState]:
        """Registries asked since the start, and hosts that rest or whose quota is known from before."""
        return self._session.states()

    def host(self, registry: str) -> HostState:
        """What is known of one registry; nothing but its name before it was asked."""
        return self._session.state(registry)

    async def restore(self) -> None:
        """Take up what an earlier process knew of hosts, so that `hosts` tells it before the first request.

        Requests do so by themselves. Raises what the store raises.
        """
        await self._transport.restore()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _resolve_anew(self, ref: ImageRef, tag: str, known: Validator | None, background: bool) -> Resolved:
        answer = await self._manifest_request(ref, "HEAD", tag, None, background)
        return await self._taken_in(ref, tag, known, answer, background)

    async def _taken_in(
        self,
        ref: ImageRef,
        tag: str,
        known: Validator | None,
        answer: Answer,
        background: bool,
        *,
        ask_whether: Validator | None = None,
    ) -> Resolved:
        """The digest of a HEAD's answer; where it has none, or HEAD is not allowed, that of a GET's body.

        With `ask_whether` the GET is conditional too: an unchanged tag has no body then.
        """
        if answer.status not in (405, 501):
            _expect_ok(answer, ref, tag)
            if digest := _digest_header(answer):
                return self._learnt(ref, tag, known, answer, digest, _media_type(answer))
        answer = await self._manifest_request(ref, "GET", tag, ask_whether, background)
        if ask_whether and answer.status == 304 and _digest_header(answer) in (None, ask_whether.digest):
            return Resolved(ask_whether.digest, ask_whether.media_type, _kind(ask_whether.media_type), True)
        _expect_ok(answer, ref, tag)
        digest = content_digest(answer.body)
        manifest = parse_manifest(answer.body, digest, _media_type(answer))
        self.store.remember_manifest(manifest)
        return self._learnt(ref, tag, known, answer, digest, manifest.media_type)

    async def _behind(self, ref: ImageRef, tag: str, resolved: Resolved, background: bool) -> StoredManifest:
        """The manifest a tag resolved to. A remembered digest that proves wrong is found out anew, once."""
        try:
            return await self._stored(ref, resolved.digest, background)
        except ManifestUnknown:
            if not resolved.from_cache:
                raise
        anew = await self._resolve_anew(ref, tag, self.store.validator(ref.repo, tag), background)
        return await self._stored(ref, anew.digest, background)

    async def _manifest_request(
        self, ref: ImageRef, method: str, reference: str, known: Validator | None, background: bool
    ) -> Answer:
        headers = {"Accept": ACCEPT}
        if known:
            headers["If-None-Match"] = known.etag or f'"{known.digest}"'
        path = f"/v2/{ref.name}/manifests/{reference}"
        return await self._session.request(Query(ref, method, path, "manifest", headers, background))

    def _learnt(
        self, ref: ImageRef, tag: str, known: Validator | None, answer: Answer, digest: str, media_type: str
    ) -> Resolved:
        etag = answer.headers.get("etag")
        # Most registries quote the digest, which is what is asked with where no etag is known.
        etag = etag if etag and len(etag) <= 300 and etag != f'"{digest}"' else None
        same = known is not None and (known.etag, known.digest, known.media_type) == (etag, digest, media_type)
        if not same:
            now = rfc3339(self._clock.now())
            self.store.remember(ref.repo, tag, Validator(etag, digest, media_type, now))
        return Resolved(digest, media_type, _kind(media_type), False)

    async def _stored(self, ref: ImageRef, digest: str, background: bool, *, config: bool = True) -> StoredManifest:
        """The manifest from the store, else from the registry; one request however many ask at once."""
        if not is_digest(digest):
            raise InvalidReference(f"“{digest[:80]}” is not a digest")
        found = await self.store.manifest(digest)
        if found and (found.is_index or found.config_known or not config):
            return found
        lock = self._flights.setdefault(digest, asyncio.Lock())
        async with lock:
            found = await self.store.manifest(digest)
            if found is None:
                found = await self._fetched(ref, digest, background)
                self.store.remember_manifest(found)
            if config and not found.is_index and not found.config_known:
                found = await self._with_config(ref, found, background)
        return found

    async def _fetched(self, ref: ImageRef, digest: str, background: bool) -> StoredManifest:
        answer = await self._manifest_request(ref, "GET", digest, None, background)
        _expect_ok(answer, ref, digest)
        verify(answer.body, digest)
        return parse_manifest(answer.body, digest, _media_type(answer))

    async def _layered(
        self, ref: ImageRef, digest: str, ask: bool, background: bool, *, inside: bool = False
    ) -> StoredManifest | None:
        """The single manifest behind a digest; of an index the host's child. None when it is not at hand."""
        found = await self.store.manifest(digest)
        if found is None and ask:
            found = await self._stored(ref, digest, background, config=False)
        if found is not None and found.is_index:
            child = view(found, self.host_platform).platform_digest
            return await self._layered(ref, child, ask, background, inside=True) if child and not inside else None
        if found is not None and found.layers is None and ask:  # kept by a Dockrev that did not note layers
            found = replace(found, layers=(await self._fetched(ref, digest, background)).layers)
            self.store.remember_manifest(found)
        return found

    async def _with_config(self, ref: ImageRef, manifest: StoredManifest, background: bool) -> StoredManifest:
        """Complete a single manifest from its config blob; without it the architecture is just not known."""
        try:
            completed = with_config(manifest, await self._config_blob(ref, manifest, background))
        except RegistryError as error:
            if not error.permanent:
                return manifest
            completed = replace(manifest, config_known=True)
        self.store.remember_manifest(completed)
        return completed

    async def _config_blob(self, ref: ImageRef, manifest: StoredManifest, background: bool) -> bytes:
        if manifest.config_digest is None:
            raise BadManifest("the manifest names no config")
        path = f"/v2/{ref.name}/blobs/{manifest.config_digest}"
        answer = await self._session.request(Query(ref, "GET", path, "config", {}, background))
        _expect_ok(answer, ref, manifest.config_digest)
        verify(answer.body, manifest.config_digest)
        return answer.body


def _check_tag(tag: str) -> None:
    if not TAG.fullmatch(tag) and not is_digest(tag):
        raise InvalidReference(f"“{tag[:80]!a}” is not a tag")


def _digest_header(answer: Answer) -> str | None:
    """The digest the registry states, if it is one; another algorithm or nonsense counts as not stated."""
    said = answer.headers.get("docker-content-digest", "").strip().lower()
    return said if is_digest(said) else None


def _media_type(answer: Answer) -> str:
    stated: str = answer.headers.get("content-type", "")
    return intern(stated.partition(";")[0].strip().lower()[:200])  # kept for thousands of tags


def _kind(media_type: str) -> bool | None:
    return True if media_type in INDEX_TYPES else False if media_type in SINGLE_TYPES else None


def _expect_ok(answer: Answer, ref: ImageRef, reference: str) -> None:
    if answer.status == 200:
        return
    if answer.status == 404:
        raise ManifestUnknown(
            f"{ref.repo} has no {reference[:80]} at the registry",
            hint="The tag or the whole repository may be gone or renamed; check the image in the Compose file.",
        )
    raise RegistryRefused(f"{ref.registry} answered {answer.status} for {ref.name}:{reference[:80]}")
