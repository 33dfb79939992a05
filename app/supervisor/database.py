"""Dockrev's database before and after an upgrade: a tar of its files, read from and written to a stopped container.

While the container is stopped nobody writes, so the file with its write-ahead log is the whole truth. The copy holds an
empty log where there was none: it takes the place of one that a newer version left.
"""

from __future__ import annotations

import asyncio
import io
import os
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from app.core.errors import Unavailable
from app.supervisor.state import DatabaseCopy
from app.supervisor.world import World

if TYPE_CHECKING:  # what only an operation needs is loaded by one
    import tarfile

KEPT_COPIES: Final = 3
WAL: Final = "-wal"
HEAD_BYTES: Final = 4096


async def size_of(world: World, id: str, path: str) -> int | None:
    """Bytes of a file in a container, None when there is none: the first block of its tar says so."""
    try:
        async with world.file(id, path) as chunks:
            head = b""
            async for chunk in chunks:
                head += chunk
                if len(head) >= HEAD_BYTES:
                    break
    except FileNotFoundError:
        return None
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(head), mode="r|", ignore_zeros=True) as tar:
        member = tar.next()
    return member.size if member is not None and member.isreg() else None


async def copy_database(world: World, id: str, path: str, into: Path, now: datetime) -> DatabaseCopy:
    """Copy the database of a stopped container to the file `into`. Raises Unavailable when it cannot be."""
    import tempfile

    place = PurePosixPath(path)
    with tempfile.TemporaryDirectory(prefix=".copy-", dir=into.parent) as folder:
        raw = Path(folder) / "database.tar", Path(folder) / "wal.tar"
        if not await _fetch(world, id, path, raw[0]):
            raise Unavailable(f"the database {path} is not in the container any more")
        await _fetch(world, id, path + WAL, raw[1])
        size = await asyncio.to_thread(_join, raw, place.name, into)
    revision = await asyncio.to_thread(revision_of, into, place.name)
    return DatabaseCopy(file=into.name, path=path, schema_revision=revision, taken_at=now, size=size)


def tidy(folder: Path) -> None:
    """Keep the newest copies; their names begin with the operation's id, which sorts by time. What a killed process
    left half made goes. Only while nothing is copied."""
    import shutil

    for left in (*folder.glob(".copy-*"), *folder.glob(".look-*")):
        shutil.rmtree(left, ignore_errors=True)
    for part in folder.glob("sup_*.part"):
        with suppress(OSError):
            part.unlink()
    copies = sorted(folder.glob("sup_*.database.tar")) + sorted(folder.glob("sup_*.newer.tar"))
    by_operation = sorted({file.name[:30] for file in copies})
    for file in copies:
        if file.name[:30] not in by_operation[-KEPT_COPIES:]:
            with suppress(OSError):
                file.unlink()


def revision_of(copy: Path, name: str) -> str | None:
    """The schema of a copied database as it says itself; None when it cannot be read."""
    import sqlite3
    import tarfile
    import tempfile

    with tempfile.TemporaryDirectory(prefix=".look-", dir=copy.parent) as folder:
        try:
            with tarfile.open(copy) as tar:
                for member in tar:
                    with (Path(folder) / member.name).open("wb") as file:
                        _pour(tar.extractfile(member), file)
            with closing(sqlite3.connect(Path(folder) / name, timeout=1)) as connection:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except (OSError, sqlite3.Error, tarfile.TarError):
            return None
    return str(row[0]) if row else None


async def _fetch(world: World, id: str, path: str, into: Path) -> bool:
    try:
        async with world.file(id, path) as chunks:
            with into.open("wb") as file:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
    except FileNotFoundError:
        return False
    return True


def _join(raw: tuple[Path, Path], name: str, into: Path) -> int:
    """One tar of both, readable by us alone; raises Unavailable when they are no plain files."""
    import tarfile

    handle = os.open(into.with_suffix(".part"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            database = _add(tar, raw[0], name)
            if raw[1].exists():
                _add(tar, raw[1], name + WAL)
            else:
                empty = tarfile.TarInfo(name + WAL)
                empty.mode, empty.uid, empty.gid, empty.mtime = (
                    database.mode, database.uid, database.gid, database.mtime,
                )  # fmt: skip
                tar.addfile(empty)
            tar.close()
            os.fsync(file.fileno())
        into.with_suffix(".part").replace(into)
    except (OSError, tarfile.TarError) as error:
        into.with_suffix(".part").unlink(missing_ok=True)
        raise Unavailable(
            f"the database cannot be copied to {into}: {error}", hint="Make room on the disk of the supervisor's state."
        ) from error
    return database.size


def _add(tar: tarfile.TarFile, raw: Path, name: str) -> tarfile.TarInfo:
    import tarfile

    with tarfile.open(raw) as source:
        member = source.next()
        content = source.extractfile(member) if member is not None and member.isreg() else None
        if member is None or content is None:
            raise tarfile.TarError(f"{name} is no plain file in the container")
        member.name = name
        tar.addfile(member, content)
        return member


def _pour(source: IO[bytes] | None, into: IO[bytes]) -> None:
    while source is not None and (block := source.read(1 << 20)):
        into.write(block)
