"""Whether Dockrev and its supervisor see the same key of passes: for `dockrev doctor` and the deploy check."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from app.core.web.languages import N_, _
from app.core.web.pass_key import NoKey, PassKey, key_id
from app.core.web.presentation import clean

if TYPE_CHECKING:
    from app.adapters.engine import ContainerDetail, Engine, Mount
    from app.settings import Settings

ON: Final = frozenset({"1", "true", "yes", "y", "on", "t"})
READ: Final = (
    "DOCKREV_PASSKEYS",
    "DOCKREV_PASSKEYS_STEP_UP",
    "DOCKREV_PASS_KEY_PATH",
    "DOCKREV_SUPERVISOR_STATE_PATH",
    "DOCKREV_SUPERVISOR_HTTP_ADDR",
    "DOCKREV_SUPERVISOR_BASE_PATH",
)
STATE: Final = "./data/supervisor/self-upgrade.json"
PORT: Final = "50884"
SHARE: Final = N_("Mount one folder in both at DOCKREV_PASS_KEY_PATH, read-only for the supervisor: docs/passkeys.md.")

Health = Literal["ok", "warn", "fail"]
Read = Callable[[str], Awaitable[str | None]]
"""Asks a supervisor at an address which key it reads: its id, '' for none. None when that cannot be told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it is, and what to do where it is not well."""

    health: Health
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A container's view of the key: its mounts, its settings, the folder its program starts in."""

    name: str
    mounts: Sequence[Mount]
    variables: Mapping[str, str]
    folder: str = "/"
    hosts: Sequence[str] = ()

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.variables.get(name, "").strip().lower() in ON

    def key_path(self) -> PurePosixPath:
        """Where the supervisor in it looks (`SupervisorSettings.pass_key`)."""
        if named := self.variables.get("DOCKREV_PASS_KEY_PATH", "").strip():
            return PurePosixPath(self.folder, named)
        state = PurePosixPath(self.folder, self.variables.get("DOCKREV_SUPERVISOR_STATE_PATH") or STATE)
        return state.parent.parent / "passes" / "supervisor.key"

    def addresses(self) -> list[str]:
        """Where the supervisor in it answers."""
        port = (self.variables.get("DOCKREV_SUPERVISOR_HTTP_ADDR") or PORT).rpartition(":")[2]
        base = (self.variables.get("DOCKREV_SUPERVISOR_BASE_PATH") or "/supervisor").strip("/")
        return [f"http://{host}:{port}/{base}/self-upgrade" for host in self.hosts if host]


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
            remedy = _("Set DOCKREV_PASSKEYS=on for it, too.")
            return Verdict("fail", _("the supervisor %(name)s takes no passes", name=one.name), remedy)
        if here is None or place_of(one.mounts, one.key_path()) != here:
            words = _(
                "%(path)s is not the file that the supervisor %(name)s reads at %(other)s",
                path=path,
                name=one.name,
                other=one.key_path(),
            )
            return Verdict("fail", words, str(SHARE))
        if one.on("DOCKREV_PASSKEYS_STEP_UP") and not step_up:
            words = _("only the supervisor %(name)s asks for a touch, Dockrev does not", name=one.name)
            return Verdict("warn", words, _("Set DOCKREV_PASSKEYS_STEP_UP alike for both."))
    if not supervisors:
        words = _("no supervisor runs beside this container")
        return Verdict("warn", words, _("Start one, or open it at its own address."))
    names = ", ".join(one.name for one in supervisors)
    return Verdict("ok", _("%(path)s, shared with the supervisor %(names)s", path=path, names=names))


def same_key(verdict: Verdict, name: str, mine: str, theirs: str | None) -> Verdict:
    """The verdict once a supervisor has told which key it reads; `mine` is '' before there is one."""
    if verdict.health == "fail" or theirs is None or not mine:
        return verdict
    if not theirs:
        words = _("the supervisor %(name)s cannot read the key %(key)s", name=name, key=mine)
        return Verdict("fail", words, _("Let both run as the same user: the file is for its owner alone."))
    if theirs != mine:
        words = _("the supervisor %(name)s reads the key %(other)s, not %(key)s", name=name, other=theirs, key=mine)
        return Verdict("fail", words, str(SHARE))
    return Verdict(
        verdict.health, _("%(said)s; both read the key %(key)s", said=verdict.text, key=mine), verdict.remedy
    )


async def look_at_passes(settings: Settings, engine: Engine, read: Read | None = None) -> Verdict:
    """The key itself, then who shares it as far as the engine tells; with `read` the supervisors are asked, too."""
    key = settings.pass_key
    trouble, mine = await asyncio.to_thread(_look, key)
    if trouble:
        remedy = _("Passes for the supervisor need it; check its folder and its owner.")
        return Verdict("fail", f"{key.path}: {trouble}", remedy)
    details = await engine.containers_detail([row.id for row in await engine.containers()])
    own = next((each for each in details if each.id.startswith(socket.gethostname())), None)
    if own is None:
        words = _("%(path)s; the supervisor must read it too (DOCKREV_PASS_KEY_PATH)", path=key.path)
        alone = Seen(_("on this host"), (), {}, hosts=("127.0.0.1",))
        return await _asked(Verdict("ok", words), [alone], mine, read)
    beside = [each for each in details if each.project == own.project and each.id != own.id]
    supervisors = [await _seen(engine, each) for each in beside if "supervisor" in each.service]
    path = PurePosixPath(key.path)
    verdict = judge(await _seen(engine, own), path, supervisors, step_up=settings.passkeys_step_up)
    return await _asked(verdict, supervisors, mine, read)


async def _asked(verdict: Verdict, supervisors: Sequence[Seen], mine: str, read: Read | None) -> Verdict:
    for one in supervisors if read else ():
        for address in one.addresses():
            if read and (theirs := await read(address)) is not None:
                verdict = same_key(verdict, one.name, mine, theirs)
                break
    return verdict


async def _seen(engine: Engine, one: ContainerDetail) -> Seen:
    told = await engine.environment(one.id, READ)
    return Seen(clean(one.name, 80), one.mounts, told.variables, told.working_dir, [*one.addresses.values()])


def _look(key: PassKey) -> tuple[str, str]:
    """Why Dockrev could not use the key, and its id; nothing is made here, a key of another owner would shut it out."""
    mine = ""
    if key.path.is_symlink() or key.path.exists():
        try:
            mine = key_id(key.read())
        except NoKey as error:
            return str(error), ""
    folder = next(folder for folder in key.path.parents if folder.exists())
    return ("" if os.access(folder, os.W_OK) else _("%(folder)s cannot be written", folder=folder)), mine
