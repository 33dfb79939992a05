"""What a server does without after work, seen on a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

WORKS_ON = """
import hashlib, json, re, sqlite3, ssl, sys
from app.cli.memory import keep_small, settle
keep_small()
import app.main, msgspec, pydantic, threading
from app.core.memory import give_back

def resident(what):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what))

before = resident("RssFile")
settle()
print(before, resident("RssFile"))

def work():
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
    assert hashlib.sha256(b"x").hexdigest().startswith("2d71")
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
    assert msgspec.json.decode(b"[1]", type=list[int]) == [1]
    assert pydantic.TypeAdapter(int).validate_python("3") == 3

threads = [threading.Thread(target=lambda: [work() for _ in range(20)]) for _ in range(4)]
for thread in threads: thread.start()
for _ in range(20): give_back()
for thread in threads: thread.join()
print("worked on")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has of files is told by Linux alone")
def test_what_is_given_back_is_there_again_when_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", WORKS_ON], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures, end = done.stdout.splitlines()
    before, after = (int(each) for each in figures.split())
    assert after < before / 2
    assert end == "worked on"


def test_a_path_answers_options_by_what_all_share() -> None:
    code = (
        "from app.main import create_app; from app.settings import Settings; from litestar.testing import TestClient; "
        "app = create_app(Settings()); "
        "maps = [route.route_handler_map for route in app.routes if hasattr(route, 'route_handler_map')]; "
        "found = [each['OPTIONS'][0] for each in maps]; "
        "models = {id(each.signature_model) for each in found}; "
        "client = TestClient(app, base_url='http://localhost'); "
        "print(len(found) > 50, len(models) < 3); "
        "print(*[client.options(path).headers['allow'] for path in ('/api/health', '/api/checks')], sep='; ')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines()[:1] == ["True True"], done.stderr
    assert done.stdout.splitlines()[1] == "GET, OPTIONS; OPTIONS, POST"


def test_handlers_share_the_names_they_may_be_given() -> None:
    code = (
        "from app.cli.memory import keep_small, settle; keep_small(); from app.main import create_app; "
        "from app.settings import Settings; create_app(Settings()); settle(); "
        "from litestar._signature.model import SignatureModel as M; "
        "sets = [each._dependency_name_set for each in M.__subclasses__()]; "
        "print(len(sets) > 100, len({id(each) for each in sets}) == len({frozenset(each) for each in sets}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr
