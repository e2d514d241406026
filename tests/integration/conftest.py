"""Everything that keeps rows runs twice: on SQLite and on PostgreSQL. A migrated database, a clock moved by hand.

Pages and the API run on PostgreSQL, which refuses more, and by browsers and commands (tests/browser, tests/acceptance)
on SQLite; on both here with BDNEWS_TEST_FULL.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests import making, postgres
from tests.making import HandClock

from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import upgrade

#: Folders of tests whose rows may be in either.
ON_BOTH = {
    "accounts",
    "dispatch",
    "issues",
    "letters",
    "messaging",
    "official_account",
    "privacy",
    "reports",
    "webhooks",
    "returns",
    "subscribers",
    "tracking",
    "watched_feeds",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        folder = Path(metafunc.module.__file__ or "").parent
        room = (*folder.relative_to(Path(__file__).parent).parts, "")[0]
        found = list(Backend) if room in ON_BOTH or room == "web" else [Backend.SQLITE]
        only = metafunc.definition.get_closest_marker("database")
        if not os.environ.get("BDNEWS_TEST_FULL"):
            if only is not None:
                found = [Backend(only.args[0])]
            elif room == "web":
                found = [Backend.POSTGRESQL]
        metafunc.parametrize("backend", found, indirect=True, scope="function")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: a copy takes a hundredth of the migrations' time."""
    folder = tmp_path_factory.mktemp("template")

    async def migrate() -> None:
        database = Database(making.database_url(folder))
        await upgrade(database)
        await database.close()

    asyncio.run(migrate())
    return folder / making.DATABASE_FILE


@pytest.fixture(autouse=True)
def backend(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> Iterator[Backend]:
    """Which database this run of the test has; a folder's database is migrated when its address is asked for."""
    backend: Backend = request.param
    plain = making.database_url

    def copied(folder: Path) -> str:
        if not (folder / making.DATABASE_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sqlite_template, folder / making.DATABASE_FILE)
        return plain(folder)

    made: set[str] = set()

    def made_there(folder: Path) -> str:
        made.add(str(folder))
        return postgres.database_url(str(folder))

    monkeypatch.setattr(making, "database_url", copied if backend is Backend.SQLITE else made_there)
    yield backend
    for name in made:
        postgres.drop(name)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def database(tmp_path: Path, backend: Backend) -> AsyncIterator[Database]:
    database = Database(making.database_url(tmp_path))
    yield database
    await database.close()
