"""The web application with an issue that two people have got."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.web.readers_site import RunningClock, Site, open_site
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery


@pytest.fixture
def clock() -> HandClock:
    return RunningClock()


@pytest.fixture
async def site(database: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(database, clock, tmp_path) as site:
        yield site


@pytest.fixture
async def sent(site: Site) -> list[Delivery]:
    """Three deliveries: 林致远 by email; 何静 by email and by WeChat."""
    return await site.send(await site.publish())
