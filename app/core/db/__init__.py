"""The database: one SQLite file in WAL mode, reached through `Database`."""

from app.core.db.database import Database, StorageError
from app.core.db.types import EnumText, JsonText, UtcDateTime

__all__ = ["Database", "EnumText", "JsonText", "StorageError", "UtcDateTime"]
