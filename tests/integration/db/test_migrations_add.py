"""Migrations add, and take away one release later: the release before must work on the schema of this one.

Each migration is run for real, and the schema behind it compared with the one before it. One that takes something away
says in its module which release was the first that did not use it any more: GONE_SINCE = {"table.column": "0.2.0"}.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, String, inspect
from tests import postgres
from tests.next_release import ADDS, revisions, upgrade, write_migration

from bdnews_dispatch import __version__
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import newest_revision


class Column(NamedTuple):
    """What code that writes and reads a column rests on."""

    kind: str
    length: int
    nullable: bool
    has_default: bool


class Table(NamedTuple):
    """What code that writes rows rests on; `rules`: what a row must keep to."""

    columns: Mapping[str, Column]
    rules: frozenset[str]


Schema = Mapping[str, Table]


def look(connection: Connection) -> Schema:
    seen = inspect(connection)
    return {
        table: Table(
            {found["name"]: _column(found) for found in seen.get_columns(table)}, _rules(seen, table)
        )
        for table in seen.get_table_names()
    }


def _column(found: Any) -> Column:
    length = (found["type"].length or 0) if isinstance(found["type"], String) else 0
    kind = type(found["type"]).__name__ if length else str(found["type"])
    return Column(kind, length, found["nullable"], found["default"] is not None)


def _rules(seen: Any, table: str) -> frozenset[str]:
    rules = {f"primary key {seen.get_pk_constraint(table)['constrained_columns']}"}
    rules |= {f"unique {found['column_names']}" for found in seen.get_unique_constraints(table)}
    rules |= {f"unique {index['column_names']}" for index in seen.get_indexes(table) if index["unique"]}
    rules |= {f"foreign key {key['constrained_columns']}" for key in seen.get_foreign_keys(table)}
    rules |= {f"check {check['sqltext']}" for check in seen.get_check_constraints(table)}
    return frozenset(rules)


def broken(before: Schema, after: Schema, gone_since: Mapping[str, str]) -> list[str]:
    """What the release before can no longer rely on, in words."""
    found = []

    def gone(name: str) -> None:
        since = gone_since.get(name)
        if since is None:
            found.append(f"{name} is gone, and no release is named that stopped using it")
        elif _number(since) >= _number(__version__):
            found.append(f"{name} is gone since {since}: {__version__} is too early to take it away")

    for name, table in before.items():
        if name not in after:
            gone(name)
            continue
        for column, old in table.columns.items():
            new = after[name].columns.get(column)
            if new is None:
                gone(f"{name}.{column}")
            elif new.kind != old.kind or new.length < old.length:
                found.append(f"{name}.{column} was {old.kind}({old.length}), is {new.kind}({new.length})")
            elif old.nullable and not new.nullable:
                found.append(f"{name}.{column} may no longer be NULL")
        for column in after[name].columns.keys() - table.columns.keys():
            new = after[name].columns[column]
            if not new.nullable and not new.has_default:
                found.append(f"{name}.{column} is new and must be filled")
        found += [f"{name} has a new rule: {rule}" for rule in sorted(after[name].rules - table.rules)]
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.fixture(params=list(Backend))
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    where = f"sqlite:///{tmp_path}/empty.db"
    if request.param is Backend.POSTGRESQL:
        where = postgres.empty_database_url()
    database = Database(where)
    yield database
    await database.close()


async def schema(database: Database) -> Schema:
    async with database.engine.connect() as connection:
        return await connection.run_sync(look)


async def broken_by_each(
    database: Database, more: Path | None = None, since: str = ""
) -> dict[str, list[str]]:
    """By revision. Args: more: a folder with migrations behind the newest. since: those before are not looked at."""
    said = {}
    if since:
        await upgrade(database, since, more)
    before = await schema(database)
    for revision, module in await revisions(database, more):
        if revision > since:
            await upgrade(database, revision, more)
            after = await schema(database)
            said[revision] = broken(before, after, getattr(module, "GONE_SINCE", {}))
            before = after
    return said


async def test_no_migration_takes_away_what_the_release_before_uses(empty: Database) -> None:
    said = await broken_by_each(empty)
    assert list(said)[-1] == newest_revision()
    assert {revision: words for revision, words in said.items() if words} == {}


TAKEN_AWAY = {
    'op.drop_table("attempt")': "attempt is gone",
    'op.rename_table("attempt", "trial")': "attempt is gone",
    'op.drop_column("delivery", "reason")': "delivery.reason is gone",
    'op.alter_column("delivery", "reason", new_column_name="cause")': "delivery.reason is gone",
    'op.alter_column("subscriber", "name", type_=sa.String(length=3), existing_type=sa.String(length=100))': (
        "subscriber.name was VARCHAR"
    ),
    'op.alter_column("delivery", "worker", nullable=False, existing_type=sa.String(length=64))': "may no longer be",
    'op.add_column("hit", sa.Column("n", sa.Integer(), nullable=False))': "hit.n is new and must be filled",
    'op.create_index("ix_of_the_next", "subscriber", ["name"], unique=True)': "subscriber has a new rule: unique",
}


@pytest.mark.parametrize("statement", TAKEN_AWAY)
async def test_one_that_does_would_be_found(tmp_path: Path, statement: str) -> None:
    newest = newest_revision()
    revision = write_migration(tmp_path, f"    {statement}\n")
    database = Database(postgres.empty_database_url())  # SQLite has no ALTER COLUMN
    try:
        words, *_ = (await broken_by_each(database, tmp_path, newest))[revision]
    finally:
        await database.close()
    assert TAKEN_AWAY[statement] in words


async def test_what_is_added_is_let_through(empty: Database, tmp_path: Path) -> None:
    revision = write_migration(tmp_path / "next", ADDS)
    assert (await broken_by_each(empty, tmp_path / "next", newest_revision()))[revision] == []


@pytest.mark.parametrize(("since", "words"), [("0.0.9", ""), (__version__, "too early")])
async def test_what_no_release_uses_may_go_one_release_later(
    empty: Database, tmp_path: Path, since: str, words: str
) -> None:
    declared = f'GONE_SINCE = {{"attempt": "{since}"}}\n'
    revision = write_migration(tmp_path / "next", '    op.drop_table("attempt")\n', declared=declared)
    said = (await broken_by_each(empty, tmp_path / "next", newest_revision()))[revision]
    assert len(said) == bool(words)
    assert words in "".join(said)
