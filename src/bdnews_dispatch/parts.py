"""What every command needs: the settings, the database at this version's schema, the publications, the signed links.

In: settings. Out: `Parts`. Callers: cli/, service/, tests.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import current_revision, upgrade
from bdnews_dispatch.db.server_clock import ServerClock
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.errors import SettingsError, StorageError
from bdnews_dispatch.issues.publications import Publications, load_publications
from bdnews_dispatch.links import Links, Signer, kept_key, kept_key_if_any, read_keys
from bdnews_dispatch.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What every command needs."""

    settings: Settings
    clock: Clock
    database: Database
    publications: Publications
    links: Links

    @property
    def reach(self) -> Reach:
        return Reach.read(self.settings.delivery.allow)


@asynccontextmanager
async def open_parts(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Parts]:
    """Open the database, at this version's schema, and read what the settings point at.

    Raises:
        SettingsError: something in them is not right.
    """
    publications = load_publications(settings.publications.folder, settings.publications.default)
    keys = read_keys([key.get_secret_value() for key in settings.security.signing_keys])
    Reach.read(settings.delivery.allow)
    database = Database(settings.database.url)
    if database.backend is Backend.POSTGRESQL and not keys:
        raise SettingsError(
            "使用 PostgreSQL 时须设置 security.signing_keys：每台机器要用同一把密钥签名",
            hint='生成一把：python -c "import secrets; print(secrets.token_urlsafe(32))"，写作 ["2026a:它"]。',
        )
    try:
        await prepare(database)
        if database.backend is Backend.POSTGRESQL and clock is system_clock:
            clock = ServerClock(database)
            await clock.ask()
        folder = settings.service.data_folder
        if keys:  # the key from before there were any in the settings goes on verifying
            known = {key.id for key in keys}
            keys += [key for key in kept_key_if_any(folder) if key.id not in known]
        signer = Signer(keys or [kept_key(folder)])
        yield Parts(settings, clock, database, publications, Links(settings.base_url, signer))
    finally:
        await database.close()


async def prepare(database: Database) -> tuple[str | None, str | None]:
    """Bring the database to this version's schema.

    Returns:
        The revision before, and after.

    Raises:
        StorageError: the server can't be reached or refuses; says which one, without a password.
    """
    try:
        before = await current_revision(database)
        await upgrade(database)
        return before, await current_revision(database)
    except DBAPIError as error:
        if database.backend is Backend.SQLITE:
            raise
        where = f"{database.url.host or 'localhost'}:{database.url.port or 5432}/{database.url.database}"
        reason = str(getattr(error, "orig", error))[:200]
        raise StorageError(
            f"连不上数据库 {where}：{reason}", hint="请检查设置 database.url，以及数据库服务器是否在运行。"
        ) from error
