"""Identity, same-site rule, forms, shapes, errors and streams, on a small application of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from typing import Any

import anyio
import httpx
import pytest
from jinja2 import DictLoader, Environment
from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.params import FromQuery, JSONBody
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.errors import Conflict, InvalidArgument
from app.core.web.auth import AuthPolicy, identity_of, mask, require_identity
from app.core.web.forms import parse, read_form, require_same_site
from app.core.web.frame import Frame
from app.core.web.origin import CSRF_COOKIE
from app.core.web.paging import InvalidCursor, decode_cursor, encode_cursor
from app.core.web.problems import HANDLERS
from app.core.web.schema import ApiInput, ApiModel, Maybe
from app.core.web.sse import event_stream, json_event, resume_point
from app.core.web.view import Pages, View

PRIVATE = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))
TEMPLATES = {
    "thing.html": "<html>{% block page %}<b>{{ page.name }}</b>{{ csrf_token }}{% endblock %}"
    "{% block side_bar %}side{% endblock %}</html>",
    "errors/_alert.html": "alert {{ error.message }}",
    "errors/error.html": "page {{ error.message }} {{ error.hint }}",
    "errors/unauthorised.html": "who are you {{ error.details.reason }}",
}


class Thing(ApiModel):
    """A little of everything."""

    name: str
    long_name: str | None = None
    left_out: Maybe[int] = None


class ThingInput(ApiInput):
    """A body."""

    how_many: int
    note: str | None = None


class Frames:
    """No database."""

    async def full(self, request: Request[Any, Any, Any], topics: Sequence[str]) -> Frame:
        return Frame(topics=topics)

    def bare(self, request: Request[Any, Any, Any]) -> Frame:
        return Frame()


@get("/thing")
async def thing(request: Request[Any, Any, Any], name: FromQuery[str] = "<x>") -> View[Thing]:
    pages: Pages = request.app.state.pages
    return await pages.show(request, Thing(name=name), "thing.html")


@get("/api/me")
async def me(request: Request[Any, Any, Any]) -> dict[str, Any]:
    identity = identity_of(request)
    assert identity
    return {"principal": identity.principal, "by": identity.matched_by}


@post("/api/thing", status_code=200)
async def change(data: JSONBody[ThingInput]) -> dict[str, int]:
    if data.how_many > 10:
        raise Conflict("too many", hint="Take fewer.", details={"existingJobId": "job_1"})
    return {"n": data.how_many}


@post("/act", status_code=200)
async def act(request: Request[Any, Any, Any]) -> dict[str, int]:
    fields = await read_form(request)
    return {"n": parse(ThingInput, {key: values[0] for key, values in fields.items()}).how_many}


@get("/boom")
async def boom() -> None:
    raise RuntimeError("password=hunter2")


@get("/api/open", opt={"public": True})
async def open_to_all() -> str:
    return "ok"


@get("/api/stream")
async def stream(request: Request[Any, Any, Any]) -> EventSourceResponse:
    after = resume_point(request)

    async def source(_: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        for number in range(after + 1, 4):
            yield json_event("tick", {"n": number}, number)
            await asyncio.sleep(0)

    return event_stream(request, "test", source)


def client(policy: AuthPolicy, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    environment = Environment(loader=DictLoader(TEMPLATES), autoescape=True)
    app = Litestar(
        [thing, me, change, act, boom, open_to_all, stream],
        guards=[require_same_site, require_identity],
        exception_handlers=HANDLERS,
        state=State({"auth_policy": policy, "pages": Pages(environment, Frames())}),
        logging_config=None,
        request_max_body_size=10_000,
    )

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(peer, 1234))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


ALICE = AuthPolicy(allowed_user="alice", allowed_group="admins", trusted_proxies=PRIVATE)


@pytest.mark.parametrize(
    ("policy", "peer", "headers", "status", "told"),
    [
        (ALICE, "10.1.2.3", {"X-Forwarded-User": " alice "}, 200, "user"),
        (ALICE, "10.1.2.3", {"X-Forwarded-User": "bob", "Remote-Groups": "x, admins"}, 200, "group"),
        (ALICE, "10.1.2.3", {"Remote-Groups": "admins"}, 200, "group"),
        (ALICE, "10.1.2.3", {"X-Forwarded-User": "Alice"}, 401, "authz_no_match"),
        (ALICE, "10.1.2.3", {}, 401, "identity_missing"),
        (ALICE, "93.184.216.34", {"X-Forwarded-User": "alice"}, 401, "identity_missing"),
        (AuthPolicy(anonymous="off"), "127.0.0.1", {}, 401, "authz_config_missing"),
        (AuthPolicy(), "127.0.0.1", {}, 200, "anonymous_dev"),
        (AuthPolicy(), "127.0.0.1", {"X-Forwarded-For": "1.2.3.4"}, 401, "authz_config_missing"),
        (AuthPolicy(), "127.0.0.1", {"Host": "evil.example"}, 401, "authz_config_missing"),
        (AuthPolicy(), "192.168.1.9", {}, 401, "authz_config_missing"),
        (AuthPolicy(anonymous="any"), "192.168.1.9", {}, 200, "anonymous_dev"),
        (AuthPolicy(anonymous="any", allowed_user="alice"), "127.0.0.1", {}, 401, "identity_missing"),
    ],
)
async def test_forward_auth(policy: AuthPolicy, peer: str, headers: dict[str, str], status: int, told: str) -> None:
    async with client(policy, peer) as api:
        answer = await api.get("/api/me", headers=headers)
        assert answer.status_code == status
        if status == 200:
            assert answer.json()["by"] == told
        else:
            assert answer.json()["error"]["code"] == "auth_required"
            assert answer.json()["error"]["details"]["reason"] == told
        assert (await api.get("/api/open")).status_code == 200


async def test_the_exact_401_body() -> None:
    async with client(ALICE, "10.0.0.9") as api:
        answer = await api.get("/api/me", headers={"X-Forwarded-User": "mallory", "Remote-Groups": "guests"})
    assert answer.json() == {
        "error": {
            "code": "auth_required",
            "message": "auth required",
            "details": {
                "reason": "authz_no_match",
                "message": "forward auth identity is not allowed",
                "forwardHeaderName": "X-Forwarded-User",
                "groupHeaderName": "Remote-Groups",
                "allowedUserMasked": "al***ce",
                "allowedGroupMasked": "ad***ns",
                "currentUser": "mallory",
                "currentGroups": ["gu***ts"],
                "avatarUrl": None,
                "authorizationMode": "user_or_group",
            },
        }
    }


async def test_a_header_sent_twice_is_not_believed() -> None:
    async with client(ALICE, "10.0.0.9") as api:
        answer = await api.get("/api/me", headers=[("X-Forwarded-User", "bob"), ("X-Forwarded-User", "alice")])
    assert answer.status_code == 401


@pytest.mark.parametrize(("text", "masked"), [("a", "**"), ("ab", "**"), ("abc", "a**c"), ("abcde", "ab***de")])
def test_mask(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_requests_from_other_sites_are_refused(headers: dict[str, str], status: int) -> None:
    async with client(AuthPolicy()) as api:
        answer = await api.post("/api/thing", json={"howMany": 1}, headers=headers)
        assert answer.status_code == status
        assert (await api.get("/api/me", headers=headers)).status_code == 200


async def test_forms_need_their_token() -> None:
    async with client(AuthPolicy()) as api:
        page = await api.get("/thing", headers={"Accept": "text/html"})
        token = api.cookies[CSRF_COOKIE]
        assert token in page.text
        cookie = page.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await api.post("/act", data={"howMany": "3", "csrf": token})).json() == {"n": 3}
        assert (await api.post("/act", data={"howMany": "3", "csrf": "x" * 32})).status_code == 403
        assert (await api.post("/act", data={"howMany": "3"})).status_code == 403
        assert (await api.post("/act", json={"howMany": 3})).status_code == 400
        bad = await api.post("/act", data={"howMany": "many", "csrf": token}, headers={"Accept": "application/json"})
        assert bad.status_code == 400
        assert bad.json()["error"]["details"]["field"] == "howMany"


@pytest.mark.parametrize(
    ("headers", "kind", "body"),
    [
        ({"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, "text/html", "<html>"),
        ({"Accept": "application/json"}, "application/json", '{"name"'),
        ({"Accept": "*/*"}, "application/json", '{"name"'),
        ({"Accept": "*/*", "User-Agent": "Mozilla/5.0"}, "text/html", "<html>"),
        ({"Accept": "*/*", "HX-Request": "true"}, "text/html", "<b>"),
        ({"Accept": "text/html", "HX-Request": "true", "HX-Target": "side-bar"}, "text/html", "side"),
        ({"Accept": "text/html", "HX-Request": "true", "HX-Boosted": "true"}, "text/html", "<html>"),
    ],
)
async def test_one_handler_three_shapes(headers: dict[str, str], kind: str, body: str) -> None:
    async with client(AuthPolicy()) as api:
        answer = await api.get("/thing", headers=headers)
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.startswith(body)
    assert {part.strip() for part in answer.headers["vary"].split(",")} >= {"Accept", "HX-Request"}
    if kind == "text/html" and "<b>" in answer.text:
        assert "<b>&lt;x&gt;</b>" in answer.text
    if kind == "application/json":
        assert answer.json() == {"name": "<x>", "longName": None}


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        (b"{", {"Content-Type": "application/json"}, "body"),
        (b"", {"Content-Type": "application/json"}, "body"),
        (b"[]", {"Content-Type": "application/json"}, "body"),
        (b"{}", {"Content-Type": "application/json"}, "howMany"),
        (b'{"howMany":"x"}', {"Content-Type": "application/json"}, "howMany"),
        (b'{"howMany":1}', {"Content-Type": "text/plain"}, None),
        (b"\xff\xfe", {"Content-Type": "application/json"}, "body"),
        (b'{"howMany":1,"note":"' + b"x" * 20_000 + b'"}', {"Content-Type": "application/json"}, "body"),
    ],
)
async def test_bad_bodies_are_400_in_the_envelope(body: bytes, headers: dict[str, str], field: str | None) -> None:
    async with client(AuthPolicy()) as api:
        answer = await api.post("/api/thing", content=body, headers=headers)
    if field is None:
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_argument"
    assert answer.json()["error"]["details"]["field"] == field


async def test_errors_in_all_shapes() -> None:
    async with client(AuthPolicy()) as api:
        known = await api.post("/api/thing", json={"howMany": 99})
        assert known.status_code == 409
        assert known.json()["error"] == {
            "code": "conflict", "message": "too many", "details": {"existingJobId": "job_1", "hint": "Take fewer."},
        }  # fmt: skip
        assert (await api.get("/api/nothing")).json()["error"]["code"] == "not_found"
        wrong = await api.delete("/api/thing")
        assert wrong.status_code == 405
        assert wrong.json()["error"]["code"] == "method_not_allowed"
        assert "POST" in wrong.headers["allow"]
        page = await api.get("/nothing", headers={"Accept": "text/html"})
        assert page.status_code == 404
        assert page.text.startswith("page ")
        alert = await api.get("/nothing", headers={"HX-Request": "true"})
        assert alert.text.startswith("alert ")
        assert alert.headers["hx-retarget"] == "#toasts"
        for headers in ({"Accept": "text/html"}, {"Accept": "application/json"}):
            crash = await api.get("/boom", headers=headers)
            assert crash.status_code == 500
            assert "hunter2" not in crash.text
            assert "Traceback" not in crash.text
    async with client(ALICE) as api:
        page = await api.get("/thing", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert page.text == "who are you identity_missing"


async def test_streams_resume_and_have_their_headers() -> None:
    async with client(AuthPolicy()) as api:
        whole = await api.get("/api/stream")
        assert whole.headers["content-type"].startswith("text/event-stream")
        assert whole.headers["cache-control"] == "no-cache"
        assert whole.headers["x-accel-buffering"] == "no"
        assert whole.text.startswith(": keep-alive\n\n")
        assert [line for line in whole.text.split("\n") if line.startswith("id:")] == ["id: 1", "id: 2", "id: 3"]
        assert 'data: {"n":1}' in whole.text
        rest = await api.get("/api/stream?afterId=1", headers={"Last-Event-ID": "2"})
        assert [line for line in rest.text.split("\n") if line.startswith("id:")] == ["id: 3"]
        for bad in ("-1", "x", "9" * 40, "1.5", "٣"):
            assert "id: 1" in (await api.get("/api/stream", params={"afterId": bad})).text


@pytest.mark.parametrize("text", ["", "x", "e30", "!!!", "eyJjcmVhdGVkQXQiOiJ4IiwiaWQiOiJ5In0", "ü", "A" * 5000])
def test_bad_cursors(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(text)


def test_cursor_round_trip() -> None:
    from app.core.clock import utc_now

    moment = utc_now()
    assert decode_cursor(encode_cursor(moment, "job_1")) == (moment, "job_1")


def test_invalid_argument_names_the_field() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(ThingInput, {"howMany": "x"})
    assert caught.value.details["field"] == "howMany"
