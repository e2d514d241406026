"""What tests of retention ask again and again."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from sqlmodel import SQLModel, select
from tests.integration.web.readers_site import Site

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.privacy.retention import Retention

DAY = timedelta(days=1)
#: Days by rule → retention by these alone.
Keep = Callable[..., Retention]
Row = TypeVar("Row", bound=SQLModel)


async def all_of(database: Database, table: type[Row]) -> list[Row]:
    async with database.read() as session:
        return list((await session.exec(select(table).order_by(table.id))).all())  # type: ignore[attr-defined]


async def carried_out(retention: Retention) -> dict[str, int]:
    """What it has done, which is what it had said it would do; a second run finds nothing more."""
    said = await retention.preview()
    done = await retention.run()
    assert done == said
    assert not any((await retention.run()).values())
    return {name: number for name, number in done.items() if number}


async def delivery_of(site: Site, subscriber_id: int) -> int:
    async with site.database.read() as session:
        found = (
            await session.exec(select(Delivery.id).where(Delivery.subscriber_id == subscriber_id))
        ).first()
    assert found is not None
    return found
