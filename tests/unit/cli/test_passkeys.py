"""`dockrev passkeys`: the way back for a shell on the host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Forbidden
from app.core.web.pass_key import PassKey
from app.features.passkeys.codes import Codes
from app.features.passkeys.keys import NewKey, Passkey, Passkeys
from tests.unit.cli.conftest import Run


@pytest.fixture
def database(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKREV_PASSKEYS", "on")
    assert run("migrate").code == 0
    return tmp_path / "dockrev.sqlite3"


def added(database: Path, name: str) -> Passkey:
    async def add() -> Passkey:
        db = Database(database)
        try:
            key = NewKey(name, "public", "owner", 0, "dockrev.lan")
            return await Passkeys(db, Clock(), Codes(db, Clock())).add(key, name)
        finally:
            await db.close()

    return asyncio.run(add())


def accepted(database: Path, code: str) -> bool:
    async def check() -> bool:
        db = Database(database)
        try:
            return bool(await Codes(db, Clock()).check(code))
        except Forbidden:
            return False
        finally:
            await db.close()

    return asyncio.run(check())


def test_a_code_that_counts_until_the_next_one(run: Run, database: Path) -> None:
    first, second = run("passkeys", "code"), run("passkeys", "code", "--json")
    assert first.code == second.code == 0 and "Enter it at /login before" in first.out
    assert not accepted(database, first.out.splitlines()[0])
    assert accepted(database, second.document["code"])


def test_passkeys_are_listed_and_removed(run: Run, database: Path) -> None:
    assert run("passkeys", "list").out == "No passkeys.\n"
    phone, key = added(database, "phone"), added(database, "key")
    listed = run("passkeys", "list")
    assert [line.split()[:2] for line in listed.out.splitlines()[1:]] == [[phone.id, "phone"], [key.id, "key"]]
    assert [row["name"] for row in run("passkeys", "list", "--json").document["passkeys"]] == ["phone", "key"]
    assert run("passkeys", "remove", phone.id).code == 2  # nobody here can be asked
    assert run("passkeys", "remove", phone.id, "--yes").out == "phone is removed; 1 left.\n"
    again = run("passkeys", "remove", phone.id, "--yes")
    assert again.code == 1 and "passkey not found" in again.err and "passkeys list" in again.err
    of_passes = PassKey(database.parent / "passes" / "supervisor.key")
    before = of_passes.take()
    assert run("passkeys", "remove", key.id, "--yes").out == "key is removed; 0 left.\n"
    assert of_passes.read() != before, "what it opened at the supervisor is void"


def test_it_says_why_there_is_no_code(run: Run, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_DB_PATH", str(database.parent / "none" / "d.sqlite3"))
    fresh = run("passkeys", "code")
    assert fresh.code == 3 and "dockrev migrate" in fresh.err
    assert not (database.parent / "none" / "d.sqlite3").exists()
    monkeypatch.setenv("DOCKREV_PASSKEYS", "off")
    off = run("passkeys", "code", "--json")
    assert off.code == 2 and "DOCKREV_PASSKEYS=on" in off.document["error"]["details"]["hint"]
