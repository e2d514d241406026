"""Bring a database to the schema of this version. Callers: service/ at start, `bdnews doctor`, tests."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from bdnews_dispatch.db import sqlite
from bdnews_dispatch.db.engine import Backend, Database

if TYPE_CHECKING:
    from alembic.config import Config

#: On PostgreSQL: one process migrates; those that start with it wait. Beside `engine.DECISIONS_LOCK`.
MIGRATION_LOCK = 0x62646E66

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  # half a second to load; only a migration needs it

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this version of the code wants: migrations are numbered, the last one is the newest."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


async def current_revision(database: Database) -> str | None:
    """The revision that the database is at; None: it is empty."""
    async with database.engine.connect() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        return (
            await connection.execute(text("SELECT version_num FROM alembic_version"))
        ).scalar_one_or_none()


async def upgrade(database: Database) -> None:
    """Run what is missing, in one transaction; two processes that start together don't run it twice.

    A schema that is newer than this code is left as it is: for one release the older code runs on it, so that machines
    can be upgraded one after the other (docs/guides/operator.md).
    """
    current = await current_revision(database)
    if current is not None and current >= newest_revision():
        return
    from alembic import command  # noqa: PLC0415  # see `_config`

    engine = database.engine.execution_options(**sqlite.WRITING)
    async with engine.begin() as connection:
        if database.backend is Backend.POSTGRESQL:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))


async def make_revision(database: Database, message: str) -> None:
    """Write the migration from the database's schema to the models'; for developers."""
    from alembic import command  # noqa: PLC0415  # see `_config`

    async with database.engine.connect() as connection:
        await connection.run_sync(
            lambda sync: command.revision(
                _config(sync), message, autogenerate=True, rev_id=message.split(maxsplit=1)[0]
            )
        )
