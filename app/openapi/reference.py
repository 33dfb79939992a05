"""From the document to what the reference shows of it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from app.core.web.schema import ApiModel
from app.openapi.schemas import Member, Schemas

MOST: Final = 60
MOST_OF_PAGES: Final = 15
"""Members told of an answer; pages answer JSON too, but are there to be looked at."""

METHODS: Final = ("get", "post", "put", "delete")
_IDS: Final = {
    "stack_id": "stk_01JT5N3V0QZ8R6W2M4K7C9D1EA", "service_id": "svc_01JT5N3V0QZ8R6W2M4K7C9D1EB",
    "job_id": "job_01JT5N3V0QZ8R6W2M4K7C9D1ED", "rule_id": "ign_01JT5N3V0QZ8R6W2M4K7C9D1EC", "project": "demo",
    "token_id": "tok_01JT5N3V0QZ8R6W2M4K7C9D1EH", "owner": "acme", "repo": "web",
}  # fmt: skip
_SCOPE: Final = re.compile(r"\s*Scope of a token: `(\w+)`\.")


class Answer(ApiModel):
    """An answer by its status; errors have no members, they are all the envelope."""

    code: str
    text: str
    media: str = ""
    members: list[Member] = []
    more: int = 0
    example: str | None = None


class Operation(ApiModel):
    """Everything the page of a group says of one operation. `scope` is what a token needs; "" where none counts."""

    id: str
    method: str
    path: str
    title: str
    text: str
    scope: str = ""
    public: bool = False
    parameters: list[Member] = []
    body: list[Member] = []
    body_example: str | None = None
    answers: list[Answer] = []
    curl: str = ""


class Group(ApiModel):
    """A tag of the document."""

    name: str
    slug: str
    count: int


class Found(ApiModel):
    """An operation in the list that leads to it."""

    id: str
    method: str
    path: str
    title: str
    group: str
    slug: str


class ReferencePage(ApiModel):
    """`/reference`: all groups, and the operations that match or those of one group; of a group all about them."""

    version: str
    groups: list[Group]
    total: int
    query: str = ""
    slug: str = ""
    found: list[Found] = []
    operations: list[Operation] = []


def slug_of(tag: str) -> str:
    """The tag in an address."""
    return re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-")


def name_of(tag: str) -> str:
    """The tag as a heading."""
    return tag.replace("-", " ").capitalize().replace("Github", "GitHub")


def listed(document: Mapping[str, Any], query: str = "") -> list[Found]:
    """Operations in which every word of the query occurs, those of a group together, pages last."""
    words = query.casefold().split()
    found = [
        Found(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            title=operation.get("summary", ""),
            group=name_of(tag := _tag(operation)),
            slug=slug_of(tag),
        )
        for path, method, operation in _operations(document)
    ]
    matching = [
        one
        for one in found
        if all(word in f"{one.method} {one.path} {one.title} {one.id} {one.group}".casefold() for word in words)
    ]
    return sorted(
        matching, key=lambda one: (one.slug == "pages", one.group, one.path, METHODS.index(one.method.lower()))
    )


def groups_of(found: Sequence[Found]) -> list[Group]:
    """Groups in the order of the list, with how many operations each has."""
    names = dict.fromkeys(one.group for one in found)
    return [Group(name=name, slug=slug_of(name), count=sum(one.group == name for one in found)) for name in names]


def operations_of(document: Mapping[str, Any], slug: str) -> list[Operation]:
    """The operations of a group; none when there is no such group."""
    schemas = Schemas(document)
    made = [
        _operation(schemas, path, method, operation)
        for path, method, operation in _operations(document)
        if slug_of(_tag(operation)) == slug
    ]
    return sorted(made, key=lambda one: (one.path, METHODS.index(one.method.lower())))


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def _tag(operation: Mapping[str, Any]) -> str:
    return str(next(iter(operation.get("tags", ())), "other"))


def _operation(schemas: Schemas, path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    told = str(operation.get("description", ""))
    scope = _SCOPE.search(told)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    parameters = operation.get("parameters", ())
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        title=operation.get("summary", ""),
        text=_SCOPE.sub("", told).strip(),
        scope=scope[1] if scope else "",
        public=operation.get("security") == [],
        parameters=[
            Member(
                name=one["name"],
                kind=schemas.kind(one.get("schema", {})).replace(" | null", ""),
                required=bool(one.get("required")),
                text=str(one.get("description") or schemas.text(one.get("schema", {}))),
                where=one["in"],
            )
            for one in parameters
        ],
        body=list(islice(schemas.members(body.get("schema", {})), MOST)),
        body_example=pretty(body["example"]) if "example" in body else None,
        answers=[
            _answer(schemas, code, answer, MOST if path.startswith("/api/") else MOST_OF_PAGES)
            for code, answer in operation.get("responses", {}).items()
        ],
        curl=curl_line(path, method, parameters, body.get("example"), stream=_streams(operation)),
    )


def _answer(schemas: Schemas, code: str, answer: Mapping[str, Any], most: int) -> Answer:
    contents: Mapping[str, Mapping[str, Any]] = answer.get("content", {})
    media = next(iter(contents), "")
    content = contents.get(media, {})
    text = str(answer.get("description", ""))
    if code[0] not in "23":
        return Answer(code=code, text=text, media=media)
    members = list(schemas.members(content.get("schema", {})))
    return Answer(
        code=code,
        text="" if text.startswith(("Request fulfilled", "Document created", "Redirect")) else text,
        media=media,
        members=members[:most],
        more=max(0, len(members) - most),
        example=pretty(content["example"]) if "example" in content else None,
    )


def _streams(operation: Mapping[str, Any]) -> bool:
    return any("text/event-stream" in answer.get("content", {}) for answer in operation.get("responses", {}).values())


def pretty(example: Any) -> str:
    """JSON for people."""
    return json.dumps(example, indent=2, ensure_ascii=False)


def curl_line(
    path: str, method: str, parameters: Sequence[Mapping[str, Any]], example: Any = None, *, stream: bool = False
) -> str:
    """The call for a shell in which `D` is where Dockrev is; ids are those of the examples."""
    address = re.sub(r"\{(\w+)\}", lambda match: _IDS.get(match[1], f"{match[1].upper()}"), path)
    needed = [one["name"] for one in parameters if one["in"] == "query" and one.get("required")]
    address += "?" * bool(needed) + "&".join(f"{name}=…" for name in needed)
    parts = ["curl"]
    if stream:
        parts.append("-N")
    if method != "get":
        parts.append(f"-X {method.upper()}")
    parts.append(f'"$D{address}"')
    if not path.startswith(("/api", "/metrics", "/schema")):
        parts.append("-H 'Accept: application/json'")
    if example is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append("-d '" + json.dumps(example, ensure_ascii=False).replace("'", "'\\''") + "'")
    return " ".join(parts)
