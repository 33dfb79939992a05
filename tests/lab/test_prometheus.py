"""A real Prometheus scrapes a Dockrev that has worked, and answers every query of the dashboard and of metrics.md."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.lab.lab import Lab
from tests.lab.packages import fetch
from tests.lab.registry import free_port
from tests.lab.test_crash import Server, server

__all__ = ["server"]
pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
QUIET: Final = {"Updates that ended", "Open streams and waiting work", "MQTT broker"}  # no update, no browser, none set


@pytest.fixture
def prometheus(server: Server, tmp_path: Path) -> Iterator[httpx.Client]:
    """Its API; it scrapes twice a second."""
    port, config = free_port(), tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms}\n"
        f"scrape_configs: [{{job_name: dockrev, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}]\n"
    )
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                fetch("prometheus") / "usr/bin/prometheus", f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'series'}", f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def asked(prometheus: httpx.Client, query: str) -> list[dict[str, Any]]:
    """The samples of a query; fails when Prometheus does not understand it."""
    answer = prometheus.get("/query", params={"query": query}).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def until(prometheus: httpx.Client, query: str) -> None:
    """Wait for a query to have an answer."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if asked(prometheus, query):
                return
        except httpx.TransportError:
            pass  # it is still starting
        time.sleep(0.3)
    raise AssertionError(f"nothing for {query}")


def test_every_query_is_understood_and_answered(clean_lab: Lab, server: Server, prometheus: httpx.Client) -> None:
    samples = clean_lab.samples("scraped")
    clean_lab.registry.publish("scraped/web", "1", samples.good("1.0.0"))
    ref = clean_lab.registry.ref("scraped/web", "1")
    clean_lab.stack("scraped", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    until(prometheus, "dockrev_engine_up")
    server.finished(server.post("/api/discovery/scan")["jobId"])
    server.finished(server.post("/api/checks", scope="all")["checkId"])
    until(prometheus, 'dockrev_services{state="unknown"} == 0')
    until(prometheus, "rate(dockrev_registry_requests_total[20s]) > -1")
    dashboard = json.loads((DOCS / "grafana" / "dockrev.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        queries = [
            target["expr"].replace("$__rate_interval", "20s").replace("$instance", ".*") for target in panel["targets"]
        ]
        found = [sample for query in queries for sample in asked(prometheus, query)]
        assert found or panel["title"] in QUIET, panel["title"]
    (age,) = asked(prometheus, "time() - max(dockrev_last_check_timestamp_seconds)")
    assert 0 <= float(age["value"][1]) < 60
    (total,) = asked(prometheus, "sum(dockrev_services)")
    assert float(total["value"][1]) == 1
    text = (DOCS / "metrics.md").read_text(encoding="utf-8").partition("Worth an alert:")[2].partition("## ")[0]
    alerts = re.findall(r"`([^`]+)`", text)
    assert len(alerts) == 3
    assert not [alert for alert in alerts if asked(prometheus, alert)], "nothing is wrong here"
