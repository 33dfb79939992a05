"""What Litestar makes anew for each handler although it is the same, held once: 1.8 MB of a server's memory."""

from __future__ import annotations

from typing import Any, Final

from litestar import Litestar
from litestar._signature.model import SignatureModel
from litestar.routes import HTTPRoute

# Of an answer to OPTIONS: how it is called, and what it may be given. Who may call it stays its own.
_OF_CALLS: Final = ("_signature_model", "_parsed_fn_signature", "_parsed_return_field")
_OF_LAYERS: Final = ("_resolved_dependencies", "_resolved_layered_parameters", "_resolved_signature_namespace")


def share_what_is_equal(application: Litestar) -> None:
    """When all handlers are registered; nothing changes any of it afterwards."""
    _share_names()
    _share_options(application)


def _share_names() -> None:
    """What may be given by name is the same for each handler, and each has a set of its own."""
    sets: dict[frozenset[str], Any] = {}
    for model in SignatureModel.__subclasses__():
        names: Any = model._dependency_name_set
        model._dependency_name_set = sets.setdefault(frozenset(names), names)


def _share_options(application: Litestar) -> None:
    """Each path answers OPTIONS by the same function, made and taken apart for each. (Litestar's `HTTPRoute` tells.)"""
    made: dict[str, Any] = {}
    for route in application.routes:
        if not isinstance(route, HTTPRoute) or "OPTIONS" not in route.route_handler_map:
            continue
        handler, _ = route.route_handler_map["OPTIONS"]
        if getattr(handler.fn, "__qualname__", "") != "HTTPRoute.create_options_handler.<locals>.options_handler":
            continue
        for name in _OF_CALLS:
            setattr(handler, name, made.setdefault(name, getattr(handler, name)))
        for name in _OF_LAYERS:
            first, own = made.setdefault(name, getattr(handler, name)), getattr(handler, name)
            setattr(handler, name, first if first == own else own)
