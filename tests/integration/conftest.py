"""Everything that keeps rows runs twice: on SQLite and on PostgreSQL. A migrated database, a clock moved by hand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import making, postgres
from tests.making import HandClock

from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import upgrade

#: Folders of tests whose rows may be in either.
ON_BOTH = {
    "dispatch",
    "issues",
    "letters",
    "messaging",
    "privacy",
    "returns",
    "subscribers",
    "tracking",
    "web",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        both = Path(metafunc.module.__file__ or "").parent.name in ON_BOTH
        metafunc.parametrize(
            "backend", list(Backend) if both else [Backend.SQLITE], indirect=True, scope="function"
        )


@pytest.fixture(autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Which database this run of the test has."""
    backend: Backend = request.param
    if backend is Backend.POSTGRESQL:
        monkeypatch.setattr(making, "database_url", lambda folder: postgres.database_url(str(folder)))
    return backend


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def database(tmp_path: Path, backend: Backend) -> AsyncIterator[Database]:
    database = Database(making.database_url(tmp_path))
    if backend is Backend.SQLITE:
        await upgrade(database)
    yield database
    await database.close()
