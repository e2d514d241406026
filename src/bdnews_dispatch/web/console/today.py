"""The first page: what needs a person, what is under way, what comes next, how much of the quotas is left, how all is.

In: rows, the timetable, this process's checks. Out: one page; each line leads to where something can be done. Only what
the one who looks may see is read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.sessions import SignedIn
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.progress import Progress
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.subscribers.models import Cadence, Subscriber
from bdnews_dispatch.watched_feeds import rooms as watched_feeds
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.console.quotas import quotas
from bdnews_dispatch.web.keys import CLOCK, DATABASE, READINESS, SETTINGS
from bdnews_dispatch.web.standing import Stand, stands
from bdnews_dispatch.webhooks import endpoints as webhooks

_MOST = 10
#: A monthly run is at most so far away.
_AHEAD = timedelta(days=32)
_OVER = (DispatchState.FINISHED, DispatchState.CANCELLED)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A dispatch that is not over. `stuck`: it goes on only when a person has done something."""

    dispatch: Dispatch
    title: str
    stand: Stand

    @property
    def progress(self) -> Progress:
        return self.stand.progress

    @property
    def uncertain(self) -> int:
        return self.stand.uncertain

    @property
    def stuck(self) -> bool:
        return self.dispatch.state is DispatchState.PAUSED or self.uncertain > 0


@dataclass(frozen=True, slots=True)
class Next:
    """Something that will be sent. `cadence`: a run of the timetable; None: a dispatch, named by its title."""

    at: datetime
    cadence: Cadence | None
    dispatch_id: int = 0
    title: str = ""


async def show(request: web.Request) -> web.Response:
    """Everything of today."""
    app, who = request.app, request[WHO]
    now = app[CLOCK]()
    async with app[DATABASE].read() as session:
        review = await _review(session, who) if who.may(Right.ISSUES_READ) else []
        drafts = await _waiting(session, who) if who.may(Right.BULLETINS_READ) else []
        under_way = await _under_way(request, session) if who.may(Right.DISPATCHES_READ) else []
        feeds = await watched_feeds.failing(session, who.publications)
        hooks = await webhooks.failing(session) if not who.publications else []
        left = await quotas(request, session)
        begun = await _has_begun(session)
    return page(
        request,
        "today.html",
        now=now,
        begun=begun,
        review=review,
        drafts=drafts,
        stuck=[one for one in under_way if one.stuck],
        running=[
            one for one in under_way if not one.stuck and one.dispatch.state is not DispatchState.SCHEDULED
        ],
        coming=_coming(request, under_way, now),
        feeds=feeds,
        hooks=hooks,
        quotas=left,
        checks=await app[READINESS].look(),
    )


async def _has_begun(session: AsyncSession) -> bool:
    """Whether there is an issue and a subscriber; before, a page that says "nothing to do" is no help."""
    issue = (await session.exec(select(Issue.id).limit(1))).first()
    return issue is not None and (await session.exec(select(Subscriber.id).limit(1))).first() is not None


async def _review(session: AsyncSession, who: SignedIn) -> list[Issue]:
    statement = (
        select(Issue).where(Issue.state == IssueState.REVIEW).order_by(col(Issue.id).desc()).limit(_MOST)
    )
    if who.publications:
        statement = statement.where(col(Issue.publication).in_(who.publications))
    return list(await session.exec(statement))


async def _waiting(session: AsyncSession, who: SignedIn) -> list[BulletinDraft]:
    statement = (
        select(BulletinDraft)
        .where(BulletinDraft.state == DraftState.WAITING)
        .order_by(col(BulletinDraft.asked_at))
        .limit(_MOST)
    )
    if who.publications:
        statement = statement.where(col(BulletinDraft.publication).in_(who.publications))
    return list(await session.exec(statement))


async def _under_way(request: web.Request, session: AsyncSession) -> list[UnderWay]:
    statement = (
        select(Dispatch)
        .where(col(Dispatch.state).not_in(_OVER))
        .order_by(col(Dispatch.due_at))
        .limit(3 * _MOST)
    )
    if mine := request[WHO].publications:
        statement = statement.where(col(Dispatch.publication).in_(mine))
    rows = (await session.exec(statement)).all()
    found = await stands(request, session, rows)
    named = await titles(session, list(found))
    return [UnderWay(row, named.get(row.id or 0, ""), found[row.id or 0]) for row in rows]


def _coming(request: web.Request, under_way: list[UnderWay], now: datetime) -> list[Next]:
    """The timetable's next runs, and dispatches that begin later."""
    settings = request.app[SETTINGS]
    found = [
        Next(one.dispatch.due_at, None, one.progress.dispatch_id, one.title)
        for one in under_way
        if one.dispatch.state is DispatchState.SCHEDULED
    ]
    for entry in read_timetable(settings.schedule, settings.service.timezone):
        soonest = next(entry.due_between(now, now + _AHEAD), None)
        if soonest is not None:
            found.append(Next(soonest[0], entry.cadence))
    return sorted(found, key=lambda one: one.at)
