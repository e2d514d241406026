"""People found, and what is known of each: what they agree to now, lists, tags, attributes, suppressions.

In: what is looked for. Out: plain data, a page at a time, in a few statements. Callers: web/api/, web/console/.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import begins_with, by_bytes
from bdnews_dispatch.subscribers.fields import address_key
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    ListMembership,
    MailingList,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)

#: So many people that begin with the same letters are looked up one by one.
FEW = 1_000


@dataclass(frozen=True, slots=True)
class AgreementNow:
    """What somebody agrees to now."""

    publication: str
    whole_issue: bool
    sections: list[str]
    channel: ChannelChoice
    cadence: Cadence
    paused_until: datetime | None
    origin: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """A person."""

    id: int
    email: str | None
    openid: str | None
    name: str
    language: str
    no_tracking: bool
    created_at: datetime
    last_opened_at: datetime | None
    erased_at: datetime | None
    agreements: list[AgreementNow]
    lists: list[str]
    tags: list[str]
    attributes: dict[str, str]
    suppressed: list[Channel]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom. Everything that is given must fit.

    Attributes:
        words: the beginning of an address or of a name, an openid, or a number.
        email, openid: whole.
    """

    words: str = ""
    email: str = ""
    openid: str = ""
    tag: str = ""
    list_name: str = ""


async def find_people(
    session: AsyncSession, wanted: Wanted, *, after: int = 0, limit: int
) -> list[Subscriber]:
    """In the order of their numbers, behind one. Who has been erased is found by number alone."""
    number: Any = col(Subscriber.id)
    statement = select(Subscriber)
    if wanted.tag:
        # Its index has a tag's people in this order.
        number = col(SubscriberTag.subscriber_id)
        statement = statement.join(SubscriberTag, number == col(Subscriber.id)).where(
            SubscriberTag.tag == wanted.tag
        )
    if wanted.list_name:
        # Its number first: by it the database knows how many there are, and has them in this order.
        named = select(MailingList.id).where(MailingList.name == wanted.list_name)
        list_id = (await session.exec(named)).first() or 0
        statement = statement.join(ListMembership, col(ListMembership.subscriber_id) == number).where(
            ListMembership.list_id == list_id, col(ListMembership.left_at).is_(None)
        )
        number = col(ListMembership.subscriber_id)
    if wanted.words:
        statement = statement.where(await _fitting(session, wanted.words.strip()))
    if wanted.email:
        statement = statement.where(Subscriber.email_key == address_key(wanted.email))
    if wanted.openid:
        statement = statement.where(Subscriber.openid == wanted.openid)
    return list((await session.exec(statement.where(number > after).order_by(number).limit(limit))).all())


async def _fitting(session: AsyncSession, words: str) -> ColumnElement[bool]:
    """Who begins so. Few are named by their numbers, as the indexes know them; where they are many, one of them comes
    soon enough on the way through everybody.
    """
    fits = [
        begins_with(session, col(Subscriber.email_key), address_key(words)),
        *(begins_with(session, col(Subscriber.name), spelling) for spelling in _spellings(words)),
        *_wholly(words),
    ]
    found: set[int] = set()
    for fit in fits:
        some = (await session.exec(select(Subscriber.id).where(fit).limit(FEW))).all()
        if len(some) == FEW:
            return or_(*fits)
        found.update(id_ for id_ in some if id_ is not None)
    return col(Subscriber.id).in_(found)


def _wholly(words: str) -> list[ColumnElement[bool]]:
    """Who is called just so: by their openid, or by their number."""
    named: list[ColumnElement[bool]] = [col(Subscriber.openid) == words]
    if words.isascii() and words.isdigit() and len(words) < 10:
        named.append(col(Subscriber.id) == int(words))
    return named


def _spellings(words: str) -> list[str]:
    """As somebody may have written a name that is typed in haste."""
    return sorted({words, words.lower(), words.upper(), words.title()})


async def suggest(session: AsyncSession, words: str, *, limit: int) -> list[Subscriber]:
    """Who may be meant by what is typed so far: a number or an openid itself, then addresses and names by letter.

    A step into each index and `limit` rows of it, however many people there are: quick enough for every key.
    """
    words = words.strip()
    if not words:
        return []
    found: dict[int | None, Subscriber] = {}
    for which in _wholly(words):
        found |= {one.id: one for one in (await session.exec(select(Subscriber).where(which))).all()}
    for column, front in ((col(Subscriber.email_key), address_key(words)), (col(Subscriber.name), words)):
        if len(found) < limit:
            statement = (
                select(Subscriber)
                .where(begins_with(session, column, front))
                .order_by(by_bytes(session, column))
                .limit(limit)
            )
            found |= {one.id: one for one in (await session.exec(statement)).all() if one.id not in found}
    return list(found.values())[:limit]


async def profiles_of(session: AsyncSession, persons: Sequence[Subscriber]) -> list[Profile]:
    """What is known of each."""
    ids = [person.id for person in persons if person.id is not None]
    agreements: dict[int, list[AgreementNow]] = defaultdict(list)
    current = (
        select(Subscription)
        .where(col(Subscription.subscriber_id).in_(ids), col(Subscription.ended_at).is_(None))
        .order_by(col(Subscription.id))
    )
    for row in (await session.exec(current)).all():
        agreements[row.subscriber_id].append(
            AgreementNow(
                row.publication,
                row.whole_issue,
                row.sections,
                row.channel,
                row.cadence,
                row.paused_until,
                row.origin,
                row.began_at,
            )
        )
    lists: dict[int, list[str]] = defaultdict(list)
    on_lists = (
        select(ListMembership.subscriber_id, MailingList.name)
        .join(MailingList, col(MailingList.id) == col(ListMembership.list_id))
        .where(col(ListMembership.subscriber_id).in_(ids), col(ListMembership.left_at).is_(None))
        .order_by(col(MailingList.name))
    )
    for subscriber_id, name in (await session.exec(on_lists)).all():
        lists[subscriber_id].append(name)
    tags: dict[int, list[str]] = defaultdict(list)
    tagged = (
        select(SubscriberTag)
        .where(col(SubscriberTag.subscriber_id).in_(ids))
        .order_by(col(SubscriberTag.tag))
    )
    for tag in (await session.exec(tagged)).all():
        tags[tag.subscriber_id].append(tag.tag)
    attributes: dict[int, dict[str, str]] = defaultdict(dict)
    known = (
        select(SubscriberAttribute)
        .where(col(SubscriberAttribute.subscriber_id).in_(ids))
        .order_by(col(SubscriberAttribute.name))
    )
    for attribute in (await session.exec(known)).all():
        attributes[attribute.subscriber_id][attribute.name] = attribute.value
    targets = [target for person in persons for target in (person.email_key, person.openid) if target]
    stopped = select(Suppression.channel, Suppression.target).where(
        col(Suppression.channel).in_(list(Channel)), col(Suppression.target).in_(targets)
    )
    suppressed = set((await session.exec(stopped)).all()) if targets else set()
    return [
        Profile(
            id=person.id,
            email=person.email,
            openid=person.openid,
            name=person.name,
            language=person.language,
            no_tracking=person.no_tracking,
            created_at=person.created_at,
            last_opened_at=person.last_opened_at,
            erased_at=person.erased_at,
            agreements=agreements[person.id],
            lists=lists[person.id],
            tags=tags[person.id],
            attributes=attributes[person.id],
            suppressed=[
                channel
                for channel, target in ((Channel.EMAIL, person.email_key), (Channel.WECHAT, person.openid))
                if (channel, target) in suppressed
            ],
        )
        for person in persons
        if person.id is not None
    ]
