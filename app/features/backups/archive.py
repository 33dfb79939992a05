"""The archive file: written and read as streams, never whole in memory.

Everything here runs in a thread except the two classes that join a thread with the event loop. Layout of a file:
`manifest.json` first, then `volumes/<name>/…` and `binds/<n>/…` (spec §7.10). A file gets its final name only when it
is complete and on disk, so a killed process leaves no half archive under a name that promises a whole one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gzip
import hashlib
import io
import os
import queue
import tarfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

CHUNK: Final = 256 * 1024
# tarfile copies the rest of its buffer for each header: a big one makes many small files slow.
BLOCK: Final = 16 * 1024
COMPRESSION: Final = 5
MANIFEST: Final = "manifest.json"
_OVERRIDING: Final = ("path", "linkpath", "size")  # pax records that would win over what is set on the member

_naming = threading.Lock()


class Aborted(Exception):
    """The loop gave up while the thread was working."""


class LoopReader(io.RawIOBase):
    """An async stream of chunks as a file that a thread reads forwards."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._opened: list[AsyncGenerator[bytes, None]] = []
        self._waiting: concurrent.futures.Future[bytes] | None = None
        self._rest = b""
        self._lock = threading.Lock()
        self._aborted = False

    def turn_to(self, chunks: AsyncGenerator[bytes, None]) -> None:
        """Read this stream next."""
        self._chunks, self._rest = chunks, b""
        self._opened.append(chunks)

    async def end(self) -> None:
        """On the loop, after the thread has ended: close the streams, of which the last bytes may be unread."""
        for chunks in self._opened:
            with suppress(RuntimeError):  # the one that was cancelled may still be ending by itself
                await chunks.aclose()

    def abort(self) -> None:
        """On the loop: end the wait of the thread, now and later."""
        with self._lock:
            self._aborted = True
            if self._waiting is not None:
                self._waiting.cancel()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; less only at the end. Raises Aborted."""
        parts: list[bytes] = []
        while size > 0:
            if not self._rest and not (chunk := self._next()):
                break
            if not self._rest:
                self._rest = chunk
            parts.append(self._rest[:size])
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def _next(self) -> bytes:
        chunks = self._chunks
        if chunks is None:
            return b""
        with self._lock:
            if self._aborted:
                raise Aborted
            waiting = self._waiting = asyncio.run_coroutine_threadsafe(_chunk(chunks), self._loop)
        try:
            return waiting.result()
        except concurrent.futures.CancelledError:
            raise Aborted from None


async def _chunk(chunks: AsyncIterator[bytes]) -> bytes:
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""


class _Hashed(io.RawIOBase):
    """A file that knows the SHA-256 and the size of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def write_archive(
    unfinished: Path, manifest: bytes, sources: Sequence[tuple[str, Callable[[], IO[bytes]]]]
) -> tuple[int, str]:
    """Write a complete archive to `unfinished` and put it on disk; returns size and SHA-256.

    `sources` pairs a member with what opens the tar stream of its tree. Raises OSError, tarfile.TarError, Aborted.
    """
    unfinished.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        hashed = _Hashed(file)
        with (
            gzip.GzipFile(filename="", fileobj=hashed, mode="wb", compresslevel=COMPRESSION) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as tar,
        ):
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(manifest), 0o600
            tar.addfile(info, io.BytesIO(manifest))
            for member, open_stream in sources:
                _copy_tree(open_stream(), tar, member)
        file.flush()
        os.fsync(file.fileno())
    return hashed.size, hashed.sha256


def _copy_tree(stream: IO[bytes], into: tarfile.TarFile, prefix: str) -> None:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as tree:
        for member in tree:
            member.name = _under(prefix, member.name)
            if member.islnk():
                member.linkname = _under(prefix, member.linkname)
            _add(into, member, tree)


def _add(into: tarfile.TarFile, member: tarfile.TarInfo, source: tarfile.TarFile) -> None:
    member.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in _OVERRIDING}
    into.addfile(member, source.extractfile(member) if member.isreg() else None)
    # tarfile keeps every header for random access, which a stream has not: a million files would fill the memory.
    source.members = []  # type: ignore[attr-defined]
    into.members = []  # type: ignore[attr-defined]


def _under(prefix: str, name: str) -> str:
    """The engine names a tree after its top folder; that folder becomes `prefix`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join([prefix, *parts[1:]])


def give_final_name(unfinished: Path, wanted: Path, sha256: str) -> Path:
    """Rename a complete archive, write its checksum file beside it, and make both durable; returns the final path."""
    with _naming:
        final, n = wanted, 1
        while final.exists():
            n += 1
            final = wanted.with_name(wanted.name.replace(".tar.gz", f"-{n}.tar.gz"))
        unfinished.rename(final)
    checksum = final.with_name(f"{final.name}.sha256")
    checksum.write_text(f"{sha256}  {final.name}\n")
    checksum.chmod(0o600)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return final


def checksum_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class BadArchive(Exception):
    """The archive holds a name that would leave its place."""


def is_single_file(path: Path, member: str) -> bool:
    """Whether a member is one file, not a tree. Raises KeyError when it is not in the archive."""
    with tarfile.open(path, mode="r|gz", bufsize=BLOCK) as tar:
        for info in tar:
            if info.name.rstrip("/") == member:
                return not info.isdir()
    raise KeyError(member)


def _tree(path: Path, member: str, write: Callable[[bytes], None]) -> None:
    """Send one member's tree as a tar with names relative to its top; the top folder itself is left as it is."""
    sink = _Sink(write)
    prefix = f"{member}/"
    with (
        tarfile.open(path, mode="r|gz", bufsize=BLOCK) as tar,
        tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as out,
    ):
        for info in tar:
            if info.name.startswith(prefix):
                info.name = _relative(info.name, prefix)
                if info.islnk():
                    info.linkname = _relative(info.linkname, prefix)
                _add(out, info, tar)
            else:
                tar.members = []  # type: ignore[attr-defined]


def _relative(name: str, prefix: str) -> str:
    if not name.startswith(prefix) or ".." in PurePosixPath(name).parts:
        raise BadArchive(f"the archive holds the name {name[:200]!a}, which leads out of its place")
    return name.removeprefix(prefix)


class _Sink(io.RawIOBase):
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)


async def read_tree(path: Path, member: str) -> AsyncGenerator[bytes, None]:
    """One member's tree as chunks of a tar for the engine. Raises BadArchive, OSError, tarfile.TarError."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=8)
    gone = threading.Event()

    def write(data: bytes) -> None:
        while not gone.is_set():
            try:
                ready.put(data, timeout=0.2)
                return
            except queue.Full:
                continue
        raise Aborted

    def produce() -> None:
        end: BaseException | None = None
        try:
            _tree(path, member, write)
        except BaseException as error:
            end = error
        while not gone.is_set():
            try:
                ready.put(end, timeout=0.2)
                return
            except queue.Full:
                continue

    def take() -> bytes | BaseException | None:
        while not gone.is_set():
            try:
                return ready.get(timeout=0.2)
            except queue.Empty:
                continue
        return None

    thread = threading.Thread(target=produce, name="backup-read", daemon=True)
    thread.start()
    try:
        while (item := await asyncio.to_thread(take)) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        gone.set()


def remove_archive(path: Path) -> int:
    """Delete an archive and its checksum; returns the bytes freed. What is gone already is no error."""
    freed = 0
    for file in _both(path):
        if file.is_file():
            freed += file.stat().st_size
            file.unlink()
    return freed


def _both(path: Path) -> Iterator[Path]:
    yield path
    yield path.with_name(f"{path.name}.sha256")
