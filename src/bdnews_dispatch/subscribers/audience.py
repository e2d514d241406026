"""Whom a dispatch may reach: people with a current subscription, slice by slice.

In: a publication, a target, how far planning is. Out: frozen `Person`s. Callers: dispatch planning (`slice_of`), the
ledger's stores (`people_by`, `people_from`: what is true of them when they are claimed), the demo's page
(`people`), the console (`readers_by_section`).
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from asyncpg import Connection
from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    Follower,
    Subscriber,
    Subscription,
    Suppression,
)
from bdnews_dispatch.subscribers.targeting import EVERYBODY, Target


class Person(NamedTuple):
    """A subscriber as planning and sending see them.

    Attributes:
        sections: empty where it is the whole issue.
        suppressed: the channels by which they must not be written to.
        following: false once the platform has said that they left; of an openid it has told nothing about, true.
        paused_until: as planning finds it; where people come with their claims it is left out: the gate looks itself.
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
    paused_until: datetime | None = None


async def slice_of(
    session: AsyncSession,
    publication: str,
    *,
    after_id: int,
    limit: int,
    target: Target = EVERYBODY,
    now: datetime | None = None,
    cards: bool = False,
) -> list[Person]:
    """The next subscribers by id who have a current subscription, each once.

    Args:
        publication: its key.
        after_id: the last id that was dealt with; 0 at the start.
        target: whom it is meant for.
        now: what the target's rules call now; the same for every slice. Needed where the target is not everybody.
        cards: those alone who may get a card: all that `alike` leaves out.
    """
    statement = (
        _persons()
        .join(Subscription, _is_current())
        .where(col(Subscription.publication) == publication, col(Subscriber.id) > after_id)
        .order_by(col(Subscriber.id))
        .limit(limit)
    )
    if now is not None:
        statement = statement.where(target.condition(now))
    if cards:
        statement = statement.where(col(Subscription.channel) != ChannelChoice.EMAIL)
    return [_person(row) for row in (await session.execute(statement)).all()]


async def readers_by_section(session: AsyncSession, publication: str) -> tuple[int, dict[str, int]]:
    """How many read the whole issue; and, of the others, how many read each section, by its key.

    Rows are counted by what was chosen: some dozens of different sets, whoever many people there are.
    """
    chosen = cast(col(Subscription.sections), Text)
    statement = (
        select(col(Subscription.whole_issue), chosen, func.count())
        .where(col(Subscription.publication) == publication, col(Subscription.ended_at).is_(None))
        .group_by(col(Subscription.whole_issue), chosen)
    )
    whole, by_section = 0, Counter[str]()
    for is_whole, sections, number in (await session.execute(statement)).all():
        if is_whole:
            whole += number
        else:
            by_section.update(dict.fromkeys(_section_set(sections or "[]"), number))
    return whole, dict(by_section)


class Alike(NamedTuple):
    """So many people between whom planning sees no difference.

    Attributes:
        person: one who stands for them: without a number, and with nobody's address.
        reached: whether the condition that was asked for holds for them.
    """

    person: Person
    reached: bool
    number: int


async def alike(
    session: AsyncSession,
    publication: str,
    *,
    target: Target,
    now: datetime,
    moment: datetime,
    reached: ColumnElement[bool],
) -> list[Alike]:
    """Everybody with a current subscription by mail alone, in groups: half a million of them are some hundred.

    Args:
        now: what the target's rules call now.
        moment: at which somebody is paused or not.
        reached: over `Subscriber`.
    """
    sections = cast(col(Subscription.sections), Text)
    what = {
        "has_email": col(Subscriber.email).is_not(None),
        "whole_issue": col(Subscription.whole_issue),
        "sections": sections,
        "cadence": col(Subscription.cadence),
        "paused": func.coalesce(col(Subscription.paused_until) > moment, false()),
        "suppressed": _suppressed(Channel.EMAIL, col(Subscriber.email_key)),
        "reached": reached,
    }
    each = (
        select(*(expression.label(name) for name, expression in what.items()))
        .select_from(Subscription)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(col(Subscription.publication) == publication, col(Subscription.ended_at).is_(None))
        .where(col(Subscription.channel) == ChannelChoice.EMAIL, target.condition(now))
        .subquery("each_of_them")
    )
    rows = await session.execute(select(*each.c, func.count().label("number")).group_by(*each.c))
    return [
        Alike(
            Person(
                subscriber_id=0,
                email="reader@example.com" if row.has_email else None,
                openid=None,
                name="",
                language="zh",
                no_tracking=False,
                whole_issue=bool(row.whole_issue),
                sections=_section_set(row.sections),
                channel=ChannelChoice.EMAIL,
                cadence=row.cadence,
                suppressed=frozenset({Channel.EMAIL} if row.suppressed else ()),
                following=True,
                paused_until=datetime.max.replace(tzinfo=UTC) if row.paused else None,
            ),
            bool(row.reached),
            row.number,
        )
        for row in rows
    ]


#: `people` as the drivers read it.
_PEOPLE = """
SELECT subscriber.id, subscriber.email, subscriber.openid, subscriber.name, subscriber.language,
    subscriber.no_tracking, subscription.whole_issue, subscription.sections, subscription.channel,
    subscription.cadence,
    EXISTS (SELECT 1 FROM suppression WHERE channel = 'email' AND target = subscriber.email_key),
    EXISTS (SELECT 1 FROM suppression WHERE channel = 'wechat' AND target = subscriber.openid),
    coalesce(follower.following, true)
FROM {wanted}
JOIN subscriber ON subscriber.id = wanted.value
LEFT JOIN follower ON follower.openid = subscriber.openid
LEFT JOIN subscription ON subscription.subscriber_id = subscriber.id AND subscription.ended_at IS NULL
    AND subscription.publication = {publication}
"""
_PEOPLE_SQLITE = _PEOPLE.format(wanted="json_each(:ids) AS wanted", publication=":publication")
_PEOPLE_POSTGRES = _PEOPLE.format(wanted="unnest($1::int[]) AS wanted (value)", publication="$2")


async def people(session: AsyncSession, ids: Collection[int], *, publication: str) -> dict[int, Person]:
    """These subscribers as they are now; somebody who has unsubscribed comes with no sections.

    Args:
        publication: whose subscription is meant.
    """
    theirs = and_(_is_current(), col(Subscription.publication) == publication)
    statement = _persons().outerjoin(Subscription, theirs).where(col(Subscriber.id).in_(set(ids)))
    return {row.id: _person(row) for row in (await session.execute(statement)).all()}


def people_by(cursor: sqlite3.Cursor, ids: Collection[int], *, publication: str) -> dict[int, Person]:
    """The same by SQLite's driver, inside its transaction: by the ORM, a row would cost more than its mail."""
    values = {"ids": json.dumps(list(ids)), "publication": publication}
    return {row[0]: _person_of(row) for row in cursor.execute(_PEOPLE_SQLITE, values)}


async def people_from(connection: Connection, ids: Collection[int], *, publication: str) -> dict[int, Person]:
    """The same by PostgreSQL's driver."""
    rows = await connection.fetch(_PEOPLE_POSTGRES, list(ids), publication)
    return {row[0]: _person_of(row) for row in rows}


def _person_of(row: Any) -> Person:
    id_, email, openid, name, language, no_tracking, whole, sections, channel, cadence, *told, following = row
    return Person(
        id_,
        email,
        openid,
        name,
        language,
        bool(no_tracking),
        bool(whole),
        _section_set(sections or "[]"),
        _CHOICES[channel or "email"],
        _CADENCES[cadence or "issue"],
        _SUPPRESSED[told[0], told[1]],
        bool(following),
    )


_CHOICES = {choice.value: choice for choice in ChannelChoice}
_CADENCES = {cadence.value: cadence for cadence in Cadence}
_SUPPRESSED = {
    (0, 0): frozenset[Channel](),
    (1, 0): frozenset({Channel.EMAIL}),
    (0, 1): frozenset({Channel.WECHAT}),
    (1, 1): frozenset(Channel),
}


@lru_cache(maxsize=1024)
def _section_set(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


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
            col(Subscription.paused_until),
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
        paused_until=row.paused_until,
    )
