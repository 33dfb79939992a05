"""Dataclasses that share their methods behave as Python's own."""

from __future__ import annotations

import dataclasses
import gc
import sys
from copy import copy
from typing import Any

import pytest

from app.cli.shared_methods import share_methods

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 13), reason="there Python's own are left alone")

NAN = float("nan")  # equal to nothing, but the same thing in a tuple
KINDS: dict[str, dict[str, bool]] = {
    "plain": {},
    "slots": {"slots": True},
    "frozen": {"frozen": True},
    "frozen with slots": {"frozen": True, "slots": True},
    "ordered": {"order": True},
    "hashed though it changes": {"unsafe_hash": True},
    "without equality": {"eq": False},
    "without a text": {"repr": False},
}


def make(**options: bool) -> dict[str, type]:
    """Classes as the code has them: fields that count and that do not, heirs with and without fields, none, one."""

    @dataclasses.dataclass(**options)
    class Thing:
        name: str
        size: float = 1.0
        note: str = dataclasses.field(default="", compare=False)
        secret: str = dataclasses.field(default="secret", repr=False, hash=False)

    @dataclasses.dataclass(**options)
    class Heir(Thing):
        more: tuple[int, ...] = ()

    class Plain(Thing):
        """No dataclass itself, and with room for what it likes."""

    @dataclasses.dataclass(**options)
    class One:
        value: float

    @dataclasses.dataclass(**options)
    class Empty:
        """Without a field: that such a one is made right is what is tested."""

    @dataclasses.dataclass(**{**options, "unsafe_hash": False})
    class Own:
        name: str

        def __repr__(self) -> str:
            return "its own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    return {kind.__name__: kind for kind in (Thing, Heir, Plain, One, Empty, Own)}


@pytest.fixture
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, type], dict[str, type]]:
    """The same classes as Python makes them and with shared methods."""
    own = make(**request.param)
    for name in ("_cmp_fn", "_repr_fn", "_hash_fn", "_frozen_get_del_attr"):
        monkeypatch.setattr(dataclasses, name, getattr(dataclasses, name))
    share_methods()
    return own, make(**request.param)


def things(kinds: dict[str, type]) -> list[Any]:
    return [
        kinds["Thing"]("a"),
        kinds["Thing"]("a", note="does not count"),
        kinds["Thing"]("a", secret="counts, but not for the hash"),
        kinds["Thing"]("b", 2.0),
        kinds["Heir"]("a"),
        kinds["Heir"]("a", more=(1, 2)),
        kinds["Plain"]("a"),
        kinds["One"](1.0),
        kinds["One"](NAN),
        kinds["One"](NAN),
        kinds["Empty"](),
        kinds["Empty"](),
        kinds["Own"]("a"),
        kinds["Own"]("b"),
        "something else",
    ]


def told(action: Any) -> str:
    """What comes of it; a name at an address is not compared."""
    try:
        return str(action()).split(" object at 0x")[0]
    except Exception as error:  # the kind of error and its words are what is compared
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("both", KINDS.values(), ids=KINDS, indirect=True)
def test_the_same_is_equal_shown_and_ordered(both: tuple[dict[str, type], dict[str, type]]) -> None:
    own, shared = (things(kinds) for kinds in both)
    for left, mine in zip(own, shared, strict=True):
        assert told(lambda: repr(left)) == told(lambda: repr(mine))  # noqa: B023  called at once
        for right, other in zip(own, shared, strict=True):
            assert (left == right) is (mine == other), (left, right)
            assert told(lambda: left < right) == told(lambda: mine < other)  # noqa: B023  called at once


@pytest.mark.parametrize("both", KINDS.values(), ids=KINDS, indirect=True)
def test_the_same_has_a_hash(both: tuple[dict[str, type], dict[str, type]]) -> None:
    own, shared = (things(kinds) for kinds in both)
    for left, mine in zip(own[:-1], shared[:-1], strict=True):
        if left.__hash__ is None:
            assert mine.__hash__ is None
        elif left == copy(left):  # or it is by its address
            assert told(lambda: hash(left)) == told(lambda: hash(mine))  # noqa: B023  called at once


@pytest.mark.parametrize("both", [KINDS["frozen"], KINDS["plain"]], ids=["frozen", "plain"], indirect=True)
@pytest.mark.parametrize("field", ["name", "more", "foreign"])
@pytest.mark.parametrize("kind", ["Thing", "Heir", "Plain"])
def test_the_same_may_be_set_and_deleted(both: tuple[dict[str, type], dict[str, type]], kind: str, field: str) -> None:
    left, mine = (kinds[kind]("a") for kinds in both)
    assert told(lambda: setattr(left, field, 1)) == told(lambda: setattr(mine, field, 1))
    assert told(lambda: delattr(left, field)) == told(lambda: delattr(mine, field))


@pytest.mark.parametrize("both", [KINDS["frozen with slots"]], ids=["frozen with slots"], indirect=True)
def test_a_frozen_one_with_slots_takes_nothing(both: tuple[dict[str, type], dict[str, type]]) -> None:
    thing = both[1]["Thing"]("a")
    for name in ("name", "foreign"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(thing, name, "b")
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(thing, name)
    assert dataclasses.replace(thing, name="b").name == "b"


@pytest.mark.parametrize("both", [KINDS["plain"]], ids=["plain"], indirect=True)
@pytest.mark.usefixtures("both")
def test_the_class_it_was_made_from_is_not_kept() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class OnlyOnce:
        name: str

    gc.collect()
    assert [kind for kind in object.__subclasses__() if kind.__name__ == "OnlyOnce"] == [OnlyOnce]


@pytest.mark.parametrize("both", [KINDS["plain"]], ids=["plain"], indirect=True)
def test_one_that_contains_itself_is_shown(both: tuple[dict[str, type], dict[str, type]]) -> None:
    own, shared = (kinds["Thing"]("a") for kinds in both)
    own.name, shared.name = own, shared
    assert repr(own) == repr(shared)
