"""What a check concludes for one service: the current digest and the candidate (spec §7.5, steps 3 to 5). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.features.versions.rules.platforms import ArchMatch, arch_match


@dataclass(frozen=True, slots=True)
class RegistrySeen:
    """What the registry serves for the configured tag now."""

    digest: str
    index_digest: str | None = None
    platform_digest: str | None = None
    arch: tuple[str, ...] = ()

    def is_running_as(self, runtime: str) -> bool:
        """A running image may be known by the index digest or by the platform's (spec §7.4)."""
        return runtime.lower() in (self.digest, self.index_digest, self.platform_digest)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another image under the same tag. It never crosses tags."""

    tag: str
    digest: str
    arch: tuple[str, ...] = ()
    arch_match: ArchMatch = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new evidence. `fresh`: both sides were seen, so the time of the check moves and older errors are over."""

    current_digest: str | None
    candidate: Candidate | None
    fresh: bool
    current_changed: bool
    candidate_changed: bool


def decide(
    tag: str,
    *,
    runtime: str | None,
    registry: RegistrySeen | None,
    host_platform: str,
    previous_digest: str | None = None,
    previous: Candidate | None = None,
    pinned: bool = False,
) -> Outcome:
    """Conclude from what was seen; None stands for what could not be seen.

    | runtime | registry         | current                        | candidate              | fresh |
    |---------|------------------|--------------------------------|------------------------|-------|
    | known   | the same image   | runtime                        | none                   | yes   |
    | known   | another image    | runtime                        | the registry's digest  | yes   |
    | known   | unreachable      | runtime                        | as before              | no    |
    | unknown | reachable        | as before, else the registry's | as before              | no    |
    | unknown | unreachable      | as before                      | as before              | no    |

    A reference pinned to a digest never has a candidate and needs no registry. A previous candidate that runs by now
    is none any more.
    """
    current = runtime or previous_digest or (registry.digest if registry else None)
    if pinned:
        candidate, fresh = None, runtime is not None
    elif runtime and registry:
        candidate, fresh = None, True
        if not registry.is_running_as(runtime):
            candidate = Candidate(tag, registry.digest, registry.arch, arch_match(registry.arch, host_platform))
    else:
        candidate, fresh = previous, False
        if runtime and previous and previous.digest == runtime.lower():
            candidate = None
    return Outcome(
        current,
        candidate,
        fresh,
        current_changed=current != previous_digest,
        candidate_changed=(candidate.digest if candidate else None) != (previous.digest if previous else None),
    )
