"""A release that does not exist yet: its migration is made behind the newest one, and run as that release would.

Today's code is then the older one on a newer schema, as it is for a while on some machines during an upgrade.
"""

import asyncio
import os
from pathlib import Path
from types import ModuleType

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bdnews_dispatch.db import migrate, sqlite
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import newest_revision

VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"
_FILE = '''"""What the next release adds."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
{declared}

def upgrade() -> None:
{body}


def downgrade() -> None:
    raise NotImplementedError
'''
#: Everything that a migration may do while the release before still runs.
ADDS = """
    op.add_column("delivery", sa.Column("of_the_next", sa.String(length=40), nullable=True))
    op.add_column("dispatch", sa.Column("of_the_next", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("subscriber", sa.Column("of_the_next", sa.Boolean(), nullable=True))
    op.add_column("event", sa.Column("of_the_next", sa.JSON(), nullable=True))
    op.create_index("ix_delivery_of_the_next", "delivery", ["of_the_next"])
    op.create_table("of_the_next", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
"""


def write_migration(folder: Path, body: str = ADDS, *, declared: str = "") -> str:
    """Args: body: of `upgrade`, indented. declared: lines of the module. Returns: its revision."""
    before = newest_revision()
    revision = f"{int(before) + 1:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    text = _FILE.format(revision=revision, before=before, body=body.strip("\n"), declared=declared)
    (folder / f"{revision}_next.py").write_text(text, encoding="utf-8")
    return revision


def _config(connection: Connection, more: Path | None) -> Config:
    config = migrate._config(connection)
    if more is not None:
        config.set_main_option("version_locations", os.pathsep.join((str(VERSIONS), str(more))))
    return config


async def upgrade(database: Database, revision: str, more: Path | None = None) -> None:
    """Bring the schema to the revision. Args: more: a folder with migrations behind the newest."""
    engine = database.engine.execution_options(**sqlite.WRITING)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync, more), revision))


def bring_forward(url: str, more: Path) -> str:
    """What the next release does at its start. Returns: the revision that the database is at then."""

    async def run() -> str:
        database = Database(url)
        try:
            await upgrade(database, "head", more)
            return str(await migrate.current_revision(database))
        finally:
            await database.close()

    return asyncio.run(run())


async def revisions(database: Database, more: Path | None = None) -> list[tuple[str, ModuleType]]:
    """Every migration, the oldest first."""
    async with database.engine.connect() as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(_config(sync, more)))
    return [(script.revision, script.module) for script in reversed(list(scripts.walk_revisions()))]
