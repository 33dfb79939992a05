"""Static files: addresses that change with their content, all sheets as one file, all scripts as another, and caching.

A page names `asset("app.css")`, `asset("app.js")`, `asset("stream.js")` (the worker that all tabs share) or any file
under `static/`. The address carries a hash of its content (`?v=`); asked for with the right hash it may be kept for
ever, otherwise it is asked for again each time.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHEETS: Final = (
    "css/tokens.css",  # first: it declares the order of the layers
    "css/base.css",
    "css/layout.css",
    *(
        f"css/components/{name}.css"
        for name in (
            "controls",
            "filters",
            "table",
            "rail",
            "timeline",
            "log",
            "notices",
            "facts",
            "forms",
            "overlays",
            "palette",
        )
    ),
    "css/state.css",
)
SCRIPTS: Final = (
    "js/words.js",
    "vendor/htmx-2.0.11.min.js",
    "vendor/idiomorph-ext-0.8.0.min.js",
    "js/line.js",
    "js/live.js",  # before the extension that asks it for the stream
    "vendor/htmx-ext-sse-2.2.4.min.js",
    *(
        f"js/{name}.js"
        for name in ("morph", "times", "dialogs", "forms", "cards", "log", "own", "palette", "keys", "pwa")
    ),
)
WORKER: Final = ("js/line.js", "js/stream.js")
BUNDLES: Final = {"app.css": SHEETS, "app.js": SCRIPTS, "stream.js": WORKER}
OWN: Final = frozenset(part for part in (*SCRIPTS, *WORKER) if part.startswith("js/"))
TYPES: Final = {
    ".css": "text/css",  # the framework adds the charset
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
FOREVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
_FOR_PEOPLE: Final = re.compile(rb"^[ ]*//.*\n|^[ ]+", re.MULTILINE)
"""Comments that have a line of their own, and what indents lines: nothing of it is sent. No text in a script has more
than one line, a test sees to that."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file or bundle as it is sent; `version` is the hash of its content."""

    content: bytes
    media_type: str
    version: str


class Assets:
    """Addresses and contents of static files, each read once."""

    def __init__(self, root: Path, prefix: str = "/static") -> None:
        self._root = root
        self._prefix = prefix
        self._names = {
            path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.suffix in TYPES
        }
        self._read: dict[str, Asset] = {}

    def __call__(self, name: str) -> str:
        """`/static/<name>?v=<hash>`; raises `FileNotFoundError` for a file that is not there."""
        return f"{self._prefix}/{name}?v={self.get(name).version}"

    def get(self, name: str) -> Asset:
        """A bundle or a file; raises `FileNotFoundError`. No name leads out of the folder: only known ones are read."""
        if name not in self._read:
            parts = BUNDLES.get(name, (name,))
            if not self._names.issuperset(parts):
                raise FileNotFoundError(name)
            content = b"\n".join(self._sent(part) for part in parts)
            self._read[name] = Asset(content, TYPES[Path(name).suffix], hashlib.sha256(content).hexdigest()[:8])
        return self._read[name]

    def _sent(self, part: str) -> bytes:
        """A file as it is sent: scripts of ours in a bundle without what is for people."""
        content = (self._root / part).read_bytes()
        return _FOR_PEOPLE.sub(b"", content) if part in OWN else content
