"""Bring a database to the schema of this version. Callers: service.py at start, `bdnews doctor`, tests."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bdnews_dispatch.db.engine import Database


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str | None:
    """The revision that this version of the code wants."""
    return ScriptDirectory.from_config(_config()).get_current_head()


async def current_revision(database: Database) -> str | None:
    """The revision that the database is at; None: it is empty."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def upgrade(database: Database) -> None:
    """Run what is missing, in one transaction; two processes that start together don't run it twice."""
    if await current_revision(database) == newest_revision():
        return
    engine = database.engine.execution_options(sqlite_begin="IMMEDIATE")
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))


async def make_revision(database: Database, message: str) -> None:
    """Write the migration from the database's schema to the models'; for developers."""
    async with database.engine.connect() as connection:
        await connection.run_sync(
            lambda sync: command.revision(
                _config(sync), message, autogenerate=True, rev_id=message.split(maxsplit=1)[0]
            )
        )
