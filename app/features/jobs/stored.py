"""What jobs have written down, told in the reader's language.

Jobs store English sentences (docs/languages.md), for whoever reads them later may speak anything. Those that a page
shows are listed here and found again by their form; what is in a hole (a name, another sentence) is told in its turn.
A text that is not listed stays as it is: commands, what the engine or Compose said.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from app.core.web.languages import N_, _, spoken

_HOLE: Final = re.compile(r"%\((\w+)\)s")
SENTENCES: Final = (
    # notes of steps
    N_("nothing to back up"),
    N_("every target is left out"),
    N_("switched off in the settings"),
    N_("not in a dry run"),
    N_("nothing to update"),
    N_("dry run: nothing is done"),
    N_("stopped before anything was changed"),
    N_("not attempted any more"),
    N_("bringing the previous image back"),
    N_("the previous image runs again"),
    N_("nothing was changed; the old container kept running"),
    N_("nothing was changed"),
    N_("found after a restart"),
    N_("what depends on it was looked after"),
    N_("the previous image was still running"),
    N_("the update was finished after the restart"),
    # what became of a container
    N_("the container is gone"),
    N_("a container runs another image than the one that was asked for"),
    N_("the container was replaced by somebody else while it was watched"),
    N_("the container was killed because it ran out of memory"),
    N_("the container was restarted while it was watched"),
    N_("the health check failed"),
    N_("the previous image is no longer on this host"),
    N_("the update was interrupted half way"),
    N_("container not running"),
    N_("running"),
    N_("healthy"),
    # progress
    N_("preparing"),
    N_("reading the new state"),
    N_("reading services and what runs"),
    N_("reading what runs"),
    N_("asking registries"),
    N_("checking what drifted"),
    N_("runtime scan finished"),
    N_("reading containers"),
    N_("restored"),
    N_("done"),
    # ends
    N_("the job was cancelled"),
    N_("It is tried again when the engine answers."),
    N_("Put it back into the files, or remove its container, and scan."),
    N_("The new container was left as it is: automatic rollback is switched off for this service."),
)
"""Whole texts, as they are stored."""
FORMS: Final = (
    N_("kept as %(name)s"),
    N_("waiting for the engine: %(why)s"),
    N_("running undisturbed for %(span)s s"),
    N_("not healthy after %(span)s s"),
    N_("the container ended with exit code %(code)s"),
    N_("the container keeps restarting (exit code %(code)s)"),
    N_("%(name)s, which lives in its network: %(why)s"),
    N_("%(name)s, which is restarted with it: %(why)s"),
    N_("recreated with it: %(names)s; restarted after it: %(others)s"),
    N_("recreated with it: %(names)s"),
    N_("restarted after it: %(names)s"),
    N_("%(done)s of %(total)s updated"),
    N_("1 service would be updated"),
    N_("%(total)s services would be updated"),
    N_("looking after %(name)s"),
    N_("%(name)s is put right"),
    N_("restoring %(name)s"),
    N_("%(name)s: looking at what runs"),
    N_("%(name)s: pulling the image"),
    N_("%(name)s: image pulled"),
    N_("%(name)s: recreating the container"),
    N_("%(name)s: waiting until it works"),
    N_("%(name)s: naming the image"),
    N_("%(name)s: pulling extra tags"),
    N_("%(name)s: extra tags pulled"),
    N_("%(name)s: backing up"),
    N_("%(what)s on GitHub"),
    N_("backup failed: %(why)s"),
    N_("the previous image could not be brought back: %(why)s"),
    N_("%(why)s; the previous image could not be brought back: %(then)s"),
    N_("%(why)s. The new container was left as it is: automatic rollback is switched off for this service."),
    N_("the engine is away: %(why)s"),
    N_("internal error (%(kind)s)"),
    N_("the archive cannot be read: %(why)s"),
    N_("the Compose files of %(stack)s have no service %(names)s any more"),
    N_("%(name)s was not pulled: %(why)s"),
    N_("%(name)s was left out: %(candidate)s is older than %(current)s"),
    N_("%(name)s could not be restarted: %(why)s"),
    N_(
        "%(name)s lives in the network of %(service)s and is not part of a stack Dockrev knows: recreate it after the "
        "update, or it has no network"
    ),
    N_(
        "%(name)s runs the new image, but %(ref)s means the previous one again, since %(service)s went back: the next "
        "docker compose up takes %(again)s back too"
    ),
)
"""Texts with names in them. The first that fits counts, so the longer of two goes first."""
FACTS: Final = {
    "servicesChecked": N_("Services checked"),
    "servicesWithCandidate": N_("Services with candidate"),
    "stacksScanned": N_("Stacks scanned"),
    "stacksWithErrors": N_("Stacks with errors"),
    "servicesWithRuntimeDigest": N_("Services with runtime digest"),
    "servicesDrifted": N_("Services drifted"),
    "servicesUpdated": N_("Services updated"),
    "changedServices": N_("Changed services"),
    "total": N_("Total"),
    "ok": N_("Ok"),
    "missing": N_("Missing"),
    "conflict": N_("Conflict"),
    "error": N_("Error"),
    "deleted": N_("Deleted"),
    "hardFailures": N_("Hard failures"),
    "created": N_("Created"),
    "updated": N_("Updated"),
    "noop": N_("Noop"),
    "skipped": N_("Skipped"),
}
"""The figures of a summary."""
_WHOLE: Final = frozenset(each.message for each in SENTENCES)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each form with what finds it; made when somebody reads another language than English."""
    made = []
    for form in FORMS:
        parts = _HOLE.split(form.message)  # text and names by turns
        source = "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
        made.append((form.message, re.compile(source, re.DOTALL)))
    return tuple(made)


def told(text: str, depth: int = 3) -> str:
    """`text` in the reader's language, as it is where nobody has listed it."""
    if spoken() == "en" or not text:
        return text
    if text in _WHOLE:
        return _(text)
    if depth and len(text) < 1000:
        for form, pattern in _patterns():
            if found := pattern.fullmatch(text):
                return _(form, **{name: told(value, depth - 1) for name, value in found.groupdict().items()})
    return text
