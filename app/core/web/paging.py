"""Cursors of lists ordered newest first (spec §5.4)."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import ClassVar

from app.core.clock import rfc3339
from app.core.errors import DockrevError, InvalidArgument


class InvalidCursor(DockrevError):
    """The cursor was not made by Dockrev."""

    code: ClassVar[str] = "invalid_jobs_cursor"
    status: ClassVar[int] = 400


def encode_cursor(created_at: datetime, row_id: str) -> str:
    """base64url without padding of `{"createdAt","id"}`."""
    raw = json.dumps({"createdAt": rfc3339(created_at), "id": row_id}, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(text: str) -> tuple[datetime, str]:
    """Back again; raises InvalidCursor."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        document = json.loads(raw)
        moment = datetime.fromisoformat(document["createdAt"])
        if moment.tzinfo is None or not isinstance(document["id"], str):
            raise ValueError("incomplete")
        return moment.astimezone(UTC), document["id"]
    except (ValueError, KeyError, TypeError, binascii.Error, OverflowError) as error:
        raise InvalidCursor("the cursor is not valid", details={"field": "cursor"}) from error


def parse_number(name: str, text: str | None, *, default: int, low: int, high: int) -> int:
    """A whole number from a query; outside its bounds or not a number: InvalidArgument."""
    if text is None or text == "":
        return default
    try:
        number = int(text) if len(text) < 12 else high + 1
    except ValueError as error:
        raise InvalidArgument(f"{name} must be a number", details={"field": name}) from error
    if not low <= number <= high:
        raise InvalidArgument(f"{name} must be between {low} and {high}", details={"field": name})
    return number
