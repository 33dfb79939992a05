"""The lab for tests: one per session and engine, brought up when the first test asks for it.

`--lab-engine NAME` (or `DOCKREV_LAB_ENGINE`) chooses the engine of `lab`: debian, new or host. `each_lab`
runs a test on every engine that can be had.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator

import pytest

from tests.lab.errors import LabUnavailable
from tests.lab.faults import FaultProxy
from tests.lab.lab import EngineChoice, Lab, chosen_engine
from tests.lab.packages import obtain
from tests.lab.registry import Registry


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab-engine",
        choices=("debian", "new", "host"),
        help="engine of the lab (default: DOCKREV_LAB_ENGINE, debian)",
    )


LONGEST = (
    *("test_fuzz", "test_notifications_api", "test_pages", "test_passkeys", "test_audit"),
    *("test_home_assistant", "test_crash", "test_updates", "test_image", "test_deploy", "test_supervisor"),
    *("test_socket_proxy", "test_compose", "test_supervisor_image", "test_updates_batch", "test_self_upgrade"),
)
"""Files that begin first: one that a process begins last leaves the others without work for as long as it takes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, the rest as it was."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is not to be on the clock of the first test that needs it, such as the lab's packages."""
    if session.config.option.collectonly:
        return
    # Dockrev collects its garbage after each job, which would walk all that thousands of collected tests are made of.
    gc.collect()
    gc.freeze()
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if {"lab", "clean_lab", "each_lab"} & wanted:
        _fetched("new" if _choice(session.config) == "new" else "debian")
    if {"debian", "own"} & wanted:
        _prefetched(own="own" in wanted)
    if "each_lab" in wanted and _choice(session.config) != "host":
        _fetched("new")


@functools.cache
def _fetched(flavor: str) -> str:
    """Why the flavour's packages can't be had; empty when they are there."""
    try:
        obtain("new" if flavor == "new" else "debian")
    except LabUnavailable as error:
        return error.reason
    return ""


@functools.cache
def _prefetched(*, own: bool) -> str:
    """Why the Debian image, or Dockrev's own, can't be made here; empty when all that it needs is there."""
    from tests.lab import debian_image, own_image

    try:
        if own:
            own_image.prefetch()
        else:
            debian_image.debian_tar()
    except LabUnavailable as error:
        return error.reason
    return ""


def _choice(config: pytest.Config) -> EngineChoice:
    given: EngineChoice | None = config.getoption("--lab-engine")
    return given or chosen_engine()


def _running(choice: EngineChoice) -> Iterator[Lab]:
    if reason := _fetched("new" if choice == "new" else "debian"):
        pytest.skip(reason)  # the packages of this flavour can't be had here; the other flavour's tests run
    running = Lab(choice)
    try:
        running.start()
    except LabUnavailable as error:
        pytest.skip(error.reason)  # this machine can't run an engine: the suite's summary names it
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The session's lab. Tests that start stacks use `clean_lab`."""
    yield from _running(_choice(request.config))


@pytest.fixture
def clean_lab(lab: Lab) -> Iterator[Lab]:
    """The session's lab; the stacks made by the test are gone after it."""
    yield lab
    lab.down_all()


@pytest.fixture(scope="session", params=["debian", "new"])
def _each_engine(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if _choice(request.config) == "host":
        if request.param == "new":
            # A second engine would be one that nobody asked for on a machine that has its own.
            pytest.skip("only the machine's own engine was asked for")
        yield request.getfixturevalue("lab")
    elif request.param == _choice(request.config):
        yield request.getfixturevalue("lab")
    else:
        yield from _running(request.param)


@pytest.fixture
def each_lab(_each_engine: Lab) -> Iterator[Lab]:
    """Like `clean_lab`, once on Engine 20.10 (API 1.41) and once on the newest that can be had."""
    yield _each_engine
    _each_engine.down_all()


@pytest.fixture
def registry(lab: Lab) -> Registry:
    """The session's open registry. Use a repository name of the test's own."""
    return lab.registry


@pytest.fixture(scope="session")
def debian(lab: Lab) -> str:
    """The name of a Debian image with nginx, Caddy and HAProxy on the lab's engine."""
    from tests.lab.debian_image import debian_image

    if reason := _prefetched(own=False):
        pytest.skip(reason)  # no Debian packages within reach: named in the suite's summary
    return debian_image(lab)


@pytest.fixture(scope="session")
def own(lab: Lab) -> dict[str, str]:
    """Version → reference of Dockrev's own image in the lab's registry; see `tests.lab.own_image`."""
    from tests.lab import own_image

    if reason := _prefetched(own=True):
        pytest.skip(reason)  # no Debian packages or no package index within reach: named in the suite's summary
    return own_image.own_images(lab)


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    """A fault-injecting proxy before the open registry, without any faults yet."""
    with FaultProxy(lab.registry) as running:
        yield running
