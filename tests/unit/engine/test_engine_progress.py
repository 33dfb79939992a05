"""Pull progress: what it says, and that it never goes back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.compose import PullLines
from app.adapters.engine import PullProgress
from app.adapters.engine.progress import FRACTION_CAP, MAX_LAYERS_LISTED, MAX_LAYERS_TRACKED

STATUSES = (
    "Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting",
    "Pull complete", "Already exists", "Retrying in 5 seconds", "Pulling from library/x", "nonsense",
)  # fmt: skip
numbers = st.integers(-10, 10**12) | st.none() | st.text(max_size=3) | st.floats()
messages = st.fixed_dictionaries(
    {"status": st.sampled_from(STATUSES)},
    optional={
        "id": st.sampled_from(["aaa", "bbb", "ccc", "ddd"]) | st.none(),
        "progressDetail": st.none() | st.dictionaries(st.sampled_from(["current", "total", "units"]), numbers),
    },
)


def layer(id: str, status: str, current: int | None = None, total: int | None = None) -> dict[str, Any]:
    detail = {k: v for k, v in (("current", current), ("total", total)) if v is not None}
    return {"id": id, "status": status, "progressDetail": detail}


def fed(*told: dict[str, Any]) -> PullProgress:
    progress = PullProgress()
    for message in told:
        progress.feed(message)
    return progress


@given(st.lists(messages, max_size=40))
def test_the_fraction_never_falls_and_never_arrives_early(told: list[dict[str, Any]]) -> None:
    progress, last = PullProgress(), None
    for message in told:
        progress.feed(message)
        fraction = progress.fraction
        if last is not None:
            assert fraction is not None
            assert fraction >= last
        if fraction is not None:
            assert 0 <= fraction <= FRACTION_CAP
        last = fraction
        shown = progress.download()
        assert 0 <= shown["completedLayers"] <= shown["totalLayers"]
        assert shown.get("currentBytes", 0) <= shown.get("totalBytes", float("inf"))
    progress.finish()
    assert progress.fraction == 1.0


def test_bytes_count_when_all_totals_are_known() -> None:
    progress = fed(layer("a", "Downloading", 30, 100), layer("b", "Downloading", 20, 100), layer("c", "Already exists"))
    assert progress.fraction == 0.30, "0.25 would be a step back from what the first layer alone showed"
    assert progress.download() == {
        "currentBytes": 50, "totalBytes": 200, "completedLayers": 1, "totalLayers": 3, "activeLayers": 2,
        "status": "downloading",
    }  # fmt: skip


def test_layers_count_while_a_total_is_missing() -> None:
    progress = fed(layer("a", "Pulling fs layer"), layer("b", "Pulling fs layer"), layer("a", "Download complete"))
    assert progress.fraction == 0.5
    assert "totalBytes" not in progress.download()


def test_an_unknown_size_is_indeterminate() -> None:
    progress = fed(layer("a", "Downloading", 5_000))
    assert progress.fraction is None
    assert progress.download()["currentBytes"] == 5_000
    assert "totalBytes" not in progress.download()


def test_layers_that_were_here_already_promise_nothing() -> None:
    progress = fed(layer("a", "Already exists"), layer("b", "Pulling fs layer"))
    assert progress.fraction == 0.0


def test_a_retried_layer_does_not_go_back() -> None:
    progress = fed(
        layer("a", "Downloading", 90, 100), layer("a", "Retrying in 3 seconds"), layer("a", "Downloading", 1, 100)
    )
    assert progress.layers()[0].current == 90
    assert progress.fraction == 0.9


def test_seconds_of_extraction_are_no_bytes() -> None:
    progress = fed(layer("a", "Downloading", 90, 100), layer("a", "Download complete"), layer("a", "Extracting", 3, 7))
    assert progress.layers()[0].total == 100
    assert progress.download()["status"] == "extracting"


def test_digest_and_freshness() -> None:
    progress = fed({"status": "Digest: sha256:abc"}, {"status": "Status: Image is up to date for x:1"})
    assert (progress.digest, progress.downloaded) == ("sha256:abc", False)


def test_the_number_of_layers_is_bounded() -> None:
    progress = fed(*(layer(f"{i:012x}", "Downloading", 1, 2) for i in range(2 * MAX_LAYERS_TRACKED)))
    assert len(progress.layers()) == MAX_LAYERS_LISTED
    assert progress.download()["totalLayers"] == MAX_LAYERS_TRACKED


frames = st.builds(
    lambda id, status, a, b, unit: f" {id * 12} {status} [==>  ] {a}{unit}/{b}{unit}",
    st.sampled_from("abcd"), st.sampled_from(STATUSES), st.integers(0, 999), st.integers(0, 999),
    st.sampled_from(["B", "kB", "KiB", "MB", "GB"]),
)  # fmt: skip


@given(st.lists(frames, max_size=30), st.integers(1, 9))
def test_the_clis_words_feed_the_same_aggregator(lines: list[str], size: int) -> None:
    text = "\r".join(lines)
    reader, progress, last = PullLines(), PullProgress(), 0.0
    for start in range(0, len(text), size):
        for message in reader.feed(text[start : start + size]):
            progress.feed(message)
            assert (progress.fraction or last) >= last
            last = progress.fraction or last
    for message in reader.end():
        progress.feed(message)
    assert progress.download()["totalLayers"] <= 4
