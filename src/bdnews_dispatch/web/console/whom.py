"""Whom a dispatch is for, as a form says it: lists and segments by name, and those that are left out.

In: the fields of a form or of an address. Out: a `Target`, and what can be chosen. Callers: the rooms of dispatches
and of bulletins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.contents import Contents
from bdnews_dispatch.dispatch.drafts import FIELDS
from bdnews_dispatch.dispatch.forecast import Forecast
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.models import MailingList, Segment
from bdnews_dispatch.subscribers.targeting import Target, read_target
from bdnews_dispatch.web.keys import CARD_ACCOUNTS, CLOCK, DATABASE, LINKS, PUBLICATIONS

_MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class Whom:
    """Names by field."""

    names: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, source: MultiMapping[str]) -> "Whom":
        """Out of a form or an address."""
        return cls(
            {
                name: [value for value in source.getall(name, []) if value and "\0" not in value][
                    :_MOST_NAMES
                ]
                for name in FIELDS
            }
        )

    async def target(self, session: AsyncSession) -> Target:
        """Raises: NotFoundError: a list or a segment is not there."""
        return await read_target(session, **{FIELDS[name]: chosen for name, chosen in self.names.items()})

    def query(self, **more: object) -> str:
        """For an address."""
        fields = [(name, str(value)) for name, value in more.items()]
        fields += [(name, value) for name, chosen in self.names.items() for value in chosen]
        return urlencode(fields)

    @property
    def everybody(self) -> bool:
        """Whether nothing narrows it down; leaving some out does not make it less than the whole list."""
        return not (self.names["list"] or self.names["segment"])


async def choices(session: AsyncSession) -> dict[str, list[str]]:
    """What can be chosen, by field.

    Also by who is of some publications alone: lists and segments are of people, who may read several, and a name with a
    number of people narrows a dispatch without saying who they are.
    """
    lists = list((await session.exec(select(MailingList.name).order_by(col(MailingList.name)))).all())
    segments = list((await session.exec(select(Segment.name).order_by(col(Segment.name)))).all())
    return {"list": lists, "segment": segments, "except_list": lists, "except_segment": segments}


async def counts_now(request: web.Request, session: AsyncSession) -> bool:
    """Whether a page counts whom it would reach before it is shown: of a few people, or where it was asked for.

    Half a million take seconds, and what decides must be exact: then the page comes first, and its script asks for the
    numbers; without one, a link does.
    """
    return "count" in request.query or await people.are_few(session)


async def forecast(
    request: web.Request, session: AsyncSession, dispatch: Dispatch, contents: Contents | None = None
) -> Forecast:
    """Whom it would reach. Args: dispatch: not in the database. contents: where these are not there either."""
    app = request.app
    planner = Planner(app[DATABASE], app[CLOCK], app[PUBLICATIONS], app[LINKS])
    return await planner.forecast(session, dispatch, app[CARD_ACCOUNTS], contents)
