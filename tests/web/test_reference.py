"""`/reference`: every operation for people, small, from our own server only, with calls that a shell understands."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.openapi.reference import curl_line, operations_of, slug_of
from app.openapi.schemas import Schemas
from tests.web.test_contract import error, running

HTML = {"Accept": "text/html"}
LIMIT = 100_000


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


async def told(api: httpx.AsyncClient, path: str = "/reference") -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(path, headers={"Accept": "application/json"})).json()
    return found


class Seen(HTMLParser):
    """Ids, links and what a page loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.inline = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and tag == "a":
                self.links.append(value or "")
            if name == "src" or (name == "href" and tag == "link"):
                self.loaded.append(value or "")
            self.inline |= name == "style" or name.startswith("on")


async def test_every_operation_is_on_the_page_of_its_group(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema")).json()
    wanted = {
        (method.upper(), path, operation["operationId"], slug_of(operation["tags"][0]))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    index = await told(api)
    assert {(one["method"], one["path"], one["id"], one["slug"]) for one in index["found"]} == wanted
    assert index["total"] == len(wanted) == sum(group["count"] for group in index["groups"])
    shown = set()
    for group in index["groups"]:
        answer = await api.get(f"/reference/{group['slug']}", headers=HTML)
        assert answer.status_code == 200
        assert len(answer.content) < LIMIT, f"{group['slug']} has {len(answer.content)} bytes"
        seen = Seen(answer.text)
        assert len(seen.ids) == len(set(seen.ids)), group["slug"]
        for operation in (await told(api, f"/reference/{group['slug']}"))["operations"]:
            assert operation["id"] in seen.ids
            shown.add((operation["method"], operation["path"], operation["id"], group["slug"]))
    assert shown == wanted


async def test_it_needs_nobody_else_and_no_script(api: httpx.AsyncClient) -> None:
    for path in ("/reference", "/reference/updates"):
        answer = await api.get(path, headers=HTML)
        assert len(answer.content) < LIMIT
        seen = Seen(answer.text)
        assert seen.loaded and all(address.startswith("/") and not address.startswith("//") for address in seen.loaded)
        assert not seen.inline
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for link in seen.links:
            if link.startswith("#") and link != "#main":
                assert link[1:] in seen.ids, link
    text = (await api.get("/reference/updates", headers=HTML)).text
    for expected in ("startUpdate", "<code>mode=dry-run</code>", "targetDigest", "Scope <code>update</code>", "409"):
        assert expected in text, expected


async def test_links_of_the_list_lead_to_operations(api: httpx.AsyncClient) -> None:
    links = [link for link in Seen((await api.get("/reference", headers=HTML)).text).links if "#" in link]
    pages: dict[str, Seen] = {}
    for link in links:
        path, _, anchor = link.partition("#")
        if path and path not in pages:
            pages[path] = Seen((await api.get(path, headers=HTML)).text)
        assert not path or anchor in pages[path].ids, link
    assert len(pages) > 10


async def test_the_filter_is_plain(api: httpx.AsyncClient) -> None:
    assert {one["id"] for one in (await told(api, "/reference?q=IGNORE+delete"))["found"]} == {"deleteIgnoreRule"}
    assert (await told(api, "/reference?q=nothing-is-called-like-this"))["found"] == []
    page = await api.get("/reference", params={"q": '"><script>alert(1)</script>'}, headers=HTML)
    assert "<script>alert" not in page.text
    assert "Nothing is called like that" in page.text
    assert error(await api.get("/reference/nothing", headers={"Accept": "application/json"}))["code"] == "not_found"


async def test_every_call_is_one_a_shell_understands(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema")).json()
    bodies = 0
    for group in (await told(api))["groups"]:
        for one in operations_of(document, group["slug"]):
            words = shlex.split(one.curl)
            assert words[0] == "curl"
            assert any(word.startswith("$D/") and "{" not in word for word in words), one.curl
            assert one.method == "GET" or words[words.index("-X") + 1] == one.method
            if "-d" in words:
                bodies += 1
                body = document["paths"][one.path][one.method.lower()]["requestBody"]["content"]["application/json"]
                assert json.loads(words[words.index("-d") + 1]) == body["example"]
    assert bodies > 15
    assert shlex.split(curl_line("/api/x", "post", (), {"a": "it's; $(id)"}))[-1] == '{"a": "it\'s; $(id)"}'


async def test_what_is_asked_of_the_calls_without_a_body_is_answered(api: httpx.AsyncClient) -> None:
    """Reads with example ids: there, or not found; never refused for how they are asked."""
    document = (await api.get("/schema")).json()
    for group in (await told(api))["groups"]:
        for one in operations_of(document, group["slug"]):
            needed = any(parameter.required and parameter.where == "query" for parameter in one.parameters)
            if one.method != "GET" or needed or "-N" in one.curl or one.path == "/events":
                continue
            path = re.search(r'"\$D([^"]+)"', one.curl)
            assert path is not None
            answer = await api.get(path[1], headers={"Accept": "application/json"})
            assert answer.status_code in (200, 202, 301, 303, 404), f"{one.curl}: {answer.text[:200]}"


async def test_the_document_is_made_once_and_kept_small(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        first = (await client.get("/schema")).content
        plugin: Any = next(one for one in app.plugins if type(one).__name__ == "OpenAPIPlugin")
        assert plugin._openapi is None
        assert len(str(plugin._openapi_schema)) < 100, "the objects are not kept"
        assert app.openapi_config is not None
        kept: Any = app.openapi_config.render_plugins[0]
        packed = kept._packed
        assert len(packed) < 50_000 < len(first)
        again = await asyncio.gather(*(client.get("/schema/openapi.json") for _ in range(3)))
        assert {answer.content for answer in again} == {first}
        assert kept._packed is packed


@pytest.mark.parametrize("path", ["/schema", "/reference/jobs"])
async def test_making_it_holds_up_nobody(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as (_, client):
        asking = asyncio.ensure_future(client.get(path, headers=HTML))
        turns = 0
        while not asking.done():
            turns += 1
            await asyncio.sleep(0.005)
        assert (await asking).status_code == 200
    assert turns > 8, "the event loop goes on while the document is made"


def test_schemas_in_words() -> None:
    named = {
        "Leaf": {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]},
        "Loop": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Loop"}}},
    }
    schemas = Schemas({"components": {"schemas": named}})
    leaf = {"$ref": "#/components/schemas/Leaf"}
    assert schemas.kind({"oneOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}) == "time | null"
    assert schemas.kind({"type": "array", "items": {"type": "integer"}}) == "list of whole number"
    assert schemas.kind({"type": ["string", "null"]}) == "text | null"
    tree: dict[str, Any] = {"type": "object", "properties": {
        "list": {"type": "array", "items": leaf}, "maps": {"type": "object", "additionalProperties": leaf},
    }}  # fmt: skip
    names = [(member.name, member.required) for member in schemas.members(tree)]
    assert names == [("list", False), ("list[].a", True), ("maps", False), ("maps.*.a", True)]
    assert schemas.kind(tree["properties"]["maps"]) == "map to object"
    loop = [member.name for member in schemas.members({"$ref": "#/components/schemas/Loop"})]
    assert loop == ["next", "next.next", "next.next.next"], "what names itself ends"
    assert schemas.text({"type": "integer", "minimum": 1, "maximum": 5, "default": 3}) == "from 1; up to 5; default 3"
