"""Listing a repository's tags: pages, their limits, and the list kept while its ETag holds (spec §7.3)."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from urllib.parse import urljoin, urlsplit

from app.adapters.registry.errors import ManifestUnknown, RegistryRefused
from app.adapters.registry.references import TAG, ImageRef
from app.adapters.registry.session import Query, Session, host_name
from app.adapters.registry.transport import Answer

_MAX_PAGES = 100
_MAX_TAGS = 20_000
_KEPT_LISTS = 32
_KEPT_TAGS = 2_000
_NEXT = re.compile(r"<([^<>]{1,4096})>\s*;[^<]*?\brel\s*=\s*\"?next\b", re.IGNORECASE)
# What registries say that do not know `n`; then the whole list comes at once.
_NO_PAGING = frozenset({400, 405, 416, 501})


class TagLists:
    """Tag lists of repositories; one-page lists with an ETag are asked for conditionally the next time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: OrderedDict[str, tuple[str, list[str]]] = OrderedDict()

    async def fetch(self, ref: ImageRef, *, background: bool) -> list[str]:
        """All tags, sorted, without duplicates, at most 20,000. Raises the RegistryError tree."""
        plain = f"/v2/{ref.name}/tags/list"
        kept = self._kept.get(ref.repo)
        answer = await self._get(ref, f"{plain}?n=1000", background, kept[0] if kept else None)
        if answer.status == 304 and kept:
            self._kept.move_to_end(ref.repo)
            return list(kept[1])
        if answer.status in _NO_PAGING:
            answer = await self._get(ref, plain, background, None)
        found: set[str] = set()
        seen: set[str] = set()
        first = answer
        for _ in range(_MAX_PAGES):
            found.update(_tags(answer, ref))
            path = self._next_path(answer, ref)
            if path is None or path in seen or len(found) >= _MAX_TAGS:
                break
            seen.add(path)
            answer = await self._get(ref, path, background, None)
        tags = sorted(found)[:_MAX_TAGS]
        self._keep(ref.repo, first if not seen else None, tags)
        return tags

    async def _get(self, ref: ImageRef, path: str, background: bool, etag: str | None) -> Answer:
        headers = {"Accept": "application/json"}
        if etag:
            headers["If-None-Match"] = etag
        return await self._session.request(Query(ref, "GET", path, "tags", headers, background))

    def _next_path(self, answer: Answer, ref: ImageRef) -> str | None:
        """Path and query of the next page. A link to another host is refused; our scheme and port always stay."""
        match = _NEXT.search(answer.headers.get("link", ""))
        if not match:
            return None
        parts = urlsplit(urljoin(str(answer.url), match.group(1)))
        if (parts.hostname or "") != host_name(ref.api_host) or not parts.path.startswith("/v2/"):
            raise RegistryRefused(f"the next page of the tags of {ref.repo} is said to be somewhere else")
        return f"{parts.path}?{parts.query}" if parts.query else str(parts.path)

    def _keep(self, repo: str, answer: Answer | None, tags: list[str]) -> None:
        etag = answer.headers.get("etag", "") if answer else ""
        self._kept.pop(repo, None)
        if etag and len(etag) < 300 and len(tags) <= _KEPT_TAGS:
            self._kept[repo] = (etag, list(tags))
            if len(self._kept) > _KEPT_LISTS:
                self._kept.popitem(last=False)


def _tags(answer: Answer, ref: ImageRef) -> list[str]:
    if answer.status == 404:
        raise ManifestUnknown(f"{ref.repo} does not exist at the registry", hint="Check the spelling of the image.")
    if answer.status != 200:
        raise RegistryRefused(f"{ref.registry} answered {answer.status} to the list of tags of {ref.name}")
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise RegistryRefused(f"{ref.registry} sent a list of tags that is not JSON") from error
    tags = data.get("tags") if isinstance(data, dict) else None
    return [tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)] if isinstance(tags, list) else []
