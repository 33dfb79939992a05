"""The lab first, then the server, then Chromium; an error in the browser's console fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from app.features.administration.welcome import COOKIE
from e2e.quiet import PORT, QuietNetwork
from e2e.server import Server
from tests.lab.errors import LabUnavailable
from tests.lab.lab import Lab
from tests.lab.sample_stacks import bring_up_samples
from tests.lab.stacks import Stack
from tests.suite import find_chromium

OUTPUT = Path(__file__).resolve().parent / "output"
# What is said when a page is left in the middle of a request; a request that fails has words of its own.
LEAVING = ("htmx:sendAbort", "htmx:afterRequest", "error occurred when fetching the script")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NewContext = Callable[..., BrowserContext]
LONGEST = (
    *("test_supervisor_languages", "test_supervisor", "test_a11y", "test_signed_out", "test_supervisor_passkeys"),
    *("test_routine", "test_update", "test_languages", "test_pwa", "test_settings", "test_live"),
)
"""Files that begin first: one that a process begins last leaves the other without work for as long as it takes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, the rest as it was."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of all journeys; each journey brings up stacks of its own."""
    running = Lab()
    try:
        running.start()
    except LabUnavailable as error:
        pytest.skip(error.reason)  # not root, no packages: the suite's summary names it, nothing is passed for it
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser_type_launch_args(lab: Lab) -> Iterator[dict[str, Any]]:
    """Debian's Chromium, in a network that does not change when containers come and go."""
    chromium = find_chromium()
    if chromium is None:
        # Without a browser there is no journey; `tests.suite` has tried to install one before and says so at its end.
        pytest.skip("there is no Chromium; install the package chromium of your system")  # no journey without
    if not QuietNetwork.possible():
        yield {"executable_path": chromium, "args": ARGUMENTS}
        return
    with QuietNetwork(chromium) as quiet:
        proxy = {"server": f"socks5://127.0.0.1:{PORT}", "bypass": "<-loopback>"}
        yield {"executable_path": str(quiet.wrapper), "args": ARGUMENTS, "proxy": proxy}


@pytest.fixture(scope="session")
def start_server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers on the lab; keyword arguments are further variables of their environment."""
    with ExitStack() as stack:

        def start(**environment: str) -> Server:
            server = Server(tmp_path_factory.mktemp("server"), {**lab.env(), **environment})
            stack.callback(server.stop)
            return server.start()

        yield start


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server]) -> Server:
    """The server that most journeys use."""
    return start_server()


@pytest.fixture(scope="session")
def samples(lab: Lab) -> dict[str, Stack]:
    """The four stacks of the sandbox by name, each with an update waiting."""
    return {stack.name: stack for stack in bring_up_samples(lab)}


@pytest.fixture
def new_context(browser: Browser, server: Server) -> Iterator[NewContext]:
    """Makes browser contexts whose pages may not complain; what is expected to go wrong is named in `allow`."""
    made: list[tuple[BrowserContext, list[str]]] = []

    def make(allow: tuple[str, ...] = (), *, newcomer: bool = False, **options: Any) -> BrowserContext:
        options.setdefault("base_url", server.url)
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(**options)
        if not newcomer:  # who has seen the deploy check in this session is not led to it
            context.add_cookies([{"name": COOKIE, "value": "seen", "url": options["base_url"]}])
        context.set_default_timeout(20_000)
        context.set_default_navigation_timeout(30_000)
        problems: list[str] = []

        def on_console(message: ConsoleMessage) -> None:
            said = f"{message.text} ({message.location.get('url', '')})"
            if message.type in ("error", "warning") and not any(part in said for part in (*allow, *LEAVING)):
                problems.append(said)

        context.on("console", on_console)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        made.append((context, problems))
        return context

    yield make
    for context, _ in made:
        context.close()
    complaints = [problem for _, problems in made for problem in problems]
    assert not complaints, "the browser complained:\n" + "\n".join(complaints)


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page at 1440 px in the light theme."""
    return new_context(color_scheme="light").new_page()
