"""Erasing a person (PIPL art. 47): what is left is a number without anybody behind it, and a mark that can't be read.

In: a subscriber's id, the keys of the installation. Out: rows without the person. Callers: the page behind a letter's
link, cli/. Deliveries, attempts and hits stay as counts of a dispatch, under the number of an emptied row. The mark is
a keyed hash of the address: with it a later import leaves the person out; without the keys it says nothing.

A new table that holds something of a person gets a statement in `_statements`; a test searches every table.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Text, cast, delete, update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.links import Signer
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.erased import REASON, erased_among, marks_of
from bdnews_dispatch.subscribers.imports.forgetting import forget_person
from bdnews_dispatch.subscribers.imports.models import ImportMember
from bdnews_dispatch.subscribers.models import (
    Channel,
    Follower,
    ListMembership,
    Request,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.tracking.pushes import PUSHED_EVENT

ERASED_EVENT = "subscriber.erased"


async def erase(session: AsyncSession, clock: Clock, signer: Signer, subscriber_id: int) -> bool:
    """Erase everything about the person, in the caller's transaction.

    Returns:
        False: it was done before.

    Raises:
        NotFoundError: there is no such subscriber.
    """
    person = await people.find_by_id(session, subscriber_id)
    if person.erased_at is not None:
        return False
    marks = [
        (channel, marks_of(signer, target)[0])
        for channel, target in ((Channel.EMAIL, person.email_key), (Channel.WECHAT, person.openid))
        if target is not None
    ]
    await forget_person(session, {person.email_key, person.openid} - {None})
    for statement in _statements(person):
        await session.execute(statement.execution_options(synchronize_session=False))
    now = clock()
    await session.execute(
        update(Subscriber)
        .where(col(Subscriber.id) == subscriber_id)
        .values(
            email=None,
            email_key=None,
            openid=None,
            name="",
            language="zh",
            no_tracking=True,
            last_opened_at=None,
            erased_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    for channel, target in marks:
        row = {"channel": channel, "target": target, "reason": REASON, "created_at": now}
        await session.execute(insert_new(session, Suppression).values(**row))
    await record(session, clock, ERASED_EVENT, f"{ERASED_EVENT}:{subscriber_id}", subscriber_id=subscriber_id)
    session.expire_all()
    return True


def _statements(person: Subscriber) -> Iterator[Any]:
    """In the order in which rows name each other."""
    own = person.id
    deliveries = select(Delivery.id).where(Delivery.subscriber_id == own)
    whose = [col(Request.subscriber_id) == own]
    if person.email_key is not None:
        whose.append(col(Request.email_key) == person.email_key)
    requests = select(Request.id).where(or_(*whose))
    yield delete(Letter).where(col(Letter.request_id).in_(requests))
    yield delete(Request).where(or_(*whose))
    for table in (ImportMember, Subscription, ListMembership, SubscriberTag, SubscriberAttribute):
        yield delete(table).where(col(table.subscriber_id) == own)
    # Other servers quote the address in their answers.
    yield update(Attempt).where(col(Attempt.delivery_id).in_(deliveries)).values(text="", reference="")
    yield update(Hit).where(col(Hit.delivery_id).in_(deliveries)).values(user_agent="")
    if person.email_key is not None:
        yield delete(Suppression).where(
            col(Suppression.channel) == Channel.EMAIL, col(Suppression.target) == person.email_key
        )
    if person.openid is not None:
        yield delete(Follower).where(col(Follower.openid) == person.openid)
        yield delete(Suppression).where(
            col(Suppression.channel) == Channel.WECHAT, col(Suppression.target) == person.openid
        )
        said = cast(col(Event.payload), Text).contains(person.openid, autoescape=True)
        yield update(Event).where(col(Event.name) == PUSHED_EVENT, said).values(payload={})


async def was_erased(session: AsyncSession, signer: Signer, target: str) -> bool:
    """Whether the person of this address (folded) or openid had everything erased: no file brings them back."""
    return target in await erased_among(session, signer, [target])


async def forget_erasure(session: AsyncSession, signer: Signer, target: str) -> None:
    """They have come back by themselves: the mark has done its work."""
    marks = marks_of(signer, target)
    await session.execute(delete(Suppression).where(col(Suppression.target).in_(marks)))
