"""Registry credentials from a Docker `config.json`: auths, credential helpers, credential store (spec §7.3).

Nothing here raises for a bad file or a broken helper: Dockrev then asks the registry anonymously and says why in
`problem`, which the deploy check shows. No text and no repr carries a secret.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.registry.references import DOCKER_HUB, canonical_registry

_HELPER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_HELPER_TIMEOUT = 5.0
_HELPER_CACHE = 300.0
_LOOK_EVERY = 1.0
_HELPER_OUTPUT = 64 * 1024
# Docker Hub's key in every config.json and credential store written by `docker login`.
_HUB_KEY = "https://index.docker.io/v1/"
_MAX_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credential:
    """User and password, or an identity token that the token server takes instead of them."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str | None:
        """The Basic header's value; None when there is only an identity token."""
        if not self.password or not self.username:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class _Config:
    auths: dict[str, Credential] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)
    # The key as it stands in the file is what the helper filed the secret under.
    helper_keys: dict[str, str] = field(default_factory=dict)
    store: str = ""
    store_keys: dict[str, str] = field(default_factory=dict)


class Credentials:
    """The owner's registry log-ins, read anew whenever the file changes.

    `problem` is empty or one sentence for the deploy check.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._environ = environ
        self._monotonic = monotonic
        self._stamp: tuple[int, int] | None = None
        self._next_look = float("-inf")
        self._config = _Config()
        self._file_problem = ""
        self._helper_problems: dict[str, str] = {}
        self._helper_cache: dict[tuple[str, str], tuple[float, Credential | None]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def __repr__(self) -> str:
        return f"Credentials(path={str(self._path)!r})"

    @property
    def problem(self) -> str:
        """Why some or all registries are asked anonymously although a file is configured; else empty."""
        return self._file_problem or next(iter(self._helper_problems.values()), "")

    async def reload(self) -> None:
        """Read the file if it changed; looks at most once a second. Also what makes `problem` current."""
        if self._path is None or self._monotonic() < self._next_look:
            return
        self._next_look = self._monotonic() + _LOOK_EVERY
        config = await asyncio.to_thread(self._read_if_changed, self._path)
        if config is not None:
            self._config = config
            self._helper_cache.clear()
            self._helper_problems.clear()

    async def for_registry(self, host: str) -> Credential | None:
        """The credential for a registry (`docker.io`, `ghcr.io`, `host:port`), or None for anonymous."""
        if self._path is None:
            return None
        await self.reload()
        registry, config = canonical_registry(host), self._config
        if helper := config.helpers.get(registry):
            return await self._from_helper(helper, config.helper_keys[registry])
        if found := config.auths.get(registry):
            return found
        if config.store:
            key = config.store_keys.get(registry) or (_HUB_KEY if registry == DOCKER_HUB else registry)
            return await self._from_helper(config.store, key)
        return None

    def _read_if_changed(self, path: Path) -> _Config | None:
        """The new content, or None when nothing changed. Runs in a thread."""
        try:
            if path.is_dir():
                path = path / "config.json"
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            data = json.loads(path.read_bytes()) if status.st_size <= _MAX_FILE else None
        except OSError as error:
            self._stamp = None
            return self._unusable(path, error.strerror or "unreadable")
        except (ValueError, RecursionError):
            return self._unusable(path, "not valid JSON")
        if not isinstance(data, dict):
            return self._unusable(path, "not a Docker config")
        self._file_problem = ""
        return _parse(data)

    def _unusable(self, path: Path, reason: str) -> _Config:
        self._file_problem = f"The Docker config {path} cannot be used ({reason}); registries are asked anonymously."
        return _Config()

    async def _from_helper(self, helper: str, key: str) -> Credential | None:
        cache_key = (helper, key)
        async with self._locks.setdefault(cache_key, asyncio.Lock()):
            cached = self._helper_cache.get(cache_key)
            if cached and cached[0] > self._monotonic():
                return cached[1]
            credential, problem = await _ask_helper(helper, key, self._environ)
            self._helper_cache[cache_key] = (self._monotonic() + _HELPER_CACHE, credential)
            if problem:
                self._helper_problems[helper] = problem
            else:
                self._helper_problems.pop(helper, None)
            return credential


async def _ask_helper(helper: str, key: str, environ: Mapping[str, str] | None) -> tuple[Credential | None, str]:
    """Run `docker-credential-<helper> get`; the server's key goes in on stdin, never on the command line."""
    if not _HELPER_NAME.fullmatch(helper):
        return None, "The Docker config names a credential helper that is not a plain program name; it is ignored."
    program = f"docker-credential-{helper}"
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environ) if environ is not None else None,
            start_new_session=True,  # a helper is often a script; what it started ends with it
        )
    except OSError as error:
        return None, f"The credential helper {program} cannot be started ({error.strerror or 'unknown error'})."
    try:
        async with asyncio.timeout(_HELPER_TIMEOUT):
            output = await _talk(process, key)
    except TimeoutError:
        return None, f"The credential helper {program} did not answer within {_HELPER_TIMEOUT:.0f} s."
    finally:
        await _end(process)
    if output is None:
        return None, f"The credential helper {program} gave an answer Dockrev cannot read."
    if process.returncode != 0:
        # "credentials not found" is how a store says that nobody logged in there: no problem at all.
        quiet = b"not found" in output[:200].lower()
        return None, "" if quiet else f"The credential helper {program} failed (exit code {process.returncode})."
    return _parse_helper(output, program)


async def _talk(process: asyncio.subprocess.Process, key: str) -> bytes | None:
    """What the helper says to a key; None when it is more than any credential is, of which no more is read."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(OSError):  # it may answer without listening
        process.stdin.write(key.encode())
        await process.stdin.drain()
    process.stdin.close()
    output = b""
    while chunk := await process.stdout.read(_HELPER_OUTPUT):
        output += chunk
        if len(output) > _HELPER_OUTPUT:
            return None
    await process.wait()
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    """The helper and all it started. What they printed is read to its end: a full pipe would keep `wait` waiting."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        while await process.stdout.read(_HELPER_OUTPUT):
            pass  # thrown away
        await process.wait()


def _parse_helper(output: bytes, program: str) -> tuple[Credential | None, str]:
    try:
        data = json.loads(output)
        username, secret = data["Username"], data["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, f"The credential helper {program} gave an answer Dockrev cannot read."
    if not isinstance(username, str) or not isinstance(secret, str) or not secret:
        return None, ""
    if username == "<token>":
        return Credential(identity_token=secret), ""
    return Credential(username, secret), ""


def normalise_key(key: str) -> str:
    """A key of `auths`/`credHelpers` as a registry: URL → host, `/v1`, `/v2` dropped, Docker Hub → `docker.io`."""
    host = key.strip().partition("://")[2] if "://" in key else key.strip()
    return canonical_registry(host.partition("/")[0].rpartition("@")[2])


def _parse(data: dict[str, Any]) -> _Config:
    auths: dict[str, Credential] = {}
    store_keys: dict[str, str] = {}
    for key, entry in _items(data.get("auths")):
        registry = normalise_key(key)
        credential = _credential(entry)
        if credential:
            auths.setdefault(registry, credential)
        elif isinstance(entry, dict):
            # `docker login` with a store leaves an empty entry: the secret is in the store, under this very key.
            store_keys.setdefault(registry, key)
    helpers: dict[str, str] = {}
    helper_keys: dict[str, str] = {}
    for key, helper in _items(data.get("credHelpers")):
        if isinstance(helper, str) and helper:
            helpers[normalise_key(key)] = helper
            helper_keys[normalise_key(key)] = key
    store = data.get("credsStore")
    return _Config(auths, helpers, helper_keys, store if isinstance(store, str) else "", store_keys)


def _credential(entry: Any) -> Credential | None:
    if not isinstance(entry, dict):
        return None
    username, password = _text(entry.get("username")), _text(entry.get("password"))
    if auth := _text(entry.get("auth")):
        try:
            decoded = base64.b64decode(auth, validate=False).decode()
        except (binascii.Error, ValueError):
            decoded = ""
        user, colon, secret = decoded.partition(":")
        if colon:
            # Docker pads the secret with NULs in old files.
            username, password = user, secret.rstrip("\x00")
    token = _text(entry.get("identitytoken"))
    if not token and not (username and password):
        return None
    return Credential(username, password, token)


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
