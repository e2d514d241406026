"""What is to be sent, for calendar programs: they ask for an address and send no header, so the address is the key.

In: a token that names a user of the console and a word (accounts/calendar_addresses.py). Out: iCalendar with an ETag;
304 where nothing has changed. An address that was renewed or ended, or whose user is disabled or may see no dispatches,
is told no more than a wrong one. The API gives the same file by a token of its own (api/agenda.py).
"""

import asyncio
from collections.abc import Callable, Collection
from urllib.parse import urlencode

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.calendar_addresses import user_of_address
from bdnews_dispatch.accounts.rights import Right, rights_of
from bdnews_dispatch.clock import beijing
from bdnews_dispatch.errors import TokenError
from bdnews_dispatch.scheduling.agenda import Item, Kind, Span, read_agenda
from bdnews_dispatch.scheduling.calendar_file import AHEAD, BEHIND, CONTENT_TYPE, write_calendar
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.web.api.handling import whole_file
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PUBLICATIONS, SETTINGS

_ROOMS = {Kind.DISPATCH: "dispatches", Kind.DRAFT: "bulletins", Kind.ISSUE: "issues"}


async def feed(request: web.Request) -> web.Response:
    """`/k/TOKEN/calendar.ics`."""
    async with request.app[DATABASE].read() as session:
        user = await user_of_address(session, request[DELIVERY_KEY])
        held = rights_of(user.role, user.publications) if user is not None else frozenset()
        if user is None or Right.DISPATCHES_READ not in held:
            raise TokenError("链接无效")
        body = await calendar_of(request, session, lambda right: right in held, only=user.publications)
    return whole_file(request, CONTENT_TYPE, body)


async def calendar_of(
    request: web.Request,
    session: AsyncSession,
    may: Callable[[Right], bool],
    *,
    only: Collection[str] = (),
) -> bytes:
    """The file: what is to be sent within half a year, and what was within a month.

    Args:
        may: whether the one who asks holds a right.
        only: of these publications alone; none: of all.
    """
    app, settings = request.app, request.app[SETTINGS]
    publications, now = app[PUBLICATIONS], app[CLOCK]()
    # By whole days: while nothing changes, the file does not change from one moment to the next.
    today = beijing(now).date()
    agenda = await read_agenda(
        session,
        Span.of_days(today - BEHIND, today + AHEAD),
        now,
        timetable=read_timetable(settings.schedule, settings.service.timezone),
        publications=publications,
        may=lambda right: right is not Right.ISSUES_READ and may(right),
        only=only,
    )
    return await asyncio.to_thread(
        write_calendar,
        agenda.items,
        base_url=app[LINKS].base_url,
        path_of=path_of,
        publication_name=lambda key: publications[key].name if key in publications else key,
    )


def path_of(item: Item) -> str:
    """Where the console shows an item; of a run of the timetable: its day in the calendar."""
    if item.kind in _ROOMS:
        return f"/console/{_ROOMS[item.kind]}/{item.id}"
    day = beijing(item.at)
    return f"/console/calendar?{urlencode({'month': f'{day:%Y-%m}'})}#d{day:%Y-%m-%d}"
