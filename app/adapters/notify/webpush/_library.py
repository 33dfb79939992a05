"""The one import of pywebpush.

It imports aiohttp for a way of sending Dockrev does not use: 12 MB. While pywebpush loads, a stand-in takes that name
and is withdrawn at once; a process that has aiohttp keeps it.
"""

from __future__ import annotations

import sys
from types import ModuleType

_guarded = "aiohttp" not in sys.modules
if _guarded:
    _stand_in, _client = ModuleType("aiohttp"), ModuleType("aiohttp.client")
    for _module in (_stand_in, _client):
        for _name in ("ClientSession", "ClientResponse", "ClientTimeout"):
            setattr(_module, _name, type(_name, (), {}))
    _stand_in.client = _client  # type: ignore[attr-defined]
    sys.modules["aiohttp"], sys.modules["aiohttp.client"] = _stand_in, _client
try:
    from py_vapid import Vapid02, VapidException
    from pywebpush import WebPushException, webpush
finally:
    if _guarded:
        for _name in ("aiohttp", "aiohttp.client"):
            sys.modules.pop(_name, None)

__all__ = ["Vapid02", "VapidException", "WebPushException", "webpush"]
