"""What serve, migrate and the one-time runs have in common: settings and database, with clear words when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from app.core.db.migrate import Migrated
    from app.settings import Settings


def load() -> Settings:
    """Settings from the environment. Raises Failure (exit code 2) naming each bad variable."""
    from app.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise bad_settings(error) from error


def bad_settings(error: Exception) -> Failure:
    """Wrong settings as the end of a command."""
    return Failure(
        f"these settings are wrong:\n  {str(error).replace(chr(10), chr(10) + '  ')}",
        exit_code=Exit.USAGE,
        hint="docs/configuration.md says what each may be.",
        code="invalid_settings",
    )


def prepare_database(settings: Settings) -> Migrated:
    """Create or migrate the database. Raises Failure (exit code 3).

    The rooms must have been imported: a fresh database is made from their models.
    """
    from app.core.db.migrate import SchemaError, prepare
    from app.settings import project_root

    try:
        return prepare(settings.db_path, project_root() / "migrations", settings.effective_version)
    except SchemaError as error:
        raise bad_schema(error) from error


def bad_schema(error: Exception) -> Failure:
    """A database that cannot be used as the end of a command."""
    return Failure(str(error), exit_code=Exit.UNREACHABLE, hint=getattr(error, "hint", ""), code="database")
