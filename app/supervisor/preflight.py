"""What is looked at before Dockrev is replaced, and what of it forbids to go on: pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.errors import Conflict
from app.supervisor.state import Check
from app.supervisor.world import Container, Host, Image, Probe

ROOM_FACTOR = 1.2


def container_check(container: Container, image: Image | None, digest: str | None) -> Check:
    """What runs now."""
    version = f" {image.version}" if image and image.version else ""
    state = "runs" if container.running else f"is stopped (status {container.exit_code})"
    told = digest or "no digest: the image was built here or loaded"
    return Check(
        name="current",
        verdict="ok" if container.running else "warn",
        text=f"{container.project}/{container.service} {state} on {container.image}{version}, {told}",
    )


def files_check(unreadable: Sequence[str], chosen: Sequence[str], labelled: bool) -> Check:
    """Whether Compose can be asked at all. `unreadable` are those of the labels."""
    if not chosen:
        return Check(
            name="files",
            verdict="bad",
            text=f"Compose files that cannot be read here: {', '.join(unreadable) or 'none is known'}. Mount their "
            "folder read-only at the same absolute path, or set DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES.",
        )
    if not labelled:
        gone = f" ({', '.join(unreadable)} cannot be read)" if unreadable else ""
        return Check(name="files", verdict="warn", text=f"Compose files as set: {', '.join(chosen)}{gone}")
    return Check(name="files", verdict="ok", text=f"Compose files readable: {', '.join(chosen)}")


def disk_check(host: Host, wanted: int | None) -> Check:
    """Room for the new image: `wanted` is the size of the one that runs, nearest to what is known before a pull."""
    if host.free_bytes is None:
        where = host.root_dir or "the engine's folder"
        return Check(name="disk", verdict="unknown", text=f"Free disk unknown: {where} cannot be seen from here")
    free = f"{host.free_bytes / 1e9:.1f} GB free in {host.root_dir}"
    if wanted is None:
        return Check(name="disk", verdict="unknown", text=f"{free}; how much the image needs is unknown")
    if host.free_bytes < wanted * ROOM_FACTOR:
        text = f"{free}; an image like the one that runs needs up to {wanted / 1e9:.2f} GB"
        return Check(
            name="disk", verdict="warn", text=text
        )  # it may share most of it; a pull that fails changes nothing
    return Check(name="disk", verdict="ok", text=free)


def reach_check(container: Container, probe: Probe | None, address: str) -> Check:
    """Whether the supervisor can ask Dockrev how it is: if not, a good version would be taken for a broken one."""
    if probe is None:
        return Check(name="reach", verdict="unknown", text="Whether Dockrev can be reached is unknown: it is stopped")
    if probe.good:
        return Check(name="reach", verdict="ok", text=f"Dockrev answers at {address}")
    if container.health == "healthy":
        return Check(
            name="reach",
            verdict="bad",
            text=f"Dockrev is well but does not answer the supervisor at {address}: {probe.why or probe.status}. "
            "Put both into one network, or every version would be taken for broken.",
        )
    return Check(
        name="reach", verdict="warn", text=f"Dockrev does not answer at {address}: {probe.why or probe.status}"
    )


def digest_check(ref: str, digest: str | None, image: Image, previous: Image | None) -> Check:
    """What was pulled."""
    version = f" {image.version}" if image.version else ""
    same = ", the same image that runs" if previous is not None and previous.id == image.id else ""
    if digest is None:
        return Check(name="target", verdict="unknown", text=f"{ref}{version}; its digest is unknown{same}")
    return Check(name="target", verdict="ok", text=f"{ref}{version} is {digest}{same}")


def platform_check(image: Image, host: Host) -> Check:
    """Whether the image can run here."""
    if not image.platform or not host.platform:
        return Check(name="platform", verdict="unknown", text="The platform of the image is unknown")
    if image.platform.split("/")[:2] != host.platform.split("/")[:2]:
        text = f"The image is for {image.platform}, this host is {host.platform}"
        return Check(name="platform", verdict="bad", text=text)
    return Check(name="platform", verdict="ok", text=f"{image.platform} is what this host is")


def schema_check(previous: str | None, target: str | None, database: Check) -> Check:
    """Whether a way back exists once the target has had the database. `database` tells whether it can be copied."""
    if previous is not None and previous == target:
        return Check(name="schema", verdict="ok", text=f"Both versions use schema {target}: a rollback keeps all data")
    older = _is_older(target, previous)
    if older:
        return Check(
            name="schema",
            verdict="bad",
            text=f"The target knows schema {target}, the database has {previous}: it would not start. Choose a newer "
            "version; to go back on purpose, restore the copy made before the upgrade (docs/self-upgrade.md).",
        )
    named = f"Schema {previous or 'unknown'} to {target or 'unknown'}"
    if database.verdict == "ok":
        text = f"{named}: the database is copied before, a rollback restores it"
        return Check(name="schema", verdict="ok" if previous and target else "unknown", text=text)
    if previous and target:
        return Check(name="schema", verdict="bad", text=f"{named}, and the database cannot be copied: no way back")
    return Check(name="schema", verdict="unknown", text=f"{named}: whether a rollback would start is unknown")


def _is_older(target: str | None, previous: str | None) -> bool:
    """Revisions are counted up; others cannot be compared."""
    return bool(target and previous and target.isdigit() and previous.isdigit() and int(target) < int(previous))


def database_check(path: str, size: int | None, mounts: Sequence[str], why: str = "") -> Check:
    """Whether the database is there, survives a replacement, and can be copied."""
    if size is None:
        return Check(name="database", verdict="unknown", text=f"No database at {path}: {why or 'no such file'}")
    if not any(path == mount or path.startswith(mount.rstrip("/") + "/") for mount in mounts):
        return Check(
            name="database",
            verdict="bad",
            text=f"The database {path} lies inside the container, not on a volume: replacing it would lose all. "
            "Mount a volume there and copy the database into it first.",
        )
    return Check(name="database", verdict="ok", text=f"The database {path} can be copied, {size / 1e6:.1f} MB")


def require_passed(checks: Sequence[Check]) -> None:
    """Raises Conflict with all that forbids to go on."""
    if bad := [check.text for check in checks if check.verdict == "bad"]:
        raise Conflict(f"the preflight forbids it: {'; '.join(bad)}")
