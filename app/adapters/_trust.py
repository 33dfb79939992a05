"""Which certificate authorities are believed: the system's, where owners add their own."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path


def trust_store() -> ssl.SSLContext:
    """The system's certificate authorities, where owners add their own; certifi's where the system has none.

    Reads files for some 50 ms: call it in a thread.
    """
    paths = ssl.get_default_verify_paths()
    if paths.openssl_cafile_env not in os.environ and _is_complete(paths):
        return ssl.create_default_context(capath=paths.capath)
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _is_complete(paths: ssl.DefaultVerifyPaths) -> bool:
    """Whether the folder has all that the bundle has: OpenSSL then reads single authorities when it needs them, while
    those of a bundle are all kept, 2.4 MB. An authority added to the bundle by hand is not in the folder."""
    try:
        folder = Path(paths.capath or "")
        hashed = any(re.fullmatch(r"[0-9a-f]{8}\.\d+", each.name) for each in folder.iterdir())
        return hashed and (paths.cafile is None or Path(paths.cafile).stat().st_mtime <= folder.stat().st_mtime)
    except OSError:
        return False
