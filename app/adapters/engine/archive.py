"""The size of a tree inside a container, from the archive the engine makes of it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator

# tarfile copies the rest of its buffer for each header: a big one makes many small files slow.
READ_BYTES = 1 << 14


class _Reader(io.RawIOBase):
    """Chunks as a file that can only be read forwards."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts, wanted = [], size
        while wanted > 0:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)


def size_of_archive(chunks: Iterable[bytes], limit: int | None) -> int:
    """Bytes of the regular files of a tar stream; stops reading once the sum is above `limit`.

    Raises tarfile.TarError for a stream that is no tar or ends early.
    """
    total = 0
    with tarfile.open(fileobj=_Reader(chunks), mode="r|", bufsize=READ_BYTES) as tar:
        for member in tar:
            total += member.size if member.isreg() else 0
            tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header for random access, which a stream has not
            if limit is not None and total > limit:
                break
    return total
