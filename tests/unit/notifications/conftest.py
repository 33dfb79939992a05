"""The room for tests that need more than rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.unit.notifications.ends import HttpEnd
from tests.unit.notifications.house import House, open_house, shut


@pytest.fixture
def end() -> Iterator[HttpEnd]:
    """The other end of every channel but mail."""
    with HttpEnd() as made:
        yield made


@pytest.fixture
async def house(tmp_path: Path, end: HttpEnd) -> AsyncIterator[House]:
    """A notifications room on a fresh database."""
    made = await open_house(tmp_path, end)
    yield made
    await shut(made)
