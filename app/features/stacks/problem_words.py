"""What keeps a project from being taken in, in words for people; the API and the log tell the codes (spec §7.1)."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_, _, told

WORDS: Final = {
    "config_files_missing": N_("Its containers do not say which Compose files made them"),
    "config_files_empty": N_("The list of its Compose files is empty"),
    "config_files_invalid": N_("The list of its Compose files is too long"),
    "config_files_relative_path_rejected": N_("It was started with a relative file name"),
    "config_files_conflict": N_("Its containers were made with different lists of Compose files"),
    "compose_no_services": N_("None of its services names an image"),
    "compose_file_unreadable": N_("A Compose file cannot be read"),
    "compose_file_invalid": N_("A Compose file is not valid"),
    "compose_config_unresolved": N_("docker compose config fails"),
    "project_name_invalid": N_("Its project name is not valid"),
}


def problem_text(reason: str, *, brief: bool = False) -> str:
    """A reason such as `compose_file_invalid: /srv/a.yml` in words, `brief` without the path; else as it is."""
    code, __, where = reason.partition(": ")
    words = WORDS.get(code)
    if words is None:
        return told(reason)
    if brief or not where:
        return str(words)
    path, bracket, why = where.removesuffix(")").partition(" (")  # as compose_file_unreadable tells it
    return _("%(problem)s: %(where)s", problem=words, where=f"{path} ({told(why)})" if bracket else told(where))
