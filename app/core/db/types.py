"""Column types SQLite does not have: aware datetimes, enums, JSON documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from app.core.clock import rfc3339

E = TypeVar("E", bound=StrEnum)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes kept as fixed-width RFC 3339 text, so that ORDER BY is time order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Refuse naive values: they have no place on a time line."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime given to a UTC column")
        return rfc3339(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Back to an aware datetime."""
        return _moment


class EnumText(TypeDecorator[E]):
    """A StrEnum kept as its value; comes back as the enum, not as bare text."""

    impl = Text
    cache_ok = True

    def __init__(self, enum: type[E]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: E | str | None, dialect: Dialect) -> str | None:
        """Unknown values are a programming error and raise ValueError."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """Back to the enum member."""
        return None if value is None else self.enum(value)


class JsonText(TypeDecorator[Any]):
    """A JSON document kept as compact text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """None stays NULL."""
        return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Back to Python values."""
        return _document


# Result processors are given as they stand: the wrapper SQLAlchemy makes around `process_result_value` costs more than
# what is done here, and a list of 500 services has 5,000 such values.


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _document(text: str | None) -> Any:
    """The empty ones, which most are, without a parser."""
    if text is None:
        return None
    if text == "[]":
        return []
    return {} if text == "{}" else json.loads(text)
