"""What jobs have written down and their pages show, told in the reader's language."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_
from app.core.web.retelling import Retelling

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
    N_("%(name)s, which lives in its container: %(why)s"),
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
        "%(name)s uses the network, processes or memory of %(service)s and is not part of a stack Dockrev knows: "
        "recreate it after the update, or it does not work"
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
told: Final = Retelling(SENTENCES, FORMS)
