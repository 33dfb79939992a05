"""Rate limits, cool-down, failures, and what the page is told about them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import respx

from app.adapters.registry import (
    ImageRef,
    RateLimited,
    RegistryClient,
    RegistryCoolingDown,
    RegistryTimeout,
    RegistryUnreachable,
    RetryPolicy,
)
from app.adapters.registry.limits import parse_retry_after
from tests.unit.registry.conftest import MakeClient, Time
from tests.unit.registry.fake_registry import FakeRegistry, Reply, Request

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Limited:
    """The first `times` answers are 429."""

    def __init__(self, times: int, **headers: str) -> None:
        self.left, self.headers = times, {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(self, request: Request) -> Reply | None:
        if self.left <= 0:
            return None
        self.left -= 1
        return Reply(429, self.headers)


async def test_429_waits_as_told_and_goes_on(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    registry.faults.append(Limited(2, retry_after="1"))
    await client.resolve(app, "1")
    assert time.slept == [1.0, 1.0]
    assert client.hosts()[0].cooling_until is None


async def test_waits_grow_with_jitter_and_stay_under_the_cap() -> None:
    policy = RetryPolicy(base_ms=250, max_ms=2000)
    assert policy.delay(0, None, lambda: 0.0) == 0.25
    assert policy.delay(0, None, lambda: 1.0) == 0.375
    assert policy.delay(2, None, lambda: 0.0) == 1.0
    assert policy.delay(9, None) == policy.delay(10**6, None) == 2.0
    assert policy.delay(0, 900.0) == 2.0
    assert policy.delay(0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), ("Fri, 01 May 2026 12:00:30 GMT", 30.0), ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
        (None, None), ("", None), ("soon", None), ("-5", None), ("9" * 500, 999_999_999.0), ("²", None),
    ],
)  # fmt: skip
def test_retry_after_in_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


async def test_the_permit_is_free_while_a_retry_sleeps(registry: FakeRegistry, make_client: MakeClient) -> None:
    gate = asyncio.Event()
    waiting = 0

    async def sleep(seconds: float) -> None:
        nonlocal waiting
        waiting += 1
        await gate.wait()

    client = make_client(sleep=sleep)
    registry.single("free", "1")
    await client.resolve(ImageRef.parse(f"{registry.host}/free"), "1")
    registry.faults.append(lambda r: Reply(429) if "busy" in r.path and not gate.is_set() else None)
    registry.single("busy", "1")
    busy = ImageRef.parse(f"{registry.host}/busy")
    tasks = [asyncio.create_task(client.resolve(busy, "1")) for _ in range(10)]
    while waiting < 10:
        await asyncio.sleep(0.01)
    await asyncio.wait_for(client.resolve(ImageRef.parse(f"{registry.host}/free"), "1"), 2)
    gate.set()
    assert len(await asyncio.gather(*tasks)) == 10 and waiting == 10


async def test_after_the_last_429_the_host_rests_for_background_work_only(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    registry.faults.append(Limited(5))
    with pytest.raises(RateLimited):
        await client.resolve(app, "1")
    assert registry.count() == 4
    until = client.hosts()[0].cooling_until
    assert until is not None
    assert until - time.now() == timedelta(seconds=21600)

    with pytest.raises(RegistryCoolingDown) as resting:
        await client.resolve(app, "1", background=True)
    assert not resting.value.permanent
    assert registry.count() == 4
    with pytest.raises(RateLimited):
        await client.resolve(app, "1")
    assert registry.count() == 5, "a person's request to a resting host is tried once, not four times"

    await client.resolve(app, "1")
    assert client.hosts()[0].cooling_until is None, "a useful answer ends the rest"
    await client.resolve(app, "1", background=True)


async def test_the_rest_ends_by_itself_and_a_longer_retry_after_counts(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    client = make_client(retry=RetryPolicy(max_attempts=0, cooldown_seconds=60))
    registry.faults.append(Limited(1, retry_after="3600"))
    with pytest.raises(RateLimited) as caught:
        await client.resolve(app, "1", background=True)
    assert caught.value.retry_after == 3600
    time.seconds += 3590
    with pytest.raises(RegistryCoolingDown):
        await client.resolve(app, "1", background=True)
    time.seconds += 20
    await client.resolve(app, "1", background=True)


@pytest.mark.parametrize("fault", [Reply(503), Reply(500), Reply(drop=True)])
async def test_a_5xx_or_lost_connection_gets_one_more_try(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, fault: Reply
) -> None:
    registry.single("app", "1")
    once = [fault]
    registry.faults.append(lambda r: once.pop() if once else None)
    await client.resolve(app, "1")
    assert registry.count() == 2

    registry.faults[:] = [lambda r: fault]
    with pytest.raises(RegistryUnreachable) as caught:
        await client.resolve(app, "1")
    assert registry.count() == 4
    assert not caught.value.permanent
    assert caught.value.hint
    assert client.hosts()[0].last_error


async def test_nobody_listening_is_unreachable(client: RegistryClient) -> None:
    with pytest.raises(RegistryUnreachable, match="cannot be reached"):
        await client.resolve(ImageRef.parse("127.0.0.1:1/app"), "1")


async def test_a_slow_answer_times_out_and_a_silent_host_is_given_up_for_a_moment(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.registry.transport.REQUEST_SECONDS", 0.05)
    registry.single("app", "1")
    registry.faults.append(lambda r: Reply(delay=0.5))
    for _ in range(5):
        with pytest.raises(RegistryTimeout):
            await client.resolve(app, "1")
    assert registry.count() == 3
    registry.faults.clear()
    time.seconds += 6
    monkeypatch.setattr("app.adapters.registry.transport.REQUEST_SECONDS", 5)
    await client.resolve(app, "1")


async def test_hints_for_certificates_and_plain_http(client: RegistryClient) -> None:
    ref = ImageRef.parse("reg.example/app")
    with respx.mock:
        route = respx.head("https://reg.example/v2/app/manifests/1")
        route.mock(side_effect=httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"))
        with pytest.raises(RegistryUnreachable) as caught:
            await client.resolve(ref, "1")
        assert "trust store" in caught.value.hint
        route.mock(side_effect=httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"))
        with pytest.raises(RegistryUnreachable) as caught:
            await client.resolve(ref, "1")
        assert "plain HTTP" in caught.value.hint


@pytest.mark.parametrize("listed", ["reg.example", "REG.example:5000"])
async def test_plain_http_for_listed_hosts(make_client: MakeClient, listed: str) -> None:
    digest = "sha256:" + "1" * 64
    with respx.mock:
        respx.head("http://reg.example:5000/v2/app/manifests/1").mock(
            return_value=httpx.Response(200, headers={"Docker-Content-Digest": digest})
        )
        client = make_client(plain_http_hosts=frozenset({listed}))
        assert (await client.resolve(ImageRef.parse("reg.example:5000/app"), "1")).digest == digest


@pytest.mark.parametrize("limit", ["", "nonsense", "100", "99999999999999999999;w=1", "-1;w=2"])
async def test_odd_quota_headers_do_no_harm(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, limit: str
) -> None:
    registry.single("app", "1")
    registry.quota = {"RateLimit-Limit": limit, "RateLimit-Remaining": limit}
    await client.resolve(app, "1")
    assert client.hosts()[0].remaining in (None, 100)


async def test_the_observer_hears_of_every_request(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef
) -> None:
    heard: list[tuple[str, str, str, str]] = []
    registry.single("app", "1")
    registry.auth = "bearer"
    client = make_client(
        on_request=lambda host, method, kind, outcome, seconds: heard.append((host, method, kind, outcome))
    )
    await client.check(app, "1")
    await client.check(app, "1")
    host = registry.host
    assert heard == [
        (host, "HEAD", "manifest", "unauthorized"),
        (host, "GET", "token", "ok"),
        (host, "HEAD", "manifest", "ok"),
        (host, "GET", "manifest", "ok"),
        (host, "GET", "config", "ok"),
        (host, "HEAD", "manifest", "not_modified"),
    ]
    (state,) = client.hosts()
    assert state.last_ok_at is not None
    assert state.latency_ms is not None


async def test_cancelling_frees_the_permit(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    registry.single("app", "1")
    await client.resolve(app, "1")
    slow = [Reply(delay=5) for _ in range(7)]
    registry.faults.append(lambda r: slow.pop() if slow else None)
    for _ in range(7):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.resolve(app, "1"), 0.05)
    await asyncio.wait_for(client.resolve(app, "1"), 2)


def test_importing_the_adapter_loads_neither_httpx_nor_its_command_line() -> None:
    code = (
        "import sys, app.adapters.registry as r; assert 'httpx' not in sys.modules, 'httpx';"
        "from app.adapters._httpx import httpx; assert httpx.AsyncClient and httpx.Response(200).is_success;"
        "assert not {'rich', 'pygments', 'click', 'httpx._main'} & set(sys.modules), 'cli';"
        "import httpx._main"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_httpx_does_not_log_addresses() -> None:
    import app.adapters._httpx  # noqa: F401

    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
