"""One message to a hundred push devices, each with keys of its own, over a push service that takes 50 ms for each."""

from __future__ import annotations

import time
from contextlib import closing
from sqlite3 import connect
from typing import Final

from tests.bench.figures import Figure
from tests.bench.process import Dockrev
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.unit.notifications.ends import Answer, HttpEnd, Phone

DEVICES: Final = 100
RUNS: Final = 5
SERVICE_SECONDS: Final = 0.05
GOAL_SECONDS: Final = 2.0
GROWTH_MB_GOAL: Final = 25.0
"""What the libraries that encrypt and send weigh once they are needed."""


def figures(lab: Lab) -> list[Figure]:
    """By the test button, which sends as the outbox does; and what the first pushes cost in memory."""
    with HttpEnd() as end:
        end.default = _slow
        env = {**lab.env(), "DOCKREV_PUSH_ALLOWED_ORIGINS": end.url}
        with Dockrev(lab.folder / "bench-fanout", env) as dockrev:
            dockrev.settle()
            before = dockrev.memory()["VmRSS"]
            phones = _subscribe(dockrev, end)
            seconds = tuple(_fan_out(dockrev, end) for _ in range(RUNS))
            after = dockrev.memory()["VmRSS"]
            last = end.seen[-1]
            phone = next(each for each in phones if each.path == last.path)
            if phone.read(last)["kind"] != "notification_test":
                raise LabError("a push cannot be read by its device")
            _all_delivered(dockrev)
    return [
        Figure(f"one message to {DEVICES} push devices", seconds, "s", GOAL_SECONDS),
        Figure("memory that web push takes once it is used", (after - before,), "MB", GROWTH_MB_GOAL, digits=0),
    ]


def _slow() -> Answer:
    time.sleep(SERVICE_SECONDS)
    return 201, b""


def _subscribe(dockrev: Dockrev, end: HttpEnd) -> list[Phone]:
    page = dockrev.http.get("/settings/notifications", headers={"Accept": "text/html"}).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    made = dockrev.http.post("/settings/notifications/webPush/keys", data={"csrf": csrf})
    if made.is_error:
        raise LabError(f"no keys were made: {made.status_code} {made.text[:300]}")
    phones = [Phone(end, f"device{number}") for number in range(DEVICES)]
    for phone in phones:
        dockrev.post("/api/web-push/subscriptions", phone.subscription)
    return phones


def _fan_out(dockrev: Dockrev, end: HttpEnd) -> float:
    """Seconds from the request to the last device's answer."""
    end.seen.clear()
    began = time.perf_counter()
    results = dockrev.post("/api/notifications/test", {"channel": "webPush"})["results"]
    seconds = time.perf_counter() - began
    if results != {"webPush": {"ok": True}} or len(end.seen) != DEVICES:
        raise LabError(f"{len(end.seen)} of {DEVICES} devices were reached: {results}")
    return seconds


def _all_delivered(dockrev: Dockrev) -> None:
    with closing(connect(dockrev.folder / "dockrev.sqlite3")) as connection:
        states = dict(connection.execute("SELECT state, count(*) FROM notification_deliveries GROUP BY state"))
    if states != {"delivered": DEVICES * RUNS}:
        raise LabError(f"not everything was delivered: {states}")
