"""In which order services are recreated, and who has to be recreated with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence


def dependencies_first(names: Iterable[str], depends_on: Mapping[str, Sequence[str]]) -> list[str]:
    """The names so that a service comes after what it depends on, also through services that are not in `names`.

    Otherwise the given order is kept. A cycle, which Compose itself refuses, is cut where it is met.
    """
    wanted = list(dict.fromkeys(names))
    ordered: dict[str, None] = {}
    seen: set[str] = set()
    for start in wanted:
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, expanded = stack.pop()
            if expanded:
                ordered[name] = None
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((below, False) for below in reversed(depends_on.get(name, ())) if below not in seen)
    chosen = set(wanted)
    return [name for name in ordered if name in chosen]


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


def lives_in(network_mode: str, container_id: str, name: str) -> bool:
    """Whether `network_mode` (as the engine tells it) means the network of this container, by id or by name."""
    kind, _, host = network_mode.partition(":")
    if kind != "container" or not host:
        return False
    return host == name.removeprefix("/") or (len(host) >= 12 and container_id.startswith(host))
