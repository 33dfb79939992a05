"""The one import of httpx.

httpx imports its command line when click, rich and pygments can be found. Dockrev has them for its own command line,
so the server would carry about 6 MB and 150 ms it never uses. Declaring the module absent while httpx loads takes the
branch httpx has for exactly that case; the declaration is withdrawn at once.
"""

from __future__ import annotations

import logging
import ssl
import sys
from pathlib import Path

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


def trust_store() -> ssl.SSLContext:
    """The system's certificate authorities, where owners add their own; certifi's where the system has none.

    Reads files for some 50 ms: call it in a thread.
    """
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
