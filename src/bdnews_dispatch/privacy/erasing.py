"""Erasing a person (PIPL art. 47): what is left is a number without anybody behind it, and marks that can't be read.

In: a subscriber's id, the keys of the installation. Out: rows without the person. Callers: the page behind a letter's
link, cli/. Deliveries, attempts and hits stay as counts of a dispatch, under the number of an emptied row. The mark is
a keyed hash of the address (`subscribers/erasures.py`): by it a later import leaves the person out.

A new table that holds something of a person gets a statement in `_statements`, or, where a delivery leads to it, in
`of_deliveries`; tests/integration/privacy searches every table, and finds one that was forgotten once its fixture
writes to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, delete, false, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import OnceAnswered
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import OPEN, DeliveryState
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.links import Signer
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.official_account.follower_tables import WeChatScene, WeChatTagged
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatGrant, WeChatQuota
from bdnews_dispatch.privacy.told import emptied, told_of
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.erasures import forget_erasure, mark_erased, was_erased
from bdnews_dispatch.subscribers.imports.forgetting import forget_person
from bdnews_dispatch.subscribers.imports.models import ImportMember
from bdnews_dispatch.subscribers.models import (
    Channel,
    Follower,
    LiftedSuppression,
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

__all__ = ["erase", "forget_erasure", "of_deliveries", "was_erased"]

ERASED_EVENT = "subscriber.erased"
#: Deliveries whose sections a worker may yet read.
_NOT_OVER = (*OPEN, DeliveryState.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class _Person:
    """Whose rows go. Attributes: addresses: all that were theirs, folded. written: the same as they wrote them."""

    id: int
    openid: str | None
    addresses: frozenset[str]
    written: frozenset[str]
    requests: Sequence[int]
    subscriptions: Sequence[int]


async def erase(session: AsyncSession, clock: Clock, signer: Signer, subscriber_id: int) -> bool:
    """Erase everything about the person, in the caller's transaction.

    Returns:
        False: it was done before.

    Raises:
        NotFoundError: there is no such subscriber.
    """
    found = await people.find_by_id(session, subscriber_id)
    if found.erased_at is not None:
        return False
    person, now = await _who(session, found), clock()
    await forget_person(session, {*person.addresses, person.openid})
    for statement in _statements(person, now):
        await session.execute(statement.execution_options(synchronize_session=False))
    for address in sorted(person.addresses):
        await mark_erased(session, now, signer, Channel.EMAIL, address)
    if person.openid is not None:
        await mark_erased(session, now, signer, Channel.WECHAT, person.openid)
    await record(session, clock, ERASED_EVENT, f"{ERASED_EVENT}:{subscriber_id}", subscriber_id=subscriber_id)
    session.expire_all()
    return True


async def _who(session: AsyncSession, found: Subscriber) -> _Person:
    assert found.id is not None  # noqa: S101  # read from the database
    own = col(Request.subscriber_id) == found.id
    addresses = {found.email_key} if found.email_key is not None else set()
    written = {found.email} if found.email is not None else set()
    # Addresses that they had before: told by a change to which both sides said yes, and by the letter to the old one.
    answered = select(Request.email_key, Request.email).where(own, col(Request.done_at).is_not(None))
    for key, email in await session.exec(answered):
        addresses.add(key)
        written.add(email)
    to_old_ones = (
        select(Letter.email)
        .join(Request, col(Request.id) == col(Letter.request_id))
        .where(own, Letter.kind == LetterKind.OLD_ADDRESS)
    )
    for email in await session.exec(to_old_ones):
        addresses.add(email.casefold())
        written.add(email)
    others = select(Subscriber.email_key).where(
        col(Subscriber.email_key).in_(addresses), col(Subscriber.id) != found.id
    )
    taken = set(await session.exec(others))
    addresses -= taken  # somebody else's by now
    requests = select(Request.id).where(or_(own, col(Request.email_key).in_(addresses)))
    subscriptions = select(Subscription.id).where(Subscription.subscriber_id == found.id)
    return _Person(
        id=found.id,
        openid=found.openid,
        addresses=frozenset(addresses),
        written=frozenset(email for email in written if email.casefold() in addresses),
        requests=[id_ for id_ in await session.exec(requests) if id_ is not None],
        subscriptions=[id_ for id_ in await session.exec(subscriptions) if id_ is not None],
    )


def _statements(person: _Person, now: datetime) -> Iterator[Any]:
    """In the order in which rows name each other."""
    yield from _of_events(person)
    own_letters = or_(
        col(Letter.request_id).in_(person.requests),
        col(Letter.email).in_(person.written),
        func.lower(col(Letter.email)).in_(person.addresses),
    )
    words = [
        func.lower(col(OnceAnswered.body)).contains(word, autoescape=True) for word in sorted(_words(person))
    ]
    yield delete(OnceAnswered).where(or_(false(), *words))
    yield delete(ReturnedMail).where(col(ReturnedMail.letter_id).in_(select(Letter.id).where(own_letters)))
    yield delete(Letter).where(own_letters)
    yield delete(Request).where(col(Request.id).in_(person.requests))
    yield delete(WeChatScene).where(col(WeChatScene.subscriber_id) == person.id)
    for table in (ImportMember, Subscription, ListMembership, SubscriberTag, SubscriberAttribute):
        yield delete(table).where(col(table.subscriber_id) == person.id)
    for _, _, statement in of_deliveries(select(Delivery.id).where(Delivery.subscriber_id == person.id)):
        yield statement
    targets = {*person.addresses, *((person.openid,) if person.openid is not None else ())}
    for suppressed in (Suppression, LiftedSuppression):
        yield delete(suppressed).where(col(suppressed.target).in_(targets))
    if person.openid is not None:
        yield delete(Follower).where(col(Follower.openid) == person.openid)
        for consents in (WeChatCredit, WeChatGrant):
            yield delete(consents).where(col(consents.openid) == person.openid)
        yield delete(WeChatTagged).where(col(WeChatTagged.openid) == person.openid)
        yield delete(WeChatQuota).where(col(WeChatQuota.holder) == person.openid)
    yield (
        update(Subscriber)
        .where(col(Subscriber.id) == person.id)
        .values(
            email=None,
            email_key=None,
            openid=None,
            bound_at=None,
            name="",
            language="zh",
            no_tracking=True,
            last_opened_at=None,
            erased_at=now,
        )
    )


def _words(person: _Person) -> set[str]:
    """By which they would be found, in lower case."""
    openid = {person.openid.lower()} if person.openid is not None else set()
    return {*(word.lower() for word in person.written), *person.addresses, *openid}


def _of_events(person: _Person) -> Iterator[Any]:
    """What is kept in events, and in what went wrong with them."""
    told = told_of(requests=person.requests, subscriptions=person.subscriptions)
    which: list[ColumnElement[bool]] = [col(Event.key).in_(told)]
    words = {*person.written, *person.addresses}
    if person.openid is not None:
        words.add(person.openid)
        said = cast(col(Event.payload), Text).contains(person.openid, autoescape=True)
        which.append(and_(col(Event.name) == PUSHED_EVENT, said))
    events = select(Event.id).where(or_(*which))
    # A database's own words in an error quote what was to be written.
    quoted = [col(EventHandling.last_error).contains(word, autoescape=True) for word in sorted(words)]
    yield (
        update(EventHandling)
        .where(col(EventHandling.last_error) != "", or_(col(EventHandling.event_id).in_(events), *quoted))
        .values(last_error="")
    )
    yield emptied(or_(*which))


def of_deliveries(deliveries: Any) -> Iterator[tuple[Any, ColumnElement[bool], Any]]:
    """What these deliveries hold of their reader.

    Args:
        deliveries: a select of ids.

    Yields:
        Table, rows of it that hold something, and the statement that empties or deletes them.
    """
    of_returned = col(ReturnedMail.delivery_id).in_(deliveries)
    yield ReturnedMail, of_returned, delete(ReturnedMail).where(of_returned)
    # Other servers quote the address in their answers.
    for table, which, values in (
        (
            Attempt,
            and_(
                col(Attempt.delivery_id).in_(deliveries),
                or_(col(Attempt.text) != "", col(Attempt.reference) != ""),
            ),
            {"text": "", "reference": ""},
        ),
        (
            Hit,
            and_(
                col(Hit.delivery_id).in_(deliveries),
                or_(col(Hit.user_agent) != "", col(Hit.network) != "", col(Hit.family) != ""),
            ),
            {"user_agent": "", "network": "", "family": ""},
        ),
        (
            Delivery,
            and_(
                col(Delivery.id).in_(deliveries),
                cast(col(Delivery.sections), Text) != "[]",
                col(Delivery.state).not_in(_NOT_OVER),
            ),
            {"sections": []},
        ),
    ):
        yield table, which, update(table).where(which).values(**values)
