"""One SQLite file: connections, transactions, and what is said when the disk is full or the file locked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakSet

from aiosqlite import Connection as Driver
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import Unavailable

_shared: ContextVar[tuple[Database, asyncio.Task[Any] | None, AsyncSession] | None] = ContextVar("shared", default=None)


class StorageError(Unavailable):
    """The database could not do it now; nothing of the failed step was kept."""


def explain_storage_error(error: DBAPIError) -> StorageError | None:
    """Turn SQLite's own words into a message with a remedy; None when it is a programming error."""
    text = str(error.orig).lower()
    if "full" in text or "no space" in text:
        return StorageError("the disk of the database is full", hint="Free some space; nothing was lost.")
    if "locked" in text or "busy" in text:
        return StorageError(
            "the database is locked by another process",
            hint="Is a second Dockrev or a database tool using the same file? Close it and try again.",
        )
    if "readonly" in text or "unable to open" in text or "disk i/o" in text:
        return StorageError(
            "the database file cannot be written",
            hint="Check owner and permissions of the data folder, and that its disk is mounted read-write.",
        )
    return None


class Database:
    """Sessions on one SQLite file.

    Reads use `session()`, writes use `transaction()`: one writer at a time in this process (SQLite has one anyway),
    with `BEGIN IMMEDIATE`, so that a check and the insert depending on it are atomic (spec §7.9).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: AsyncEngine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            pool_size=2,
            max_overflow=6,
            pool_timeout=10,
            connect_args={"timeout": 5, "cached_statements": 32},
        )
        self._write_lock = asyncio.Lock()
        self._count = 0
        self._drivers: WeakSet[Driver] = WeakSet()
        self._closed = False
        event.listen(self._engine.sync_engine, "do_connect", self._refuse_when_closed)
        event.listen(self._engine.sync_engine, "connect", _prepare_connection)
        event.listen(self._engine.sync_engine, "connect", self._note_driver)
        event.listen(self._engine.sync_engine, "begin", _begin)
        event.listen(self._engine.sync_engine, "invalidate", _let_go)
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._count_statement)

    @property
    def statements(self) -> int:
        """Statements executed since start; the difference over a request is its query count."""
        return self._count

    def _count_statement(self, *_: Any) -> None:
        self._count += 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """One consistent read for everything this task asks inside, whichever room it asks: a page of many queries.

        Tasks started inside have sessions of their own, and so have writes.
        """
        async with self.session() as session:
            token = _shared.set((self, asyncio.current_task(), session))
            try:
                yield
            finally:
                _shared.reset(token)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A consistent read; never holds a lock that a writer would wait for."""
        shared = _shared.get()
        try:
            if shared is not None and shared[:2] == (self, asyncio.current_task()):
                yield shared[2]
                return
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                yield session
        except DBAPIError as error:
            raise explain_storage_error(error) or error from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A write: all of it is kept when the block ends, none of it when the block raises.

        Raises StorageError when the disk is full or another process holds the file.
        """
        async with self._write_lock, AsyncSession(self._engine, expire_on_commit=False) as session:
            try:
                await session.connection(execution_options={"write": True})
                yield session
                await session.commit()
            except DBAPIError as error:
                raise explain_storage_error(error) or error from error

    async def create_all(self) -> None:
        """Create every table known to SQLModel that is missing: a fresh file, and the tests."""
        async with self._engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    def forget_statements(self) -> None:
        """What was compiled of statements until now, for those that are not run again: each keeps 40 kB, and takes a
        millisecond to compile anew."""
        self._engine.sync_engine.clear_compiled_cache()

    async def close(self) -> None:
        """Give back every connection; the WAL is folded into the file by the last one. Nothing is connected afterwards.

        Who was cancelled may still be putting one back; it is waited for, at most two seconds. What somebody keeps
        beyond that is closed under their hands.
        """
        self._closed = True
        pool = self._engine.pool
        for _ in range(40):
            if not isinstance(pool, AsyncAdaptedQueuePool) or not pool.checkedout():
                break
            await asyncio.sleep(0.05)
        await self._engine.dispose()
        for driver in self._working():
            driver.stop()
        for _ in range(40):  # a connection that was thrown away still answers to this event loop
            if not self._working():
                break
            await asyncio.sleep(0.05)

    def _working(self) -> list[Driver]:
        """Connections whose threads are not at their end; the driver tells it in no other way."""
        return [driver for driver in self._drivers if driver._thread.is_alive()]

    def _refuse_when_closed(self, *_: Any) -> None:
        if self._closed:
            raise StorageError("the database is closed: Dockrev is stopping", hint="Try again when it runs again.")

    def _note_driver(self, connection: Any, _record: Any) -> None:
        """Each connection works in a thread of its own, which ends with it."""
        driver = getattr(connection, "driver_connection", None)
        if isinstance(driver, Driver):
            self._drivers.add(driver)
            if self._closed:  # it was being made meanwhile
                driver.stop()


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`, not guessed by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        "synchronous=NORMAL",
        "busy_timeout=5000",
        "cache_size=-512",
        "journal_size_limit=8388608",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _let_go(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """A cancelled task's connection is thrown away in the middle of its transaction. SQLite keeps the file locked for
    as long as some object of that connection lives, so the transaction is ended first."""
    connection.rollback()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def sqlite_version() -> str:
    """The SQLite library in use, for `dockrev doctor`."""
    return sqlite3.sqlite_version
