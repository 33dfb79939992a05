"""One command as a child process: streamed, bounded in time and memory, ended with all its children."""

from __future__ import annotations

import asyncio
import codecs
import inspect
import os
import re
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.adapters.compose.errors import CommandResult
from app.adapters.compose.redact import plain

OnLine = Callable[[str], Awaitable[None] | None]

READ_BYTES = 64 * 1024
MAX_LINE_CHARS = 4_096
KEEP_CHARS = 128 * 1024
GRACE_SECONDS = 3.0
LOOK_SECONDS = 0.2

_BREAKS = re.compile(r"[\r\n]+")


class Expired(Exception):
    """The command was ended after its time; `result` holds what it had said."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__("the command took too long")
        self.result = result


class _Capture:
    """Keeps the last `keep` characters of a stream and cuts it into lines; frames of a progress bar are lines."""

    def __init__(self, keep: int, on_line: OnLine | None) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._kept: deque[str] = deque()
        self._size = 0
        self._keep = keep
        self._line = ""
        self._on_line = on_line

    async def feed(self, data: bytes, *, final: bool = False) -> None:
        text = self._decode(data, final)
        self._kept.append(text)
        self._size += len(text)
        while self._kept and self._size - len(self._kept[0]) >= self._keep:
            self._size -= len(self._kept.popleft())
        if self._on_line is None:
            return
        *lines, rest = _BREAKS.split(self._line + text)
        self._line = "" if final else rest[:MAX_LINE_CHARS]
        for line in [*lines, rest] if final else lines:
            if shown := plain(line[:MAX_LINE_CHARS]).rstrip():
                answer = self._on_line(shown)
                if inspect.isawaitable(answer):
                    await answer

    @property
    def text(self) -> str:
        return plain("".join(self._kept)[-self._keep :])


async def run_command(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float,
    keep: int = KEEP_CHARS,
    on_line: OnLine | None = None,
) -> CommandResult:
    """Run `argv` (never through a shell) to its end. Raises OSError when it cannot be started, Expired after
    `timeout` seconds. Ending the caller ends the command."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    captures = _Capture(keep, on_line), _Capture(KEEP_CHARS, on_line)
    pipes = zip((process.stdout, process.stderr), captures, strict=True)
    readers = [asyncio.ensure_future(_drain(pipe, capture)) for pipe, capture in pipes if pipe is not None]

    def result() -> CommandResult:
        code = process.returncode if process.returncode is not None else -signal.SIGKILL
        return CommandResult(tuple(argv), code, captures[0].text, captures[1].text, time.monotonic() - began)

    try:
        async with asyncio.timeout(timeout) as limit:
            await asyncio.gather(*readers)
            await process.wait()
    except TimeoutError:
        if not limit.expired():
            raise
        await asyncio.shield(_end(process))
        raise Expired(result()) from None
    finally:
        for reader in readers:
            reader.cancel()
        if process.returncode is None:
            await asyncio.shield(_end(process))
    return result()


async def _drain(pipe: asyncio.StreamReader, capture: _Capture) -> None:
    while data := await pipe.read(READ_BYTES):
        await capture.feed(data)
    await capture.feed(b"", final=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the process and its children to stop, then kill what is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        reached: set[int] = set()
        for _ in range(int(GRACE_SECONDS / LOOK_SECONDS)):
            # Again and again: a child may have been born between the look and the signal.
            await asyncio.to_thread(_signal_session, process.pid, number, reached)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await process.wait()
            if process.returncode is not None and not await asyncio.to_thread(_session_members, process.pid):
                return


def _signal_session(leader: int, number: signal.Signals, reached: set[int]) -> None:
    """Signal every process of the session that was not reached yet. The docker CLI gives its plugins process groups
    of their own, so that the leader's group alone would miss Compose itself."""
    for pid in _session_members(leader):
        if pid not in reached:
            reached.add(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _session_members(leader: int) -> list[int]:
    """Process ids of the living processes in the session of `leader`, itself included."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            # After the command name in parentheses: state, parent, group, session.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                members.append(int(entry.name))
    return members
