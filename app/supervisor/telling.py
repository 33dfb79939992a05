"""What the book holds in English, and what errors say, told in the reader's language on the page (docs/languages.md).

Sentences are found again by their form, and what stands in their holes is told in its turn. A text that is in no list
(what a registry or Compose said) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from app.core.web.languages import N_, _, spoken
from app.core.web.wording import Form

SENTENCES: Final = (
    # steps
    N_("looking for Dockrev's container"),
    N_("stopping Dockrev to copy its database"),
    N_("stopping Dockrev to look at its database"),
    N_("waiting for Dockrev to answer"),
    N_("going back by hand"),
    N_("dry-run completed"),
    N_("supervisor restarted; previous operation interrupted"),
    # why Dockrev does not answer
    N_("nothing answered"),
    N_("it has no container"),
    N_("its container has no address in a network"),
    # preflight
    N_("Whether Dockrev can be reached is unknown: it is stopped"),
    N_("The platform of the image is unknown"),
    N_("Free disk unknown: the engine's folder cannot be seen from here"),
    N_(
        "Compose files that cannot be read here: none is known. Mount their folder read-only at the same absolute "
        "path, or set DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES."
    ),
    # forms that were refused
    N_("target.tag is required"),
    N_("target.tag must be a tag, like latest or 0.2.0"),
    N_("target.digest must be sha256: and 64 small hexadecimal digits"),
    N_("mode must be apply|dry-run"),
    N_("opId is required"),
    N_("opId not found"),
    N_("an operation is running"),
    N_("no rollback target available"),
    N_("no rollback target available: a dry run changes nothing"),
    N_("another upgrade of Dockrev is running"),
    N_("Wait for its end; the supervisor's page shows it."),
    N_("this needs a touch of a passkey"),
    N_(
        "Touch one now and send this again within 5 minutes. Dockrev must be up for it; when it is not, a shell on the "
        "host can do what this page shows under By hand."
    ),
    N_("Let DOCKREV_SUPERVISOR_STATE_PATH lie in a folder the supervisor may write to, on a disk with space."),
    # requests that were
    N_("this request came from another site"),
    N_("Open Dockrev itself and repeat the action there."),
    N_("the form's token is missing or old"),
    N_("Reload the page and send the form again."),
    N_("the form cannot be read"),
    N_("the request cannot be read"),
    N_("the request body is too large"),
    N_("there is nothing at this address"),
    N_("language is not one of those there are"),
    N_("internal error"),
    # the engine and Compose
    N_("registry rate limited"),
    N_("no reason given"),
    N_("it said nothing"),
    N_("its host name cannot be resolved"),
    N_("no answer in time"),
    N_("the TLS handshake failed"),
    N_("the connection was lost"),
    N_("permission denied"),
    N_("no such file or directory"),
    N_("connection refused"),
    # the operating system
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("No route to host"),
    N_("timed out"),
    N_("Permission denied"),
    N_("Read-only file system"),
    N_("No space left on device"),
    N_("No such file or directory"),
    # what stands in holes
    N_("unknown"),
    N_("no such file"),
    N_("no address"),
    N_("no digest: the image was built here or loaded"),
)
"""Whole texts."""
FORMS: Final = (
    # steps
    N_("pulling %(ref)s, %(percent)s%%"),
    N_("pulling %(ref)s"),
    N_("replacing %(name)s"),
    N_("waiting for Dockrev, %(waited)s of %(most)s s: %(why)s"),
    N_("going back to %(ref)s"),
    N_("back on %(ref)s"),
    N_("Dockrev runs %(version)s"),
    # preflight
    N_("%(name)s is stopped (status %(code)s) on %(image)s, %(digest)s"),
    N_("%(name)s runs on %(image)s, %(digest)s"),
    N_(
        "Compose files that cannot be read here: %(files)s. Mount their folder read-only at the same absolute path, or "
        "set DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES."
    ),
    N_("Compose files as set: %(files)s (%(gone)s cannot be read)"),
    N_("Compose files as set: %(files)s"),
    N_("Compose files readable: %(files)s"),
    N_("Free disk unknown: %(folder)s cannot be seen from here"),
    N_("%(gb_free)s GB free in %(folder)s; how much the image needs is unknown"),
    N_("%(gb_free)s GB free in %(folder)s; an image like the one that runs needs up to %(gb_wanted)s GB"),
    N_("%(gb_free)s GB free in %(folder)s"),
    N_("Dockrev answers at %(address)s"),
    N_(
        "Dockrev is well but does not answer the supervisor at %(address)s: %(why)s. Put both into one network, or "
        "every version would be taken for broken."
    ),
    N_("Dockrev does not answer at %(address)s: %(why)s"),
    N_("The image is for %(platform)s, this host is %(host)s"),
    N_("%(platform)s is what this host is"),
    N_("Both versions use schema %(schema)s: a rollback keeps all data"),
    N_(
        "The target knows schema %(target)s, the database has %(previous)s: it would not start. Choose a newer "
        "version; to go back on purpose, restore the copy made before the upgrade (docs/self-upgrade.md)."
    ),
    N_("Schema %(previous)s to %(target)s: the database is copied before, a rollback restores it"),
    N_("Schema %(previous)s to %(target)s, and the database cannot be copied: no way back"),
    N_("Schema %(previous)s to %(target)s: whether a rollback would start is unknown"),
    N_("No database at %(path)s: %(why)s"),
    N_(
        "The database %(path)s lies inside the container, not on a volume: replacing it would lose all. Mount a volume "
        "there and copy the database into it first."
    ),
    N_("The database %(path)s can be copied, %(mb_size)s MB"),
    N_("%(ref)s; its digest is unknown, the same image that runs"),
    N_("%(ref)s; its digest is unknown"),
    N_("%(ref)s is sha256:%(digest)s, the same image that runs"),
    N_("%(ref)s is sha256:%(digest)s"),
    # why it failed
    N_("the preflight forbids it: %(findings)s"),
    N_("rollback failed: %(why)s"),
    N_("internal error (%(kind)s)"),
    N_("not healthy after %(span)s s: %(why)s"),
    N_("it does not stay up: %(why)s"),
    N_("it ended %(count)s times, %(why)s"),
    N_("it ended %(count)s times"),
    N_("it answered with status %(code)s"),
    N_("its container ended with status %(code)s"),
    N_("no answer within %(span)s ms"),
    N_("there is no container of the service %(service)s in the Compose project %(project)s"),
    N_("there is no container %(name)s"),
    N_("no container in the Compose project %(project)s uses an image of %(repository)s"),
    N_("no container of a service %(service)s uses an image of %(repository)s"),
    N_("no container uses an image of %(repository)s"),
    N_("%(count)s containers may be Dockrev: %(names)s"),
    N_("%(name)s runs %(count)s times; Dockrev must run once"),
    N_("the container %(name)s was not made by Docker Compose"),
    N_("the container %(name)s is the supervisor itself"),
    N_("the engine says it pulled %(ref)s and has no such image"),
    N_("the database %(path)s is not in the container any more"),
    N_("the database cannot be copied to %(path)s: %(why)s"),
    N_("%(name)s is no plain file in the container"),
    N_(
        "the database has schema %(now)s, before it was %(before)s, and the copy %(path)s is gone: the previous "
        "version would refuse it"
    ),
    N_("the override %(path)s cannot be written: %(why)s"),
    N_("the state %(path)s cannot be written: %(why)s"),
    N_("reading %(path)s took longer than %(span)s s"),
    N_("%(method)s is not allowed here"),
    # the engine and Compose
    N_("Pulling %(ref)s failed: %(why)s"),
    N_("it took longer than %(span)s s"),
    N_("The Docker engine at %(endpoint)s cannot be reached: %(why)s"),
    N_("The Docker engine refused (%(status)s): %(why)s"),
    N_("The engine has no container %(name)s"),
    N_("The engine has no image %(name)s"),
    N_("Compose v2 cannot be run as %(program)s: %(why)s"),
    N_("docker compose %(action)s ended with status %(code)s: %(why)s"),
    N_("docker compose %(action)s took longer than %(span)s s and was ended"),
    N_("%(path)s cannot be read: %(why)s"),
)
"""Texts with values in them. The first that fits counts, so the longer of two goes first."""
SEVERAL: Final = "findings"
"""A hole with several texts in it."""
NUMBERS: Final = ("gb_", "mb_")
"""How holes begin that hold a number with a point."""
_LONGEST: Final = 2_000
_DEPTH: Final = 5
_MOST: Final = 16


def told(text: str, depth: int = _DEPTH) -> str:
    """`text` in the reader's language, or as it is."""
    if spoken() == "en" or not text or not depth or len(text) > _LONGEST:
        return text
    if text in _whole():
        return _(text)
    for form, parts in _forms():
        if (values := parts.values(text)) is not None:
            return _(form, **{name: _in_hole(name, value, depth - 1) for name, value in values.items()})
    return text


@cache
def _whole() -> frozenset[str]:
    return frozenset(each.message for each in SENTENCES)


@cache
def _forms() -> tuple[tuple[str, Form], ...]:
    """Made when somebody reads another language than English."""
    return tuple((each.message, Form(each.message)) for each in FORMS)


def _in_hole(name: str, value: str, depth: int) -> str:
    if name.startswith(NUMBERS):
        return value.replace(".", ",") if spoken() == "de" else value
    if name == SEVERAL:
        return "; ".join(_each(value, depth))
    return told(value, depth)


def _each(texts: str, depth: int) -> Iterator[str]:
    """The findings of a preflight one by one; some have a semicolon of their own, and more than a few there are not."""
    parts = texts.split("; ", _MOST)
    while parts:
        for count in range(1, min(len(parts), 3) + 1):
            text = "; ".join(parts[:count])
            if (found := told(text, depth)) != text:
                break
        else:
            count, found = 1, parts[0]
        yield found
        del parts[:count]
