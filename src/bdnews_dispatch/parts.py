"""What every command needs: the settings, the database at this version's schema, the publications, the signed links.

In: settings. Out: `Parts`. Callers: cli/, service.py, tests.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.issues.publications import Publications, load_publications
from bdnews_dispatch.links import Links, Signer, kept_key, read_keys
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
    signer = Signer(keys or [kept_key(settings.service.data_folder)])
    Reach.read(settings.delivery.allow)
    database = Database(settings.database.url)
    try:
        await upgrade(database)
        yield Parts(settings, clock, database, publications, Links(settings.base_url, signer))
    finally:
        await database.close()
