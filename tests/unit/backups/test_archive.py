"""The archive file: what goes in comes out, complete or not at all."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

import pytest

from app.features.backups.archive import (
    Aborted,
    BadArchive,
    LoopReader,
    checksum_of,
    give_final_name,
    is_single_file,
    read_tree,
    remove_archive,
    write_archive,
)
from app.features.backups.service import _explain


def tree(top: str, *, big: int = 0) -> bytes:
    """A tar as the engine makes it of a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo(f"{top}/")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o750
        tar.addfile(folder)
        for name, text in ((f"{top}/a.txt", b"alpha"), (f"{top}/{'d' * 120}/b.txt", b"beta" * 1000)):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid = len(text), 0o640, 1234
            info.pax_headers = {"SCHILY.xattr.user.note": "kept"}
            tar.addfile(info, io.BytesIO(text))
        hard = tarfile.TarInfo(f"{top}/hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, f"{top}/a.txt"
        tar.addfile(hard)
        soft = tarfile.TarInfo(f"{top}/soft")
        soft.type, soft.linkname = tarfile.SYMTYPE, "a.txt"
        tar.addfile(soft)
        if big:
            info = tarfile.TarInfo(f"{top}/big")
            info.size = big
            tar.addfile(info, io.BytesIO(bytes(big)))
    return out.getvalue()


def opener(data: bytes) -> IO[bytes]:
    return io.BytesIO(data)


def make(path: Path, **trees: bytes) -> tuple[int, str]:
    sources = [(f"volumes/{name}", lambda data=data: opener(data)) for name, data in trees.items()]
    return write_archive(path, b'{"format":1}', sources)


async def joined(chunks: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_a_tree_comes_back_with_owners_links_and_attributes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.tar.gz"
    size, sha256 = make(path, data=tree("data"), other=tree("elsewhere"))
    assert (size, sha256) == (path.stat().st_size, checksum_of(path))
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as whole:
        assert whole.getnames()[0] == "manifest.json"
        assert "volumes/other/a.txt" in whole.getnames()
    with tarfile.open(fileobj=io.BytesIO(await joined(read_tree(path, "volumes/data")))) as back:
        infos = {info.name: info for info in back}
        assert set(infos) == {"a.txt", f"{'d' * 120}/b.txt", "hard", "soft"}
        assert (infos["a.txt"].uid, infos["a.txt"].mode) == (1234, 0o640)
        assert infos["a.txt"].pax_headers["SCHILY.xattr.user.note"] == "kept"
        assert (infos["hard"].linkname, infos["soft"].linkname) == ("a.txt", "a.txt")
        long = back.extractfile(f"{'d' * 120}/b.txt")
        assert long is not None and long.read() == b"beta" * 1000


async def test_a_member_that_is_one_file_is_known(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("app.yml"))
    path = tmp_path / "x.tar.gz"
    write_archive(path, b"{}", [("binds/0", lambda: opener(out.getvalue())), ("volumes/v", lambda: opener(tree("v")))])
    assert is_single_file(path, "binds/0")
    assert not is_single_file(path, "volumes/v")
    with pytest.raises(KeyError):
        is_single_file(path, "volumes/none")


async def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("volumes/data/../../etc/passwd"))
    with pytest.raises(BadArchive):
        await joined(read_tree(path, "volumes/data"))


def test_a_final_name_is_never_taken_twice(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        unfinished = tmp_path / ".x.partial"
        unfinished.write_bytes(b"x")
        names.append(give_final_name(unfinished, tmp_path / "20260501-100000Z.tar.gz", "ab").name)
        assert not unfinished.exists()
    assert names == ["20260501-100000Z.tar.gz", "20260501-100000Z-2.tar.gz", "20260501-100000Z-3.tar.gz"]
    assert (tmp_path / f"{names[1]}.sha256").read_text() == f"ab  {names[1]}\n"
    assert remove_archive(tmp_path / names[1]) > 0
    assert remove_archive(tmp_path / names[1]) == 0


async def test_a_thread_reads_what_the_loop_brings() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for part in (b"ab", b"", b"cdef", b"g"):
            yield part

    reader = LoopReader(asyncio.get_running_loop())
    reader.turn_to(chunks())
    parts = [await asyncio.to_thread(reader.read, 3) for _ in range(4)]
    assert parts == [b"abc", b"def", b"g", b""]
    await reader.end()


async def test_a_reading_thread_is_set_free_when_the_loop_gives_up() -> None:
    closed = asyncio.Event()

    async def silent() -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.sleep(60)
            yield b""
        finally:
            closed.set()

    reader = LoopReader(asyncio.get_running_loop())
    reader.turn_to(silent())
    work = asyncio.get_running_loop().run_in_executor(None, reader.read, 10)
    await asyncio.sleep(0.05)
    reader.abort()
    with pytest.raises(Aborted):
        await asyncio.wait_for(work, 2)
    await asyncio.wait_for(closed.wait(), 2)
    with pytest.raises(Aborted):
        reader.read(1)


async def test_leaving_a_tree_half_read_ends_its_thread(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    make(path, data=tree("data", big=8_000_000))
    chunks = read_tree(path, "volumes/data")
    assert await anext(chunks)
    await asyncio.wait_for(chunks.aclose(), 2)


def test_a_full_disk_is_said_as_such(tmp_path: Path) -> None:
    unfinished = tmp_path / ".bkp.partial"
    unfinished.symlink_to("/dev/full")
    with pytest.raises(OSError) as full:
        write_archive(unfinished, b"{}", [])
    told = _explain(full.value, "/srv/backups")
    assert "No space left" in told.message and "/srv/backups" in told.hint
