"""API tokens on the whole application: made, used, refused, limited; their secrets stay where they belong."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from app.core.clock import Clock
from app.features.access import acts, secret
from app.features.access.models import Scope
from app.features.access.tokens import Tokens
from tests.web.test_contract import BODIES, JOB, RULE, STK, SVC, error, running
from tests.web.test_pages import BROWSER

DETAILS = {
    "reason", "message", "forwardHeaderName", "groupHeaderName", "allowedUserMasked", "allowedGroupMasked",
    "currentUser", "currentGroups", "avatarUrl", "authorizationMode",
}  # fmt: skip


class Moving:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.wall, self.ticks = datetime(2026, 6, 1, tzinfo=UTC), 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: self.wall, monotonic=lambda: self.ticks)

    def on(self, **by: float) -> None:
        step = timedelta(**by)
        self.wall, self.ticks = self.wall + step, self.ticks + step.total_seconds()


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


def client_of(app: Litestar, address: str) -> httpx.AsyncClient:
    """Somebody at another address."""
    transport = httpx.ASGITransport(app=app, client=(address, 4000))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def made(client: httpx.AsyncClient, name: str, scope: str = "read", **more: Any) -> str:
    answer = await client.post("/api/tokens", json={"name": name, "scope": scope, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["value"])


async def only_tokens(app: Litestar, scope: str = "read") -> str:
    """A token where nobody else is let in."""
    tokens = app.state["container"].get(Tokens)
    _, text = await tokens.create(f"the {scope} one", Scope(scope), None, "test")
    return str(text)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


async def test_a_token_is_told_once_and_kept_as_a_hash(api: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await api.post("/api/tokens", json={"name": "  home   page ", "scope": "read", "expiresInDays": 30})
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token"]["name"] == "home page" and body["token"]["state"] == "active"
    assert body["token"]["createdBy"] == "anonymous" and body["token"]["lastUsedAt"] is None
    ends = datetime.fromisoformat(body["token"]["expiresAt"]) - datetime.fromisoformat(body["token"]["createdAt"])
    assert ends == timedelta(days=30)
    listed = await api.get("/api/tokens")
    [token] = listed.json()["tokens"]
    assert token == body["token"] and body["value"][-49:] not in listed.text
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("d.sqlite3*"))
    assert body["value"].encode() not in stored and body["value"][-49:].encode() not in stored
    assert secret.hash_of(body["value"]).encode() in stored


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "scope": "root"}, "scope"),
        ({"name": " ", "scope": "read"}, "name"),
        ({"name": "x" * 61, "scope": "read"}, "name"),
        ({"name": "a\x1b[31m", "scope": "read"}, "name"),
        ({"name": "x", "scope": "read", "expiresInDays": 31}, "expiresInDays"),
        ({"name": "x", "scope": "read", "expiresInDays": True}, "expiresInDays"),
        ({"scope": "read"}, "name"),
    ],
)
async def test_what_cannot_be_made(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.post("/api/tokens", json=body)
    assert answer.status_code == 400 and error(answer)["details"]["field"] == field
    assert (await api.get("/api/tokens")).json() == {"tokens": []}


async def test_names_are_taken_once_and_free_again_after_revoking(api: httpx.AsyncClient) -> None:
    await made(api, "ci")
    again = await api.post("/api/tokens", json={"name": "CI", "scope": "admin"})
    assert again.status_code == 409 and error(again)["code"] == "conflict"
    [token] = (await api.get("/api/tokens")).json()["tokens"]
    assert (await api.delete(f"/api/tokens/{token['id']}")).json() == {"ok": True}
    assert (await api.delete(f"/api/tokens/{token['id']}")).status_code == 404
    assert (await api.delete("/api/tokens/tok_nothing")).status_code == 404
    await made(api, "ci")
    states = [token["state"] for token in (await api.get("/api/tokens")).json()["tokens"]]
    assert states == ["active", "revoked"]


async def test_tokens_are_bounded(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.features.access.tokens.LIMIT", 2)
    monkeypatch.setattr("app.features.access.tokens.REVOKED_LIMIT", 1)
    await made(api, "one")
    await made(api, "two")
    answer = await api.post("/api/tokens", json={"name": "three", "scope": "read"})
    assert answer.status_code == 409 and error(answer)["details"]["hint"] == "Revoke those that nobody uses."
    for name in ("one", "three"):
        [token] = [t for t in (await api.get("/api/tokens")).json()["tokens"] if t["name"] == name]
        await api.delete(f"/api/tokens/{token['id']}")
        answer = await api.post("/api/tokens", json={"name": "three", "scope": "read"})
    assert answer.status_code == 409 and "lately" in error(answer)["message"]


async def test_two_at_once_get_one_name(api: httpx.AsyncClient) -> None:
    body = {"name": "twin", "scope": "read"}
    answers = await asyncio.gather(*(api.post("/api/tokens", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


async def test_a_token_opens_what_its_scope_is_for_and_nothing_more(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (app, client):
        texts = {scope: await only_tokens(app, scope) for scope in Scope}
        for key, (needed, _) in acts.API.items():
            method, path = key.split(" ")
            for name, value in {
                "{stack_id}": STK, "{service_id}": SVC, "{job_id}": JOB, "{backup_id}": "bkp_1", "{project}": "demo",
                "{token_id}": "tok_1",
            }.items():  # fmt: skip
                path = path.replace(name, value)
            for scope, text in texts.items():
                answer = await client.request(
                    method, path, headers=bearer(text), json=BODIES.get(path, {} if scope.covers(needed) else None)
                )
                if scope.covers(needed):
                    assert answer.status_code not in (401, 403, 429), f"{key} {scope}: {answer.text}"
                else:
                    assert answer.status_code == 403, f"{key} {scope}"
                    assert error(answer)["details"]["neededScope"] == needed.value
                    assert f"the scope {needed.value}" in error(answer)["message"]
        for path in ("/api/stacks", "/api/jobs", "/api/settings", "/api/deploy-check/report", "/metrics"):
            assert (await client.get(path, headers=bearer(texts[Scope.READ]))).status_code == 200
        for path in acts.READS:
            if path == "GET /api/tokens":
                answer = await client.get(path.split(" ")[1], headers=bearer(texts[Scope.UPDATE]))
                assert answer.status_code == 403
        assert (
            await client.delete(f"/api/ignores?ruleId={RULE}", headers=bearer(texts[Scope.CHECK]))
        ).status_code == 403


@pytest.mark.parametrize("settings", [{}, {"auth_allowed_user": "alice"}, {"auth_allow_anonymous_in_dev": "any"}])
async def test_a_bad_token_opens_nothing_whatever_else_would(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with running(tmp_path, api_failed_token_limit=1000, **settings) as (app, client):
        good = await only_tokens(app)
        person = {"X-Forwarded-User": "alice"}
        stranger = secret.new_secret("tok_01JT5N3V0QZ8R6W2M4K7C9D1EA")
        forged = good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:]
        for text in (stranger, forged, good[:-1], good.lower(), "x", "", "eyJhbGciOi.eyJzdWIi.c2ln", f"{good} {good}"):
            answer = await client.get("/api/stacks", headers=bearer(text))
            assert answer.status_code == 401, text
            assert error(answer)["code"] == "auth_required" and error(answer)["message"] == "auth required"
            assert set(error(answer)["details"]) == DETAILS
            assert error(answer)["details"]["reason"] == "token_invalid"
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            if not text.startswith("eyJ"):
                assert (await client.get("/api/stacks", headers=bearer(text, **person))).status_code == 401, text
        twice = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {stranger}")]
        assert (await client.get("/api/stacks", headers=twice)).status_code == 401
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert (await client.get("/api/stacks", headers={"Authorization": f"{scheme} {good}"})).status_code == 200
        assert (await client.get("/api/health", headers=bearer(stranger))).status_code == 200, "public stays public"


async def test_the_bearer_of_a_proxy_is_left_to_the_proxy(tmp_path: Path) -> None:
    """oauth2-proxy adds its ID token; that is no token of ours, and no way past an allow-list."""
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    async with running(tmp_path, auth_allowed_user="alice") as (_, client):
        answer = await client.get("/api/settings", headers=bearer(jwt, **{"X-Forwarded-User": "alice"}))
        assert answer.status_code == 200 and answer.json()["auth"]["matchedBy"] == "user"
        answer = await client.get("/api/settings", headers=bearer(jwt, **{"X-Forwarded-User": "mallory"}))
        assert answer.status_code == 401 and error(answer)["details"]["reason"] == "authz_no_match"
        assert (await client.get("/api/settings", headers=bearer(jwt))).status_code == 401


async def test_a_token_never_opens_a_page_or_a_form(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        admin = await only_tokens(app, "admin")
        for method, path in (
            ("GET", "/"),
            ("GET", "/settings"),
            ("GET", "/events"),
            ("POST", "/checks"),
            ("GET", "/schema"),
        ):
            answer = await client.request(method, path, headers=bearer(admin))
            assert answer.status_code == 403, path
            assert "/api only" in answer.text


async def test_expired_and_revoked_are_told_to_who_has_the_secret(tmp_path: Path) -> None:
    moving = Moving()
    async with running_at(tmp_path, moving, auth_allowed_user="alice") as (app, client):
        tokens = app.state["container"].get(Tokens)
        token, text = await tokens.create("short", Scope.ADMIN, 30, "test")
        child = await client.post(
            "/api/tokens", headers=bearer(text), json={"name": "c", "scope": "admin", "expiresInDays": None}
        )
        assert datetime.fromisoformat(child.json()["token"]["expiresAt"]) == token.expires_at, (
            "not longer than its maker"
        )
        assert child.json()["token"]["createdBy"] == "token:short"
        moving.on(days=30)
        answer = await client.get("/api/stacks", headers=bearer(text))
        assert error(answer)["details"]["reason"] == "token_expired" and "short" in error(answer)["details"]["message"]
        wrong = text[:31] + secret.new_secret(token.id)[31:]
        answer = await client.get("/api/stacks", headers=bearer(wrong))
        assert error(answer)["details"]["reason"] == "token_invalid" and "short" not in answer.text
        _, other = await tokens.create("other", Scope.READ, None, "test")
        await tokens.revoke(secret.id_in(other) or "")
        answer = await client.get("/api/stacks", headers=bearer(other))
        assert error(answer)["details"]["reason"] == "token_revoked"
        moving.on(days=31)
        await tokens.purge()
        answer = await client.get("/api/stacks", headers=bearer(other))
        assert error(answer)["details"]["reason"] == "token_invalid"


async def test_tokens_and_their_last_use_outlive_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        text = await made(client, "widget")
        async with client_of(app, "203.0.113.9") as far:
            assert (await far.get("/api/stacks", headers=bearer(text))).status_code == 200
        [token] = (await client.get("/api/tokens")).json()["tokens"]
        assert token["lastUsedAt"] and token["lastUsedFrom"] == "203.0.113.9"
    async with running(tmp_path) as (_, client):
        assert (await client.get("/api/tokens")).json()["tokens"] == [token]
        assert (await client.get("/api/stacks", headers=bearer(text))).status_code == 200


async def test_reading_with_a_token_writes_at_most_once_a_minute(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        text = await made(client, "widget")
        tokens = app.state["container"].get(Tokens)
        for _ in range(20):
            await client.get("/api/stacks", headers=bearer(text))
        assert len(tokens._used) == 1
        await tokens.save()
        assert not tokens._used


async def test_jobs_carry_the_name_of_the_token(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (app, client):
        text = await only_tokens(app, "check")
        job_id = (await client.post("/api/discovery/scan", headers=bearer(text))).json()["jobId"]
        job = (await client.get(f"/api/jobs/{job_id}", headers=bearer(text))).json()["job"]
        assert job["createdBy"] == "token:the check one"
        settings = (await client.get("/api/settings", headers=bearer(text))).json()
        assert settings["auth"]["matchedBy"] == "token"


async def test_a_stream_opens_with_a_token_too(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (app, client):
        text = await only_tokens(app)
        assert (await client.get("/api/jobs/events")).status_code == 401
        job_id = (await client.post("/api/discovery/scan", headers=bearer(await only_tokens(app, "check")))).json()[
            "jobId"
        ]
        answer = await asyncio.wait_for(client.get(f"/api/jobs/{job_id}/events", headers=bearer(text)), 20)
        assert answer.status_code == 200 and "job_finished" in answer.text
        assert answer.headers["ratelimit-limit"] == "600"


async def test_each_token_has_its_own_limit(tmp_path: Path) -> None:
    moving = Moving()
    async with running_at(tmp_path, moving, api_rate_limit=5) as (_, client):
        one, two = await made(client, "one"), await made(client, "two")
        answers = [await client.get("/api/stacks", headers=bearer(one)) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
        assert answers[0].headers["ratelimit-limit"] == "5" and answers[0].headers["ratelimit-reset"] == "12"
        assert "retry-after" not in answers[4].headers and answers[5].headers["retry-after"] == "12"
        assert error(answers[5])["code"] == "rate_limited" and error(answers[5])["details"]["hint"]
        assert (await client.get("/api/stacks", headers=bearer(two))).status_code == 200
        moving.on(seconds=12)
        assert (await client.get("/api/stacks", headers=bearer(one))).status_code == 200
        for _ in range(20):
            assert (await client.get("/api/stacks")).status_code == 200, "this machine itself is not limited"


async def test_each_address_has_its_own_limit_and_pages_have_none(tmp_path: Path) -> None:
    async with running(tmp_path, api_rate_limit=3, auth_allowed_user="alice") as (app, _):
        async with client_of(app, "192.168.1.20") as proxy:

            async def ask(path: str, address: str) -> int:
                headers = {"X-Forwarded-User": "alice", "X-Forwarded-For": address, **BROWSER}
                return (await proxy.get(path, headers=headers)).status_code

            assert [await ask("/api/stacks", "10.0.0.7") for _ in range(4)] == [200, 200, 200, 429]
            assert await ask("/api/stacks", "10.0.0.8") == 200
            for _ in range(10):
                assert await ask("/queue", "10.0.0.7") == 200
                assert await ask("/api/health", "10.0.0.7") == 200
        async with client_of(app, "203.0.113.9") as stranger:
            answers = [await stranger.get("/api/stacks", headers={"X-Forwarded-For": str(n)}) for n in range(4)]
            assert [answer.status_code for answer in answers] == [401, 401, 401, 429], "who is no proxy is one address"


async def test_no_limit_when_it_is_switched_off(tmp_path: Path) -> None:
    async with running(tmp_path, api_rate_limit=0) as (_, client):
        text = await made(client, "busy")
        answers = [await client.get("/api/version", headers=bearer(text)) for _ in range(30)]
        answers += [await client.get("/api/stacks", headers=bearer(text)) for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit-limit" not in answers[-1].headers


async def test_guessing_is_limited_harder_and_harms_nobody_else(tmp_path: Path) -> None:
    async with running(tmp_path, api_failed_token_limit=5, auth_allowed_user="alice") as (app, _):
        good = await only_tokens(app)
        async with client_of(app, "203.0.113.9") as guesser:
            bad = bearer(secret.new_secret("tok_01JT5N3V0QZ8R6W2M4K7C9D1EA"))
            answers = [await guesser.get("/api/stacks", headers=bad) for _ in range(8)]
            assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
            assert answers[-1].headers["retry-after"] and error(answers[-1])["code"] == "rate_limited"
            assert (await guesser.get("/api/stacks", headers=bearer(good))).status_code == 200
        async with client_of(app, "203.0.113.10") as other:
            assert (await other.get("/api/stacks", headers=bad)).status_code == 401


async def test_a_secret_appears_nowhere_after_it_was_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(tmp_path) as (_, client):
        text = await made(client, "quiet", "admin")
        answers = [await client.get("/api/stacks", headers=bearer(text))]
        answers.append(await client.post("/api/updates", headers=bearer(text), json={}))
        answers.append(await client.post("/api/tokens", headers=bearer(text), json={"name": "quiet", "scope": "read"}))
        answers.append(await client.get("/", headers=bearer(text)))
        answers.append(await client.get("/api/stacks", headers=bearer(text + "x")))
        for path in (
            "/api/tokens",
            "/api/audit",
            "/api/audit/export",
            "/settings/tokens",
            "/settings/audit",
            "/metrics",
        ):
            answers.append(await client.get(path))
            answers.append(await client.get(path, headers=BROWSER))
        [token] = (await client.get("/api/tokens")).json()["tokens"]
        answers.append(await client.delete(f"/api/tokens/{token['id']}", headers=bearer(text)))
        answers.append(await client.get("/api/stacks", headers=bearer(text)))
        answers.append(await client.get("/settings/tokens", headers=BROWSER))
    told = "\n".join([answer.text + str(answer.headers) for answer in answers])
    told += caplog.text + json.dumps(capfd.readouterr())
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("d.sqlite3*")).decode("latin-1")
    chance = text[-49:-6]
    assert chance not in told and chance not in stored
    assert not re.search(chance[:20], told + stored)


def running_at(tmp_path: Path, moving: Moving, **settings: Any) -> Any:
    """The application with a clock of the test's own."""
    return running(tmp_path, clock=moving.clock(), **settings)
