"""In which order the services of a project are touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


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
