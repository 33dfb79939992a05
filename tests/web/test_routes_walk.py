"""Walks over all routes: each of the API has a scope, each that changes something a name in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from litestar import Litestar
from litestar.routes import HTTPRoute

from app.features.access import acts
from app.features.access.models import Scope
from app.main import create_app
from app.settings import Settings

MISROUTED = "/supervisor"  # answers that a proxy sends to the wrong process; nothing is changed there


def routes(tmp_path: Path) -> Iterator[tuple[str, str, bool]]:
    """Of an application that has all of them switched on."""
    return routes_of(create_app(Settings(db_path=tmp_path / "d.sqlite3", passkeys=True)))


def routes_of(app: Litestar) -> Iterator[tuple[str, str, bool]]:
    """Method, address, and whether it has means of its own."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                yield method, route.path_format, bool(handler.opt.get("public"))


def test_every_route_of_the_api_says_which_scope_it_needs(tmp_path: Path) -> None:
    seen = set()
    for method, path, public in routes(tmp_path):
        if not path.startswith("/api/") or public or method in acts.SAFE:
            continue
        seen.add(f"{method} {path}")
        assert f"{method} {path}" in acts.API, f"{method} {path} has no scope: say in access/acts.py which it needs"
    assert seen == set(acts.API), "scopes of routes that do not exist"


def test_reading_needs_read_but_for_what_is_listed(tmp_path: Path) -> None:
    reads = {f"{method} {path}" for method, path, _ in routes(tmp_path) if method == "GET" and path.startswith("/api/")}
    assert set(acts.READS) <= reads
    assert len(reads) > 25
    for read in reads:
        assert acts.needed(*read.split(" ")) is acts.READS.get(read, Scope.READ)


def test_every_act_has_a_name(tmp_path: Path) -> None:
    seen = set()
    for method, path, public in routes(tmp_path):
        if method in acts.SAFE or (public and path.startswith(MISROUTED)):
            continue
        key = f"{method} {path}"
        seen.add(key)
        if public:
            assert key in acts.PUBLIC, f"{key} has no action name: give it one in access/acts.py"
        assert acts.act(method, path, {}).action != "unknown", f"{key} has no action name: see access/acts.py"
    assert seen == {*acts.API, *acts.FORMS, *acts.PUBLIC}, "names of routes that do not exist"


def test_every_kind_of_job_has_a_name(tmp_path: Path) -> None:
    from app.core.jobs import JobEngine
    from app.main import build_container

    kinds = set(build_container(Settings(db_path=tmp_path / "d.sqlite3")).get(JobEngine)._kinds)
    assert {kind for kind in kinds if not kind.startswith("github_packages_")} == set(acts.JOBS)
