"""Keeps a server's memory low: it runs for months on machines with little of it.

Measured on 64-bit Linux with Python 3.11, as the server's resident memory after checks of 58 services.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import sysconfig
import typing
import warnings
from importlib import import_module, invalidate_caches
from types import ModuleType
from typing import Any, Final

from app.cli.bare import load_bare
from app.cli.shared_methods import share_methods
from app.core.memory import give_back

_M_ARENA_MAX: Final = -8
_M_TRIM_THRESHOLD: Final = -1


class _Unused(ModuleType):
    """Stands for a module whose names are looked up but never used: each name is a class that nothing belongs to and
    that cannot be made with anything, so that a use is not overlooked."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        thing = _Unused(f"{self.__name__}.{name}") if name.islower() else type(name, (), {"__class_getitem__": _itself})
        setattr(self, name, thing)
        return thing


_itself: Final = classmethod(lambda cls, _: cls)


class _Later(ModuleType):
    """Stands for a module until the first of its names is used. (importlib's LazyLoader loads when it is imported.)"""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def keep_small() -> None:
    """Must come before threads start and before what it leaves out is imported; `settle` is due when all is loaded."""
    gc.disable()  # next to nothing of what is loaded is garbage, and looking for it takes a tenth of the start
    load_bare()  # 10 MB
    share_methods()  # 3 MB
    _leave_out()
    _few_arenas()


def _leave_out() -> None:
    """What libraries load on the chance that somebody uses it."""
    # structlog would draw tracebacks with it: 3 MB.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    # Litestar serves models of pydantic 1 as well, of which there are none here: 2.5 MB and 150 ms.
    for name in ("pydantic.v1", "pydantic.v1.fields"):
        sys.modules.setdefault(name, _Unused(name))
    # It is here for aiohttp, which is here for requests of pywebpush that Dockrev makes otherwise: 0.8 and 5 MB.
    for name in ("attr", "attrs"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    sys.modules.setdefault("aiohttp", _Unused("aiohttp"))
    # requests guesses encodings with it, the engine always speaks UTF-8: 1 MB.
    sys.modules.setdefault("charset_normalizer", None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    # uvicorn's reloader and its several processes, servers of metrics: 0.4 MB.
    unused = ["uvicorn.supervisors", "uvicorn._subprocess", "wsgiref.simple_server", "http.server"]
    # The Docker SDK's object layer, and what it knows of swarms, builds and plugins: 1.6 MB.
    unused += ["docker.client", "docker.types.services", "docker.types.swarm"]
    unused += [f"docker.api.{part}" for part in ("build", "config", "plugin", "secret", "service", "swarm")]
    # Relations between objects, queries in the old manner, sessions by thread, statements by lambdas: Dockrev has none.
    # Schemas as pydantic and msgspec would make them (Litestar makes its own), addresses as types of fields. 1.2 MB.
    unused += [f"sqlalchemy.orm.{part}" for part in ("dependency", "descriptor_props", "dynamic")]
    unused += [f"sqlalchemy.orm.{part}" for part in ("query", "scoping", "writeonly")]
    unused += ["sqlalchemy.ext.asyncio.scoping", "sqlalchemy.sql.lambdas"]
    unused += ["pydantic.json_schema", "pydantic.networks", "msgspec._json_schema"]
    # httpx without asyncio, structlog on top of logging, uvicorn's types and settings by file, more servers: 0.7 MB.
    unused += ["httpcore._sync", "httpcore._sync.connection_pool", "structlog.stdlib", "uvicorn._types"]
    unused += ["configparser", "socketserver"]
    for name in unused:
        sys.modules.setdefault(name, _Unused(name))
    # The API's document as YAML, Litestar's debugger, the names of all locales, archives, logging by a file, libraries
    # in archives: 2.5 MB.
    for name in (
        "yaml",
        "pdb",
        "locale",
        "tarfile",
        "logging.config",
        "zipfile",
        "csv",
        "pprint",
        "msgspec.inspect",
        "idna",
    ):
        sys.modules.setdefault(name, _Later(name))


def _few_arenas() -> None:
    """Each thread would get a malloc arena of its own. glibc only."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_TRIM_THRESHOLD, 256 * 1024)


def settle() -> None:
    """When all is loaded: it stays, so the collector need not walk it again and again. Takes some 50 ms."""
    typing.clear_overloads()  # with the next line 1 MB
    sys.path_importer_cache.clear()
    invalidate_caches()
    _forget_build()
    _forget_bytecode()
    give_back()
    gc.freeze()
    gc.enable()


def _forget_build() -> None:
    """How Python was built: 2,000 variables of its makefiles, read for the sake of two of them; 0.6 MB."""
    variables = sysconfig.get_config_vars()
    for name in [name for name, value in variables.items() if isinstance(value, str) and len(value) > 40]:
        del variables[name]
    for name in [name for name in sys.modules if name.startswith("_sysconfigdata")]:
        del sys.modules[name]


def _forget_bytecode() -> None:
    """Where each module's bytecode lies, which is not looked for again: 0.2 MB."""
    for module in list(sys.modules.values()):
        if getattr(module, "__cached__", None) and (spec := getattr(module, "__spec__", None)):
            spec.cached = None
            module.__dict__["__cached__"] = None
