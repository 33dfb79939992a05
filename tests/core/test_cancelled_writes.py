"""A task cancelled in the middle of its transaction must not leave the file locked."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from sqlmodel import text

from app.core.db import Database, StorageError


async def test_a_cancelled_transaction_lets_go_of_the_file(tmp_path: Path) -> None:
    db = Database(tmp_path / "dockrev.sqlite3")
    await db.create_all()

    async def write() -> None:
        async with db.transaction() as session:
            while True:
                await session.exec(text("SELECT 1"))  # type: ignore[call-overload]

    gc.disable()  # the collector would hide the lock now and then
    try:
        for number in range(10):
            writer = asyncio.ensure_future(write())
            await asyncio.sleep(0.003 * number)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            async with asyncio.timeout(4), db.transaction() as session:  # a locked file would let this time out
                answer = await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
            assert answer.one() == (1,)
    finally:
        gc.enable()
        await db.close()


async def test_a_connection_in_use_is_waited_for(tmp_path: Path) -> None:
    db = Database(tmp_path / "dockrev.sqlite3")
    await db.create_all()
    done = []

    async def read() -> None:
        async with db.session() as session:
            await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
            await asyncio.sleep(0.2)
            done.append("read")

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0.05)
    await db.close()
    assert done == ["read"]
    await reader


async def test_no_thread_of_a_connection_outlives_the_database(tmp_path: Path) -> None:
    """A connection that was thrown away still answers to the event loop, which may be closed right after."""
    before = set(threading.enumerate())

    async def write(db: Database) -> None:
        async with db.transaction() as session:
            while True:
                await session.exec(text("SELECT 1"))  # type: ignore[call-overload]

    for number in range(20):
        db = Database(tmp_path / f"{number}.sqlite3")
        await db.create_all()
        writer = asyncio.ensure_future(write(db))
        await asyncio.sleep(0.002 * number)
        for _ in range(3):  # impatience: also the way of giving the connection back is cut off
            writer.cancel()
            await asyncio.sleep(0)
        await db.close()
        assert not set(threading.enumerate()) - before
        with suppress(asyncio.CancelledError):
            await writer


async def test_what_somebody_keeps_is_closed_under_their_hands_and_nothing_is_opened_any_more(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    db = Database(tmp_path / "dockrev.sqlite3")
    await db.create_all()
    ended = asyncio.Event()

    async def keep() -> None:
        async with db.session() as session:
            await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
            await ended.wait()

    keeper = asyncio.ensure_future(keep())
    await asyncio.sleep(0.05)
    await db.close()
    assert not set(threading.enumerate()) - before
    with pytest.raises(StorageError, match="stopping"):
        async with db.session() as session:
            await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
    ended.set()
    await asyncio.gather(keeper, return_exceptions=True)
    del keeper
    gc.collect()  # a connection that was not closed would say so here
