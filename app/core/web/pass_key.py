"""The key of passes: 32 random bytes in a file that Dockrev writes and its supervisor reads."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

LENGTH: Final = 32
NAME: Final = Path("passes") / "supervisor.key"
"""Where it lies when nothing else is set, from Dockrev's data folder."""


def key_id(key: bytes) -> str:
    """What a key is called: two who name the same have the same, and nobody learns anything of it."""
    return hashlib.sha256(b"dockrev key of passes\0" + key).hexdigest()[:8]


class NoKey(Exception):
    """There is no key to be had; the text says why, for people."""


class PassKey:
    """The file. Read anew each time, so that another key counts at once; blocking, a few microseconds."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def read(self) -> bytes:
        """The key. Raises NoKey."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NoKey("there is no such file") from error
        except OSError as error:
            raise NoKey(error.strerror or "it cannot be opened") from error
        try:
            kind = os.fstat(handle).st_mode
            if not stat.S_ISREG(kind) or kind & stat.S_IRWXO:
                raise NoKey("it is no file, or everybody on the host may use it")
            key = os.read(handle, LENGTH + 1)
        except OSError as error:
            raise NoKey(error.strerror or "it cannot be read") from error
        finally:
            os.close(handle)
        if len(key) != LENGTH:
            raise NoKey(f"it does not hold {LENGTH} bytes")
        return key

    def take(self) -> bytes:
        """The key, made when there is none that works; of two at once both get the first. Raises NoKey."""
        try:
            return self.read()
        except NoKey as error:  # asked again whether it is there, the answer may be another one's new key
            there = not isinstance(error.__cause__, FileNotFoundError)
        try:
            self._write(instead=there)
        except OSError as error:
            raise NoKey(error.strerror or "it cannot be written") from error
        return self.read()

    def change(self) -> None:
        """Make all passes void. Raises NoKey when they still count.

        Without a file there are none. On a full disk the file goes: then the supervisor takes no pass at all.
        """
        if not (self.path.is_symlink() or self.path.exists()):
            return
        try:
            self._write(instead=True)
        except OSError:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise NoKey(error.strerror or "it cannot be written") from error

    def _write(self, *, instead: bool) -> None:
        """Beside it, then in its place: a reader sees a whole one."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(LENGTH))
                file.flush()
                os.fsync(file.fileno())
            if instead:
                draft.replace(self.path)
            else:
                with suppress(FileExistsError):  # whoever came first made the key
                    os.link(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)
