"""Whom a dispatch may reach: people with a current subscription, slice by slice.

In: a publication, lists, how far planning is. Out: frozen `Person`s. Callers: dispatch planning (`slice_of`) and
sending (`people`, for what is true of them at that moment). One query each.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    Follower,
    ListMembership,
    MailingList,
    Subscriber,
    Subscription,
    Suppression,
)

#: SQLite takes 32,766 values in a statement.
_IDS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """A subscriber as planning and sending see them.

    Attributes:
        sections: empty where it is the whole issue.
        suppressed: the channels by which they must not be written to.
        following: false once the platform has said that they left; of an openid it has told nothing about, true.
    """

    subscriber_id: int
    email: str | None
    openid: str | None
    name: str
    language: str
    no_tracking: bool
    whole_issue: bool
    sections: frozenset[str]
    channel: ChannelChoice
    cadence: Cadence
    suppressed: frozenset[Channel]
    following: bool


async def slice_of(
    session: AsyncSession, publication: str, *, after_id: int, limit: int, lists: Sequence[str] = ()
) -> list[Person]:
    """The next subscribers by id who have a current subscription.

    Args:
        publication: its key.
        after_id: the last id that was dealt with; 0 at the start.
        lists: names; only who is on one of them, each once. Empty: everybody.
    """
    statement = (
        _persons()
        .join(Subscription, _is_current())
        .where(col(Subscription.publication) == publication, col(Subscriber.id) > after_id)
        .order_by(col(Subscriber.id))
        .limit(limit)
    )
    if lists:  # asked for each person: a set of all members would be made anew for every slice
        on_a_list = (
            exists()
            .where(col(ListMembership.subscriber_id) == col(Subscriber.id))
            .where(col(MailingList.id) == col(ListMembership.list_id), col(MailingList.name).in_(lists))
        )
        statement = statement.where(on_a_list)
    return [_person(row) for row in (await session.execute(statement)).all()]


async def people(
    session: AsyncSession, ids: Collection[int], *, publication: str | None = None
) -> dict[int, Person]:
    """These subscribers as they are now; somebody who has unsubscribed comes with no sections.

    Args:
        publication: whose subscription is meant; None: the first that is current.
    """
    wanted = sorted(set(ids))
    found: dict[int, Person] = {}
    join_on = (
        _is_current()
        if publication is None
        else _is_current() & (col(Subscription.publication) == publication)
    )
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        statement = (
            _persons()
            .outerjoin(Subscription, join_on)
            .where(col(Subscriber.id).in_(wanted[start : start + _IDS_AT_ONCE]))
            .order_by(col(Subscription.id))
        )
        for row in (await session.execute(statement)).all():
            found.setdefault(row.id, _person(row))
    return found


def _is_current() -> Any:
    return and_(col(Subscription.subscriber_id) == col(Subscriber.id), col(Subscription.ended_at).is_(None))


def _persons() -> Any:
    return (
        select(
            col(Subscriber.id),
            col(Subscriber.email),
            col(Subscriber.openid),
            col(Subscriber.name),
            col(Subscriber.language),
            col(Subscriber.no_tracking),
            col(Subscription.whole_issue),
            col(Subscription.sections),
            col(Subscription.channel),
            col(Subscription.cadence),
            _suppressed(Channel.EMAIL, col(Subscriber.email_key)).label("email_suppressed"),
            _suppressed(Channel.WECHAT, col(Subscriber.openid)).label("wechat_suppressed"),
            func.coalesce(col(Follower.following), True).label("following"),
        )
        .select_from(Subscriber)
        .outerjoin(Follower, col(Follower.openid) == col(Subscriber.openid))
    )


def _suppressed(channel: Channel, target: Any) -> Any:
    return exists().where(col(Suppression.channel) == channel, col(Suppression.target) == target)


def _person(row: Any) -> Person:
    suppressed = [
        channel
        for channel, told in ((Channel.EMAIL, row.email_suppressed), (Channel.WECHAT, row.wechat_suppressed))
        if told
    ]
    return Person(
        subscriber_id=row.id,
        email=row.email,
        openid=row.openid,
        name=row.name,
        language=row.language,
        no_tracking=row.no_tracking,
        whole_issue=bool(row.whole_issue),
        sections=frozenset(row.sections or ()),
        channel=row.channel or ChannelChoice.EMAIL,
        cadence=row.cadence or Cadence.ISSUE,
        suppressed=frozenset(suppressed),
        following=bool(row.following),
    )
