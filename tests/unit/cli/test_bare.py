"""The smaller bytecode of libraries: what `.ci/bare` takes away, and what it leaves."""

from __future__ import annotations

import subprocess
import sys
import traceback
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.cli import bare as loading

PROJECT = Path(__file__).parents[3]
LIBRARY = '''
"""What it is about."""
from functools import singledispatch
from typing import NamedTuple

class Fields(NamedTuple):
    """Told by its annotations."""
    name: str

def fails(deep: int, *more: str, key: bytes = b"") -> None:
    """Fails."""
    assert not deep, "assertions are left out"
    if deep:
        fails(deep - 1)
    raise ValueError("as it should")

async def later(thing: object) -> list[int]:
    return [number for number in range(300) if number % 7 == thing]

@singledispatch
def told(thing: object) -> str:
    return "something"

@told.register
def _(thing: int) -> str:
    return "a number"
'''


@pytest.fixture(scope="module")
def bare() -> Any:
    loader = SourceFileLoader("bare", str(PROJECT / ".ci" / "bare"))
    spec = spec_from_loader("bare", loader)
    assert spec
    made = module_from_spec(spec)
    sys.modules["bare"] = made
    loader.exec_module(made)
    return made


def load(bare: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *, noted: bool) -> ModuleType:
    """The library as a server loads it."""
    source = folder / "library.py"
    source.write_text(LIBRARY)
    monkeypatch.setattr(sys, "pycache_prefix", str(folder / "bare"))
    bare.compile_bare(source, noted=noted)
    monkeypatch.setattr(loading, "_BARE", str(folder / "bare"))
    loader = loading.Bare("library", str(source))
    spec = spec_from_loader("library", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_it_works_without_what_is_taken_away(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(bare, tmp_path, monkeypatch, noted=False)
    assert library.__doc__ is library.fails.__doc__ is None
    assert library.fails.__annotations__ == library.later.__annotations__ == {}
    assert library.Fields(name="a") == ("a",)
    assert library.told(1) == "a number"
    assert library.told("1") == "something"
    with pytest.raises(TypeError, match="positional argument: 'deep'"):
        library.fails()


def test_annotations_stay_where_they_are_read(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(bare, tmp_path, monkeypatch, noted=True)
    assert library.fails.__annotations__ == {"deep": int, "more": str, "key": bytes, "return": None}


def test_a_traceback_names_the_functions(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(bare, tmp_path, monkeypatch, noted=False)
    with pytest.raises(ValueError, match="as it should") as raised:
        library.fails(1)
    frames = traceback.extract_tb(raised.value.__traceback__)[1:]
    begin = LIBRARY.splitlines().index('def fails(deep: int, *more: str, key: bytes = b"") -> None:') + 1
    assert [(frame.name, frame.lineno) for frame in frames] == [("fails", begin), ("fails", begin)]
    assert "".join(traceback.format_list(frames)).count("library.py") == 2
    code = library.later.__code__
    assert {start for _, _, start in code.co_lines()} == {code.co_firstlineno}


def test_a_file_that_was_changed_is_compiled_anew(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(bare, tmp_path, monkeypatch, noted=False)
    source = tmp_path / "library.py"
    source.write_text(LIBRARY + "\nnew = True\n")
    code = loading.Bare("library", str(source)).get_code("library")
    assert code
    assert "new" in code.co_names


def test_a_server_gets_it_for_its_libraries_and_not_for_itself() -> None:
    if not (Path(sys.prefix) / "bare").is_dir():
        pytest.skip("`make setup` has not made it here")  # made by hand: a server runs without it, larger
    code = (
        "from app.cli.memory import keep_small; keep_small(); import h11, litestar, app.settings; "
        "print(h11.Connection.__doc__, bool(litestar.get.__init__.__annotations__), "
        "bool(app.settings.Settings.__doc__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["None", "True", "True"]
