"""Planning: a dispatch becomes deliveries, slice by slice, so that a crash in the middle goes on where it was.

In: a dispatch, its contents, the next people of its audience. Out: rows of the ledger, `planned` or `skipped` with the
reason. Caller: the worker. Every slice is one transaction together with the mark of how far planning is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, false, insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_many
from bdnews_dispatch.digests.matching import Interest, Skip, match
from bdnews_dispatch.dispatch.card_forecast import CardAccounts
from bdnews_dispatch.dispatch.contents import Contents, links_of, load_contents
from bdnews_dispatch.dispatch.forecast import Forecast, rules_of
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.starting import UNREACHED, dispatches_of, dispatches_of_bulletin, target_of
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState, check_dispatch
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links, random_key
from bdnews_dispatch.subscribers.audience import Person, alike, slice_of
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice, Subscriber

#: People in one transaction: big enough for speed (a row costs some 10 µs in bulk), small enough to hold the writer's
#: lock for a fraction of a second.
SLICE = 500
#: In one look of a forecast, which holds no lock: each of them has PostgreSQL read all followers and suppressions.
LOOK = 5_000


class Planner:
    """Plans dispatches."""

    def __init__(self, database: Database, clock: Clock, publications: Publications, links: Links) -> None:
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links
        self._last: tuple[int | None, Contents] | None = None

    async def plan_slice(self, dispatch_id: int) -> bool:
        """Plan the next slice.

        Returns:
            Whether there is more to plan.
        """
        async with self._database.write_beside() as session:
            dispatch = await session.get(Dispatch, dispatch_id, with_for_update={"key_share": True})
            if dispatch is None or dispatch.state not in (DispatchState.SCHEDULED, DispatchState.PLANNING):
                return False
            if dispatch.due_at > self._clock():
                return False
            contents = await self._contents_of(session, dispatch)
            if dispatch.state is DispatchState.SCHEDULED:
                check_dispatch(dispatch.state, DispatchState.PLANNING)
                dispatch.state = DispatchState.PLANNING
                await self._store_links(session, dispatch, contents)
            people = await slice_of(
                session,
                dispatch.publication,
                after_id=dispatch.planned_through,
                limit=SLICE,
                target=target_of(dispatch),
                now=dispatch.created_at,
            )
            ids = [person.subscriber_id for person in people]
            earlier = await _earlier(session, dispatch, lock=True) if ids else []
            reached = await _reached_by(session, earlier, ids)
            known = await _known_to(session, dispatch, earlier, ids)
            rows = [
                row
                for person in people
                if known is None or person.subscriber_id in known
                for row in self._rows(dispatch, contents, person, reached)
            ]
            await insert_many(session, Delivery, rows)
            if people:
                dispatch.planned_through = people[-1].subscriber_id
            more = len(people) == SLICE
            if not more:
                check_dispatch(dispatch.state, DispatchState.SENDING)
                dispatch.state = DispatchState.SENDING
                dispatch.planned_at = self._clock()
            return more

    async def forecast(
        self,
        session: AsyncSession,
        dispatch: Dispatch,
        accounts: CardAccounts,
        contents: Contents | None = None,
    ) -> Forecast:
        """Whom a dispatch that has not begun would reach, and why it leaves the others out: planned as in earnest,
        nothing is written.

        Args:
            dispatch: as it would be; not in the database.
            accounts: on WeChat, whose rules decide by which mode a card goes.
            contents: what it sends, where that is not in the database yet.
        """
        contents = contents or await load_contents(session, dispatch, self._links)
        target, now = target_of(dispatch), dispatch.created_at
        found = Forecast(await rules_of(session, dispatch.publication, target, now))
        earlier = await _earlier(session, dispatch)
        # Half a million readers by mail are some hundred kinds of them; a card depends on each one's own standing.
        groups = await alike(
            session,
            dispatch.publication,
            target=target,
            now=now,
            moment=self._clock(),
            reached=_by_mail(earlier),
        )
        for group in groups:
            mailed = frozenset({(group.person.subscriber_id, Channel.EMAIL)} if group.reached else ())
            for row in self._rows(dispatch, contents, group.person, mailed):
                found.count(row["channel"], row["reason"], group.number)
        after, more = 0, True
        while more:
            people = await slice_of(
                session,
                dispatch.publication,
                after_id=after,
                limit=LOOK,
                target=target,
                now=now,
                cards=True,
            )
            ids = [person.subscriber_id for person in people]
            reached = await _reached_by(session, earlier, ids)
            with_card = []
            for person in people:
                for row in self._rows(dispatch, contents, person, reached):
                    found.count(row["channel"], row["reason"])
                    if row["channel"] is Channel.WECHAT and not row["reason"]:
                        with_card.append((person, row["sections"]))
            await found.cards.count(session, self._clock, accounts, with_card)
            after, more = (ids[-1] if ids else after), len(people) == LOOK
        found.cards.group()
        return found

    async def _contents_of(self, session: AsyncSession, dispatch: Dispatch) -> Contents:
        """Read once for all its slices: a dispatch sends the same revision for its whole life."""
        if self._last is None or self._last[0] != dispatch.id:
            self._last = (dispatch.id, await load_contents(session, dispatch, self._links))
        return self._last[1]

    async def _store_links(self, session: AsyncSession, dispatch: Dispatch, contents: Contents) -> None:
        rows = [
            {
                "dispatch_id": dispatch.id,
                "number": link.number,
                "url": link.url,
                "kind": link.kind,
                "section": link.section,
                "place": link.place,
            }
            for link in links_of(self._publications.named(contents.publication_key), contents)
        ]
        if rows:
            await session.exec(insert(DispatchLink), params=rows)

    def _rows(
        self, dispatch: Dispatch, contents: Contents, person: Person, reached: frozenset[tuple[int, Channel]]
    ) -> Iterator[Mapping[str, Any]]:
        now = self._clock()
        if dispatch.kind is DispatchKind.PERIOD and person.cadence is not dispatch.cadence:
            return  # another run is theirs; a row for each would bury the ledger
        sections, person_reason = _sections_for(dispatch, contents, person)
        for channel in _channels(person):
            reason = person_reason or _paused(person, now) or _unreachable(person, channel)
            if not reason and (person.subscriber_id, channel) in reached:
                reason = "already_sent"
            yield _row(dispatch, person, channel, random_key(now), sections, reason, now)


async def _earlier(session: AsyncSession, dispatch: Dispatch, *, lock: bool = False) -> list[Dispatch]:
    """The other dispatches of the same issue or bulletin.

    Args:
        lock: their slices and those of this one are planned one after the other, however many workers plan: who is on
            two lists would else be planned twice at the same moment.
    """
    if dispatch.kind is DispatchKind.PERIOD:
        return []
    locked = {"key_share": True} if lock else None
    if dispatch.kind is DispatchKind.BULLETIN:
        if dispatch.bulletin_id is None:
            return []  # a forecast of one that is being written
        if lock:
            await session.get(Bulletin, dispatch.bulletin_id, with_for_update=locked)
        of_it = await dispatches_of_bulletin(session, dispatch.bulletin_id)
    else:
        issue = await session.get(Issue, dispatch.issues[0]["id"], with_for_update=locked)
        assert issue is not None  # noqa: S101  # foreign to the dispatch for its whole life
        of_it = await dispatches_of(session, issue)
    return [one for one in of_it if one.id is not None and one.id != dispatch.id]


async def _reached_by(
    session: AsyncSession, earlier: Sequence[Dispatch], subscriber_ids: list[int]
) -> frozenset[tuple[int, Channel]]:
    """Whom one of these dispatches has reached or is about to reach, and how."""
    if not earlier or not subscriber_ids:
        return frozenset()
    rows = await session.exec(
        select(Delivery.subscriber_id, Delivery.channel)
        .where(_of(earlier), col(Delivery.subscriber_id).in_(subscriber_ids))
        .where(col(Delivery.state).not_in(UNREACHED))
    )
    return frozenset((subscriber_id, Channel(channel)) for subscriber_id, channel in rows)


async def _known_to(
    session: AsyncSession, dispatch: Dispatch, earlier: Sequence[Dispatch], subscriber_ids: list[int]
) -> frozenset[int] | None:
    """Of a bulletin that is sent once more: for whom it was. Who has come since, or was put on its list since, is
    nobody whom it was meant for.

    Returns:
        None: for everybody now, for it is the first, or one before was cancelled while it was still planned.
    """
    if dispatch.bulletin_id is None or not earlier or any(one.planned_at is None for one in earlier):
        return None
    rows = await session.exec(
        select(Delivery.subscriber_id).where(_of(earlier), col(Delivery.subscriber_id).in_(subscriber_ids))
    )
    return frozenset(rows)


def _by_mail(earlier: Sequence[Dispatch]) -> ColumnElement[bool]:
    """Over `Subscriber`: one of these dispatches has reached them by mail, or is about to."""
    if not earlier:
        return false()
    return exists().where(
        _of(earlier),
        col(Delivery.subscriber_id) == col(Subscriber.id),
        col(Delivery.channel) == Channel.EMAIL,
        col(Delivery.state).not_in(UNREACHED),
    )


def _of(dispatches: Sequence[Dispatch]) -> ColumnElement[bool]:
    """Over `Delivery`."""
    return col(Delivery.dispatch_id).in_([one.id for one in dispatches])


def _sections_for(dispatch: Dispatch, contents: Contents, person: Person) -> tuple[list[str], str]:
    """The sections of this person's digest, and why they get none."""
    if contents.bulletin is not None:
        if not dispatch.sections or person.whole_issue or person.sections & set(dispatch.sections):
            return sorted(dispatch.sections), ""
        return [], "no_matching_section"
    if person.cadence is not dispatch.cadence:
        return [], f"cadence_{person.cadence}"
    interest = Interest(whole=person.whole_issue, sections=person.sections)
    found = match(interest, [edition.document for edition in contents.editions])
    return ([], found.reason) if isinstance(found, Skip) else (sorted(found), "")


def _channels(person: Person) -> tuple[Channel, ...]:
    """Who asked for one message gets it by WeChat where that reaches them, else by email."""
    if person.channel is not ChannelChoice.EITHER:
        return person.channel.channels
    return (Channel.EMAIL,) if _unreachable(person, Channel.WECHAT) else (Channel.WECHAT,)


def _paused(person: Person, now: datetime) -> str:
    return "paused" if person.paused_until is not None and person.paused_until > now else ""


def _unreachable(person: Person, channel: Channel) -> str:
    if channel in person.suppressed:
        return "suppressed"
    if channel is Channel.EMAIL:
        return "" if person.email else "no_email"
    if not person.openid:
        return "no_openid"
    return "" if person.following else "not_following"


def _row(
    dispatch: Dispatch,
    person: Person,
    channel: Channel,
    key: str,
    sections: list[str],
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch.id,
        "subscriber_id": person.subscriber_id,
        "channel": channel,
        "key": key,
        "sections": sections,
        "state": DeliveryState.SKIPPED if reason else DeliveryState.PLANNED,
        "reason": reason,
        "mode": "",
        "untracked": person.no_tracking,
        "due_at": now,
        "updated_at": now,
    }
