"""What keeps a project from being taken in, in words for people; the API and the log tell the codes (spec §7.1)."""

from __future__ import annotations

from typing import Final

WORDS: Final = {
    "config_files_missing": "Its containers do not say which Compose files made them",
    "config_files_empty": "The list of its Compose files is empty",
    "config_files_invalid": "The list of its Compose files is too long",
    "config_files_relative_path_rejected": "It was started with a relative file name",
    "config_files_conflict": "Its containers were made with different lists of Compose files",
    "compose_no_services": "None of its services names an image",
    "compose_file_unreadable": "A Compose file cannot be read",
    "compose_file_invalid": "A Compose file is not valid",
    "compose_config_unresolved": "docker compose config fails",
    "project_name_invalid": "Its project name is not valid",
}


def problem_text(reason: str, *, brief: bool = False) -> str:
    """A reason such as `compose_file_invalid: /srv/a.yml` in words, `brief` without the path; else as it is."""
    code, _, where = reason.partition(": ")
    words = WORDS.get(code)
    if words is None:
        return reason
    return f"{words}: {where}" if where and not brief else words
