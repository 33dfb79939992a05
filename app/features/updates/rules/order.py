"""Who has to be recreated or restarted with a service."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence


def started_anew(
    replaced: Iterable[str], restarts_after: Mapping[str, Sequence[str]], *, ahead: Collection[str] = ()
) -> list[str]:
    """Services that are restarted because what they depend on (with `restart: true`) was replaced or restarted.

    Those `ahead` are replaced themselves later on: they, and what is reached only through them, are left out.
    """
    seeds = set(replaced)
    found: dict[str, None] = {}
    reached = list(seeds)
    while reached:
        below = reached.pop()
        for name in sorted(restarts_after):
            if below in restarts_after[name] and name not in seeds and name not in found and name not in ahead:
                found[name] = None
                reached.append(name)
    return sorted(found)


def lives_in(mode: str, container_id: str, name: str) -> bool:
    """Whether `mode` (network, pid or ipc, as the engine tells it) means those of this container, by id or by name."""
    kind, _, host = mode.partition(":")
    if kind != "container" or not host:
        return False
    return host == name.removeprefix("/") or (len(host) >= 12 and container_id.startswith(host))
