"""Whether Dockrev and its supervisor see the same key of passes: what `dockrev doctor` says where passkeys are on."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from app.cli.text import one_line

if TYPE_CHECKING:
    from app.adapters.engine import ContainerDetail, Engine, Mount
    from app.core.web.pass_key import PassKey
    from app.settings import Settings

ON: Final = frozenset({"1", "true", "yes", "y", "on", "t"})
READ: Final = (
    "DOCKREV_PASSKEYS",
    "DOCKREV_PASSKEYS_STEP_UP",
    "DOCKREV_PASS_KEY_PATH",
    "DOCKREV_SUPERVISOR_STATE_PATH",
)
STATE: Final = "./data/supervisor/self-upgrade.json"
SHARE: Final = "Mount one folder in both at DOCKREV_PASS_KEY_PATH, read-only for the supervisor: docs/passkeys.md."

Verdict = tuple[Literal["ok", "warn", "fail"], str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A container's view of the key: its mounts, its settings, the folder its program starts in."""

    name: str
    mounts: Sequence[Mount]
    variables: Mapping[str, str]
    folder: str = "/"

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.variables.get(name, "").strip().lower() in ON

    def key_path(self) -> PurePosixPath:
        """Where the supervisor in it looks (`SupervisorSettings.pass_key`)."""
        if named := self.variables.get("DOCKREV_PASS_KEY_PATH", "").strip():
            return PurePosixPath(self.folder, named)
        state = PurePosixPath(self.folder, self.variables.get("DOCKREV_SUPERVISOR_STATE_PATH") or STATE)
        return state.parent.parent / "passes" / "supervisor.key"


def place_of(mounts: Sequence[Mount], path: PurePosixPath) -> tuple[str, str] | None:
    """What is mounted at a path, and where in it the file lies; None when it lies in the container itself."""
    found = [mount for mount in mounts if path.is_relative_to(mount.destination) and mount.type != "tmpfs"]
    if not found:
        return None
    nearest = max(found, key=lambda mount: len(PurePosixPath(mount.destination).parts))
    return nearest.source or nearest.name, str(path.relative_to(nearest.destination))


def judge(own: Seen, path: PurePosixPath, supervisors: Sequence[Seen], *, step_up: bool) -> Verdict:
    """Over Dockrev's container, in which its key lies at `path`, and those of supervisors beside it."""
    here = place_of(own.mounts, path)
    for one in supervisors:
        if not one.on("DOCKREV_PASSKEYS"):
            return "fail", f"the supervisor {one.name} takes no passes", "Set DOCKREV_PASSKEYS=on for it, too."
        if here is None or place_of(one.mounts, one.key_path()) != here:
            return "fail", f"{path} is not the file that the supervisor {one.name} reads at {one.key_path()}", SHARE
        if one.on("DOCKREV_PASSKEYS_STEP_UP") != step_up:
            remedy = "Set DOCKREV_PASSKEYS_STEP_UP alike for both."
            return "warn", f"only one of Dockrev and the supervisor {one.name} asks for a touch", remedy
    if not supervisors:
        return "warn", "no supervisor runs beside this container", "Start one, or open it at its own address."
    return "ok", f"{path}, shared with the supervisor {', '.join(one.name for one in supervisors)}", ""


async def look_at_passes(settings: Settings, engine: Engine) -> Verdict:
    """The key itself, then who shares it as far as the engine tells."""
    key = settings.pass_key
    if trouble := await asyncio.to_thread(_trouble, key):
        return "fail", f"{key.path}: {trouble}", "Passes for the supervisor need it; check its folder and its owner."
    details = await engine.containers_detail([row.id for row in await engine.containers()])
    own = next((each for each in details if each.id.startswith(socket.gethostname())), None)
    if own is None:
        return "ok", f"{key.path}; the supervisor must read it too (DOCKREV_PASS_KEY_PATH)", ""
    beside = [each for each in details if each.project == own.project and each.id != own.id]
    supervisors = [await _seen(engine, each) for each in beside if "supervisor" in each.service]
    path = PurePosixPath(key.path)
    return judge(await _seen(engine, own), path, supervisors, step_up=settings.passkeys_step_up)


async def _seen(engine: Engine, one: ContainerDetail) -> Seen:
    told = await engine.environment(one.id, READ)
    return Seen(one_line(one.name, 80), one.mounts, told.variables, told.working_dir)


def _trouble(key: PassKey) -> str:
    """Why Dockrev could not use the key; nothing is made here, a key of another owner would shut Dockrev out."""
    from app.core.web.pass_key import NoKey

    if not (key.path.is_symlink() or key.path.exists()):
        folder = next(folder for folder in key.path.parents if folder.exists())
        return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written"
    try:
        key.read()
    except NoKey as error:
        return str(error)
    return "" if os.access(key.path.parent, os.W_OK) else f"{key.path.parent} cannot be written"
