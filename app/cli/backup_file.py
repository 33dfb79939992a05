"""Dockrev's own backup: database and settings in one encrypted file.

A line that names the format, a line of JSON that says what is inside (readable without the key, protected by it), then
a gzipped tar of `dockrev.sqlite3` and `settings.json` in pieces of 1 MiB, each sealed with AES-256-GCM. A piece's nonce
holds its number, and the last one is marked: none can be left out, repeated, exchanged or cut off unnoticed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import secrets
import sqlite3
import struct
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from app.cli.exits import Exit, Failure

MAGIC: Final = b"dockrev-backup 1\n"
PIECE: Final = 1 << 20
KEY_BYTES: Final = 32
LONGEST_HEADER: Final = 16_384
DATABASE, SETTINGS = "dockrev.sqlite3", "settings.json"


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says about itself. `key` tells keys apart without telling them; `nonce` is fresh for each file."""

    version: str
    schema: str
    created_at: str
    key: str
    nonce: str


def unreadable(message: str, hint: str, code: str = "invalid_backup") -> Failure:
    """A backup, key or database that cannot be used (exit code 3)."""
    return Failure(message, exit_code=Exit.UNREACHABLE, hint=hint, code=code)


# -- the key ---------------------------------------------------------------------------------------------------------


def make_key(path: Path) -> bytes:
    """A new key in a file that only its owner reads. Raises Failure when it cannot be written; never overwrites."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unreadable(
            f"the key file {path} cannot be made: {error.strerror}", "Name another place: --key-file"
        ) from error
    return key


def read_key(path: Path) -> bytes:
    """The key. Raises Failure when the file is missing, or is not a key."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError as error:
        raise unreadable(
            f"there is no key file {path}",
            "Name yours with --key-file. Without the key that a backup was made with nobody can read it.",
        ) from error
    except (OSError, ValueError) as error:
        raise unreadable(f"the key file {path} cannot be read: {error}", "It is one line of base64.") from error
    if len(key) != KEY_BYTES:
        raise unreadable(f"{path} is not a key of Dockrev", "It is one line of base64, 32 bytes.")
    return key


def name_of(key: bytes) -> str:
    """What the header calls a key."""
    return hashlib.sha256(b"dockrev backup key\n" + key).hexdigest()[:16]


# -- writing ---------------------------------------------------------------------------------------------------------


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy, also while a server writes. Raises Failure when it cannot be read, or is damaged."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=10)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
            check(new, str(source))
    except sqlite3.Error as error:
        raise unreadable(f"{source} cannot be read as a database: {error}", "`dockrev doctor` looks at it.") from error


def check(connection: sqlite3.Connection, name: str) -> None:
    """SQLite's own examination. Raises Failure with its first finding."""
    [finding] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise unreadable(
            f"{name} is damaged: {finding}", "Use a copy from before (*.before-*.sqlite3, another backup)."
        )


def write(out: IO[bytes], header: Header, key: bytes, database: Path, settings: dict[str, str]) -> int:
    """Write a whole backup; returns its bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = json.dumps(asdict(header)).encode() + b"\n"
    seal, nonce = AESGCM(key), bytes.fromhex(header.nonce)
    written = out.write(MAGIC) + out.write(head)
    with database.with_name(database.name + ".tar.gz").open("w+b") as packed:
        _pack(packed, database, settings)
        left = packed.seek(0, io.SEEK_END)
        packed.seek(0)
        number = 0
        while left:
            piece = packed.read(PIECE)
            left -= len(piece)
            sealed = seal.encrypt(nonce + struct.pack(">I", number), piece, _about(head, last=not left))
            written += out.write(struct.pack(">I", len(sealed))) + out.write(sealed)
            number += 1
    return written


def _pack(packed: IO[bytes], database: Path, settings: dict[str, str]) -> None:
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as tar:
        tar.add(database, DATABASE)
        text = json.dumps(settings, indent=1, ensure_ascii=False).encode()
        info = tarfile.TarInfo(SETTINGS)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))


def _about(head: bytes, *, last: bool) -> bytes:
    return head + (b"last" if last else b"more")


# -- reading ---------------------------------------------------------------------------------------------------------


def read_header(file: IO[bytes], name: str) -> tuple[Header, bytes]:
    """What the file says about itself, and the very line. Raises Failure when it is no backup of Dockrev."""
    if file.read(len(MAGIC)) != MAGIC:
        raise unreadable(f"{name} is not a backup of Dockrev", "`dockrev backup` makes one.")
    line = file.readline(LONGEST_HEADER)
    try:
        found: dict[str, Any] = json.loads(line)
        header = Header(**{field: str(found[field]) for field in Header.__slots__})
        if len(bytes.fromhex(header.nonce)) != 8:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(f"the beginning of {name} is damaged", "Use another backup.") from error
    return header, line


def unpack(file: IO[bytes], header: Header, line: bytes, key: bytes, folder: Path) -> dict[str, str]:
    """Put the database into `folder`, examined; returns the settings.

    Raises Failure when it was made with another key, or was changed, cut off or damaged since.
    """
    if name_of(key) != header.key:
        raise unreadable(
            f"the backup was made with another key ({header.key}, this one is {name_of(key)})",
            "Name the file of that key with --key-file.",
        )
    packed = folder / "backup.tar.gz"
    with packed.open("wb") as out:
        for piece in _pieces(file, header, line, key):
            out.write(piece)
    try:
        with tarfile.open(packed, "r:gz") as tar:
            found = {member.name: member for member in tar.getmembers() if member.isfile()}
            with (folder / DATABASE).open("wb") as database:
                content = tar.extractfile(found[DATABASE])
                while content is not None and (block := content.read(PIECE)):
                    database.write(block)
            text = tar.extractfile(found[SETTINGS])
            settings: dict[str, str] = json.load(text) if text is not None else {}
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        raise unreadable(
            f"the backup cannot be unpacked: {error}", "Is there space? Else use another backup."
        ) from error
    packed.unlink()
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        check(connection, "the database in the backup")
    return settings


def _pieces(file: IO[bytes], header: Header, line: bytes, key: bytes) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    seal, nonce = AESGCM(key), bytes.fromhex(header.nonce)
    sealed, number = _next(file), 0
    while sealed:
        following = _next(file)
        try:
            yield seal.decrypt(nonce + struct.pack(">I", number), sealed, _about(line, last=not following))
        except InvalidTag as error:
            raise unreadable("the backup was changed, cut off or damaged", "Use another copy of it.") from error
        sealed, number = following, number + 1
    if not number:
        raise unreadable("the backup is empty after its beginning", "Use another copy of it.")


def _next(file: IO[bytes]) -> bytes:
    """The next sealed piece; empty at the end. What is not whole fails its proof."""
    size = file.read(4)
    if len(size) < 4:
        return size
    return file.read(min(struct.unpack(">I", size)[0], PIECE + 16)) or b"\0"
