"""What a room says of itself, and the container in which rooms find what lies below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from litestar.types import ControllerRouterHandler

T = TypeVar("T")


class Container:
    """One object per type: the engine, the database, each room's service. Filled by `main` and the rooms' `setup`."""

    def __init__(self) -> None:
        self._objects: dict[type, Any] = {}

    def put(self, kind: type[T], thing: T) -> T:
        """Offer `thing` to everybody above; a second offer of the same kind is a mistake."""
        if kind in self._objects:
            raise RuntimeError(f"{kind.__name__} is already in the container")
        self._objects[kind] = thing
        return thing

    def get(self, kind: type[T]) -> T:
        """The one object of this kind."""
        thing: T = self._objects[kind]
        return thing


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the main navigation; `wide` entries leave the narrow tab bar."""

    href: str
    label: str
    icon: str
    wide: bool = False


async def _nothing(_: Container) -> None:
    """What a room does at start and stop that has nothing to start or stop."""


def _no_handlers(_: Container) -> Sequence[ControllerRouterHandler]:
    return ()


@dataclass(frozen=True, slots=True)
class Feature:
    """A room. `provides` maps the parameter name a handler uses to the type found in the container.

    `placed` makes the handlers whose address is a setting.
    """

    name: str
    setup: Callable[[Container], None]
    handlers: Sequence[ControllerRouterHandler] = ()
    placed: Callable[[Container], Sequence[ControllerRouterHandler]] = _no_handlers
    provides: Mapping[str, type] = field(default_factory=dict)
    nav: Sequence[NavItem] = ()
    start: Callable[[Container], Awaitable[None]] = _nothing
    stop: Callable[[Container], Awaitable[None]] = _nothing
