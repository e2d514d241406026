"""How many people are on each list and fit each segment, as fast as a page wants to know.

In: nothing. Out: numbers; where there are many people as they were counted last, with when that was. Caller: groups.py.
Whom a dispatch reaches is never read from here (whom.py).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock, beijing
from bdnews_dispatch.reports.tallies import Wanted
from bdnews_dispatch.subscribers import lists, people, segments
from bdnews_dispatch.subscribers.lists import ListSize
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS, TALLIES

T = TypeVar("T")
#: Counts of people stand for so long.
_LASTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Sized:
    """A segment. Attributes: people: None where nobody has counted it yet."""

    name: str
    rule: dict[str, Any]
    people: int | None


@dataclass(frozen=True, slots=True)
class Sizes(Generic[T]):
    """Attributes: at: the oldest count; None: they are of this moment. known: false where one is missing."""

    found: Sequence[T]
    at: datetime | None = None
    known: bool = True

    @property
    def counted_at(self) -> str:
        """To the second, in Beijing; "": of this moment."""
        return f"{beijing(self.at):%Y-%m-%d %H:%M:%S}" if self.at else ""


async def sizes_of_lists(request: web.Request, session: AsyncSession) -> Sizes[ListSize]:
    """Every list by name."""
    if await people.are_few(session):
        return Sizes(await lists.list_sizes(session))
    wanted = Wanted("lists", lists.count_members, _LASTS)
    counted = (await request.app[TALLIES].last(session, [wanted])).get(wanted.name)
    if counted is None:
        return Sizes(await lists.sizes_of(session, {}), known=False)
    return Sizes(await lists.sizes_of(session, counted.value), counted.at)


async def sizes_of_segments(request: web.Request, session: AsyncSession) -> Sizes[Sized]:
    """Every segment by name."""
    app = request.app
    publication = app[PUBLICATIONS].named(None).key
    if await people.are_few(session):
        exact = await segments.segment_sizes(session, app[CLOCK], publication)
        return Sizes([Sized(one.name, one.rule, one.people) for one in exact])
    rows = await segments.all_segments(session)
    wanted = {row.name: _wanted(app[CLOCK], publication, row.rule) for row in rows}
    counted = await app[TALLIES].last(session, wanted.values())
    told = {name: counted.get(one.name) for name, one in wanted.items()}
    found = [Sized(row.name, row.rule, one.value if (one := told[row.name]) else None) for row in rows]
    return Sizes(
        found,
        min((one.at for one in told.values() if one is not None), default=None),
        known=all(one is not None for one in told.values()),
    )


def _wanted(clock: Clock, publication: str, rule: dict[str, Any]) -> Wanted:
    """By its rule: another rule is another question."""
    mark = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:32]
    count = partial(segments.count_of, clock=clock, publication=publication, rule=rule)
    return Wanted(f"segment:{publication}:{mark}", count, _LASTS)
