"""The metrics of the code, their table in docs/metrics.md and the dashboard name the same things."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from app.core.metrics import Metrics
from app.features.catalog.schemas import ServiceState

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
TARGET_LABELS: Final = {"instance", "le"}  # Prometheus adds the first, histograms the second


def exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """Name as documented → kind and labels, from the registry that `/metrics` renders."""
    registry = Metrics().registry
    labels = {
        collector._name: frozenset(collector._labelnames)  # type: ignore[attr-defined]
        for collector in registry._collector_to_names
    }
    return {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, labels[family.name])
        for family in registry.collect()
        if not family.name.endswith("_created")
    }


def series() -> set[str]:
    """Every name a query may use."""
    return {name.removesuffix("_total") + suffix for name, (kind, _) in exposed().items() for suffix in SUFFIXES[kind]}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana" / "dockrev.json").read_text(encoding="utf-8"))
    return found


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["query"]["query"] for one in dashboard()["templating"]["list"] if one["type"] == "query")


def test_the_table_has_every_metric_with_kind_and_labels() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(dockrev_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", text, re.MULTILINE)
    told = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert told == exposed()


def test_every_query_asks_for_what_there_is() -> None:
    labels = TARGET_LABELS.union(*(names for _, names in exposed().values()))
    used = set()
    for query in queries():
        names = set(re.findall(r"dockrev_\w+", query))
        assert names and names <= series(), query
        used |= names
        matched = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~?|!~|!=)", query))
        grouped = {name.strip() for group in re.findall(r"by \(([^)]*)\)", query) for name in group.split(",")}
        assert matched | grouped <= labels, query
        assert set(re.findall(r'state="(\w+)"', query)) <= {state.value for state in ServiceState}, query
        assert query.count("(") == query.count(")") and query.count("{") == query.count("}"), query
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert bases == set(exposed()), "the dashboard shows all of them"


def test_alerts_in_the_text_name_what_there_is() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"dockrev_\w+", text)) <= series() | set(exposed())


def test_panels_have_their_own_place_and_say_what_they_show() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"] and panel["description"], panel["title"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
