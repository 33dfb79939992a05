"""Loads libraries small (part of app/cli/memory.py, apart from it because it comes before everything else)."""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType

_BARE = f"{sys.prefix}/bare"
_LIBRARIES = (os.path.dirname(os.__file__), f"{sys.prefix}/lib")  # noqa: PTH120  pathlib is not loaded yet


def load_bare() -> None:
    """What is imported from now on comes as `.ci/bare` made it."""
    if _bare_libraries not in sys.path_hooks:
        sys.path_hooks.insert(0, _bare_libraries)
        sys.path_importer_cache.clear()


class Bare(SourceFileLoader):
    """Loads the smaller bytecode that `.ci/bare` made, where it is there and fresh."""

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_filename(fullname)
        folder, name = os.path.split(source)
        kept = f"{_BARE}{folder}/{name[:-3]}.{sys.implementation.cache_tag}.opt-2.pyc"
        try:
            bare, stats = self.get_data(kept), self.path_stats(source)
        except OSError:
            return super().get_code(fullname)
        made_of = int(stats["mtime"]).to_bytes(8, "little")[:4] + int(stats["size"]).to_bytes(8, "little")[:4]
        if bare[:16] != MAGIC_NUMBER + bytes(4) + made_of:
            return super().get_code(fullname)
        code: CodeType = marshal.loads(memoryview(bare)[16:])  # noqa: S302  as trusted as any other bytecode
        return code


def _bare_libraries(path: str) -> FileFinder:
    """A hook of the import system for the folders of libraries. Dockrev's own docstrings are read at run time."""
    if not path.startswith(_LIBRARIES) or "site-packages/app" in path:
        raise ImportError
    return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (Bare, SOURCE_SUFFIXES))
