"""Dataclasses that share their methods (part of app/cli/memory.py).

Python compiles six functions for each dataclass, and a frozen one with slots keeps the class it was made from as well.
Of the 700 dataclasses of a server, those of its libraries included, all but `__init__` can be the same five functions:
3 MB. They do what the language promises of a dataclass.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, Final

_COMPARED: Final[dict[type, Callable[[Any], tuple[Any, ...]]]] = {}
_HASHED: Final[dict[type, Callable[[Any], tuple[Any, ...]]]] = {}


def share_methods() -> None:
    """For every dataclass made from now on. Python 3.13 makes them otherwise and is left alone."""
    if sys.version_info >= (3, 13):
        return
    makers: Any = dataclasses
    compared = makers._cmp_fn

    def compare(name: str, *others: Any, **more: Any) -> Any:
        return _equal if name == "__eq__" else compared(name, *others, **more)

    makers._cmp_fn = compare
    makers._repr_fn = lambda _fields, _globals: _shown
    makers._hash_fn = lambda _fields, _globals: _hashed
    makers._frozen_get_del_attr = lambda _cls, _fields, _globals: (_refuse_to_set, _refuse_to_delete)


def _owner(kind: type, name: str, method: Callable[..., Any], *, last: bool = False) -> Any:
    """The class in the line of `kind` that was given the method: what its own fields are decides, not its heirs'."""
    owners = [each for each in kind.__mro__ if each.__dict__.get(name) is method]
    return owners[-1 if last else 0]


def _compared(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    """What takes the fields that count for equality out of an instance."""
    fields = dataclasses.fields(_owner(kind, "__eq__", _equal))
    made = _COMPARED[kind] = _taking([each.name for each in fields if each.compare])
    return made


def _hashable(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    """What takes those that count for the hash."""
    fields = dataclasses.fields(_owner(kind, "__hash__", _hashed))
    names = [each.name for each in fields if (each.compare if each.hash is None else each.hash)]
    made = _HASHED[kind] = _taking(names)
    return made


def _taking(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """`attrgetter` returns one field bare, and does not take none."""
    return attrgetter(*names) if len(names) > 1 else lambda thing: tuple(getattr(thing, each) for each in names)


def _equal(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    get = _COMPARED.get(self.__class__) or _compared(self.__class__)
    return get(self) == get(other)


def _hashed(self: Any) -> int:
    return hash((_HASHED.get(self.__class__) or _hashable(self.__class__))(self))


@recursive_repr()
def _shown(self: Any) -> str:
    owner = _owner(self.__class__, "__repr__", _shown)
    fields = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(owner) if each.repr)
    return f"{self.__class__.__qualname__}({', '.join(fields)})"


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    owner = _owner(type(self), "__setattr__", _refuse_to_set)
    if type(self) is owner or name in {each.name for each in dataclasses.fields(owner)}:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    super(_owner(type(self), "__setattr__", _refuse_to_set, last=True), self).__setattr__(name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    owner = _owner(type(self), "__delattr__", _refuse_to_delete)
    if type(self) is owner or name in {each.name for each in dataclasses.fields(owner)}:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
    super(_owner(type(self), "__delattr__", _refuse_to_delete, last=True), self).__delattr__(name)


_equal.__name__, _hashed.__name__, _shown.__name__ = "__eq__", "__hash__", "__repr__"
_refuse_to_set.__name__, _refuse_to_delete.__name__ = "__setattr__", "__delattr__"
