"""The database: no update is lost, times stay aware, the migrations give the models' schema."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import current_revision, newest_revision, upgrade
from bdnews_dispatch.db.types import metadata
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.subscribers.models import ListMembership, MailingList
from bdnews_dispatch.web.group_commit import GroupCommit

NOW = dt.datetime(2026, 11, 23, 9, tzinfo=dt.timezone(dt.timedelta(hours=8)))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/deep/er/test.db")
    await upgrade(database)
    yield database
    await database.close()


async def test_migrations_give_the_models_schema(database: Database) -> None:
    assert await current_revision(database) == newest_revision()
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    assert differences == []


async def test_two_that_start_together_migrate_once(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path}/same.db") for _ in range(4)]
    await asyncio.gather(*(upgrade(database) for database in databases))
    assert {await current_revision(database) for database in databases} == {newest_revision()}
    await asyncio.gather(*(database.close() for database in databases))


async def test_a_hundred_concurrent_read_and_write_lose_nothing(database: Database) -> None:
    async with database.write() as session:
        session.add(MailingList(name="0", created_at=NOW))

    async def add_one() -> None:
        async with database.write() as session:
            row = (await session.exec(select(MailingList))).one()
            row.name = str(int(row.name) + 1)

    await asyncio.gather(*(add_one() for _ in range(100)))
    async with database.read() as session:
        assert (await session.exec(select(MailingList))).one().name == "100"


async def test_times_come_back_aware_and_naive_ones_are_refused(database: Database) -> None:
    async with database.write() as session:
        session.add(MailingList(name="a", created_at=NOW))
    async with database.read() as session:
        row = (await session.exec(select(MailingList))).one()
        assert row.created_at == NOW
        assert row.created_at.tzinfo is dt.UTC
    with pytest.raises(StatementError, match="naive"):
        async with database.write() as session:
            session.add(MailingList(name="b", created_at=NOW.replace(tzinfo=None)))


async def test_foreign_keys_are_held_and_enums_are_stored_by_value(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add(ListMembership(list_id=404, subscriber_id=404, joined_at=NOW))
    async with database.write() as session:
        session.add(
            Dispatch(cause="c", kind=DispatchKind.PERIOD, publication="dsj", due_at=NOW, created_at=NOW)
        )
    async with database.read() as session:
        assert (await session.execute(text("SELECT kind, state FROM dispatch"))).one() == (
            "period",
            "scheduled",
        )


async def test_what_is_committed_is_on_the_disk(database: Database) -> None:
    async with database.read() as session:
        pragmas = [
            (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 1]


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_a_database_that_can_not_be_used_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"database\.url"):
        Database(url)


async def test_group_commits_answer_each_and_hold_together(database: Database) -> None:
    groups: list[int] = []

    async def apply(session: AsyncSession, requests: Sequence[str]) -> list[str]:
        groups.append(len(requests))
        if "bad" in requests:
            raise ValueError("bad")
        await session.execute(
            insert(Event), [{"name": "x", "key": key, "payload": {}, "created_at": NOW} for key in requests]
        )
        return [key.upper() for key in requests]

    async with GroupCommit[AsyncSession, str, str](database.write, apply) as commits:
        answers = await asyncio.gather(*(commits.submit(f"k{n}") for n in range(50)))
        assert answers == [f"K{n}" for n in range(50)]
        with pytest.raises(ValueError, match="bad"):
            await commits.submit("bad")
        assert await commits.submit("after") == "AFTER"
    assert len(groups) < 20, "requests that come together share a commit"
    async with database.read() as session:
        assert len((await session.exec(select(Event))).all()) == 51
