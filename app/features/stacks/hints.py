"""What to do about a project that cannot be taken in. Kept in English as discovery found it; a page tells it again."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_
from app.core.web.retelling import Retelling

MISSING: Final = N_(
    "The project's containers do not say which Compose files made them. Recreate them with a current "
    "docker compose up -d."
)
EMPTY: Final = N_(
    "The label with the Compose files is empty, or names only files Dockrev made itself. Recreate the project with "
    "docker compose -f /path/to/compose.yml up -d."
)
TOO_LONG: Final = N_("More than %(files)s Compose files, or a path longer than %(characters)s characters.")
RELATIVE: Final = N_(
    "The project was started with a relative file name, so Dockrev cannot know which file is meant. Recreate it with "
    "docker compose -f and the absolute path."
)
CONFLICT: Final = N_(
    "Containers of this project were made with different lists of Compose files. Recreate the whole project with one "
    "list: docker compose -f … up -d --force-recreate."
)
CONFLICT_UNREADABLE: Final = N_(
    "%(path)s cannot be read from here. Containers of this project were made with different lists of Compose files. "
    "Recreate the whole project with one list: docker compose -f … up -d --force-recreate."
)
NO_SERVICES: Final = N_(
    "No service of this project names an image. Services that are only built are not followed by Dockrev."
)
BAD_NAME: Final = N_(
    "The label com.docker.compose.project is no name Compose would give: letters, digits, '-', '_' and '.', not "
    "beginning with '-'. Recreate the containers with a proper project name."
)
UNREADABLE: Final = N_(
    "Does the file still exist? When Dockrev runs in a container, mount the folder of the Compose files into it "
    "read-only at the same absolute path as on the host."
)
INVALID: Final = N_("Correct the file; docker compose config shows the same error.")
INVALID_BECAUSE: Final = N_("%(why)s. Correct the file; docker compose config shows the same error.")
UNRESOLVED: Final = N_(
    "The plain files were read instead. Until docker compose config works, updates of this project fail: check "
    "variables without a value and the files it includes. When Dockrev runs in a container, mount the folder of the "
    "Compose files into it read-only at the same absolute path as on the host."
)
UNRESOLVED_BECAUSE: Final = N_(
    "The plain files were read instead (%(why)s). Until docker compose config works, updates of this project fail: "
    "check variables without a value and the files it includes. When Dockrev runs in a container, mount the folder of "
    "the Compose files into it read-only at the same absolute path as on the host."
)
_ALL: Final = (
    MISSING, EMPTY, TOO_LONG, RELATIVE, CONFLICT, CONFLICT_UNREADABLE, NO_SERVICES, BAD_NAME, UNREADABLE, INVALID,
    INVALID_BECAUSE, UNRESOLVED, UNRESOLVED_BECAUSE,
)  # fmt: skip


_told = Retelling((), _ALL)


def english(text: N_, **values: object) -> str:
    """The text as it is kept."""
    return text.message % values


def hint_text(hint: str) -> str:
    """A kept hint for the reader of a page."""
    return _told(hint)
