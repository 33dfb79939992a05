"""The one import of httpx.

httpx imports its command line when click, rich and pygments can be found. Dockrev has them for its own command line,
so the server would carry about 6 MB and 150 ms it never uses. Declaring the module absent while httpx loads takes the
branch httpx has for exactly that case; the declaration is withdrawn at once.
"""

from __future__ import annotations

import logging
import sys

from app.adapters._trust import trust_store

_guarded = "httpx" not in sys.modules
if _guarded:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
try:
    import httpx
finally:
    if _guarded:
        sys.modules.pop("httpx._main", None)

# At INFO both log whole URLs, and a redirected blob's URL is a signed one.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

__all__ = ["httpx", "trust_store"]
