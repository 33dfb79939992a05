"""The temporary files of an update: an image-only override, and a DOCKER_CONFIG folder with the logins."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from app.adapters.compose.names import image_name, service_name

OVERRIDE_FOLDER = Path("/tmp")  # noqa: S108  # the spec's place; made exclusively and under a random name
MAX_CONFIG_BYTES = 1024 * 1024

_GENERATED = re.compile(r"/tmp/dockrev-override-[^/]{1,100}\.yml")  # noqa: S108  # only compared with
_SELF_UPGRADE = "self-upgrade.override.yml"
_log = logging.getLogger(__name__)


def is_generated_override(path: Path | str) -> bool:
    """Whether a file of a config_files label is one that Dockrev made and may have deleted (spec §7.1, 3)."""
    text = str(path)
    return bool(_GENERATED.fullmatch(text)) or Path(text).name == _SELF_UPGRADE


def override_text(services: Mapping[str, str]) -> str:
    """The override as YAML; names and images are checked and quoted. Raises ComposeInvalidName."""
    rows = (
        f"  {json.dumps(service_name(name))}:\n    image: {json.dumps(image_name(image))}\n"
        for name, image in services.items()
    )
    return "services:\n" + "".join(rows)


@asynccontextmanager
async def override_file(services: Mapping[str, str], *, folder: Path = OVERRIDE_FOLDER) -> AsyncIterator[Path]:
    """A file that sets only `services.<name>.image`, readable by us alone, deleted at the end.

    Raises ComposeInvalidName; OSError when the folder cannot be written.
    """
    path = folder / f"dockrev-override-{secrets.token_hex(8)}.yml"
    await asyncio.to_thread(_write_new, path, override_text(services).encode())
    try:
        yield path
    finally:
        await asyncio.shield(asyncio.to_thread(path.unlink, missing_ok=True))


@asynccontextmanager
async def staged_docker_config(config_json: Path) -> AsyncIterator[Path]:
    """A private DOCKER_CONFIG folder with a copy of `config_json` and every CLI plugin that is reachable without
    it, removed at the end (spec §7.8, preparation).

    A file that cannot be read or is no JSON object gives a folder without logins, and a warning in the log.
    """
    folder = await asyncio.to_thread(_stage, config_json)
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _write_new(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)


def _stage(config_json: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dockrev-docker-config-"))  # made with mode 0700
    try:
        _write_new(folder / "config.json", _logins(config_json))
        plugins = folder / "cli-plugins"
        plugins.mkdir()
        for plugin in _plugins(config_json.parent):
            if not (plugins / plugin.name).exists():
                (plugins / plugin.name).symlink_to(plugin.resolve())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _logins(config_json: Path) -> bytes:
    try:
        with config_json.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) <= MAX_CONFIG_BYTES and isinstance(json.loads(content), dict):
            return content
        reason = "it is no JSON object"
    except OSError as exc:
        reason = exc.strerror or "it cannot be read"
    except ValueError:
        reason = "it is no JSON"
    _log.warning("docker config %s is not used: %s", config_json, reason)
    return b"{}"


def _plugins(beside: Path) -> Iterator[Path]:
    """CLI plugins in the folders that a changed DOCKER_CONFIG hides; those of the system stay visible anyway."""
    own = os.environ.get("DOCKER_CONFIG")
    home = os.environ.get("HOME")
    folders = [beside, *([Path(own)] if own else []), *([Path(home) / ".docker"] if home else [])]
    for folder in folders:
        try:
            yield from sorted((folder / "cli-plugins").glob("docker-*"))
        except OSError:
            continue
