"""A migrated database in a file of its own, and a clock that is moved by hand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    await upgrade(database)
    yield database
    await database.close()
