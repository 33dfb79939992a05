"""The room for tests that need more than rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.versions.room import Room, build, close


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """A versions room on a fresh database, over a fake engine and registry."""
    made = await build(tmp_path)
    yield made
    await close(made)
