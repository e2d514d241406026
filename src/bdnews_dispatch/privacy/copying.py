"""A copy of all that is kept about a person (PIPL art. 45).

In: a subscriber's id. Out: plain data with keys that never change, for JSON and for the page in web/. Callers: the page
behind a letter's link, cli/. Nothing of anybody else, and no keys of links: a copy may be passed on.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.official_account.follower_tables import WeChatTagged
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatQuota
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.lists import memberships
from bdnews_dispatch.subscribers.models import (
    Channel,
    ConsentText,
    Follower,
    Request,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
)
from bdnews_dispatch.subscribers.suppressions import listing
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.tracking.pushes import PUSHED_EVENT


async def copy_of(session: AsyncSession, clock: Clock, subscriber_id: int) -> dict[str, Any]:
    """The copy. Times are ISO 8601 in UTC.

    Raises:
        NotFoundError: there is no such subscriber.
    """
    person = await people.find_by_id(session, subscriber_id)
    requests = await _requests(session, person)
    looked_at = await seen_of(session, person)
    return {
        "made_at": _time(clock()),
        "person": {
            "email": person.email,
            "openid": person.openid,
            "name": person.name,
            "language": person.language,
            "no_tracking": person.no_tracking,
            "created_at": _time(person.created_at),
            "last_opened_at": _time(person.last_opened_at),
        },
        "agreements": looked_at["agreements"],
        "lists": looked_at["lists"],
        "tags": list(
            await session.exec(
                select(SubscriberTag.tag)
                .where(SubscriberTag.subscriber_id == subscriber_id)
                .order_by(col(SubscriberTag.tag))
            )
        ),
        "attributes": {
            row.name: row.value
            for row in await session.exec(
                select(SubscriberAttribute)
                .where(SubscriberAttribute.subscriber_id == subscriber_id)
                .order_by(col(SubscriberAttribute.name))
            )
        },
        "requests": [
            {
                "kind": row.kind.value,
                "publication": row.publication,
                "email": row.email,
                "name": str(row.wish.get("name", "")),
                "sections": row.wish.get("sections", []),
                "requested_at": _time(row.requested_at),
                "network": row.network,
                "done_at": _time(row.done_at),
            }
            for row in requests
        ],
        "letters": await _letters(session, person, requests),
        "deliveries": looked_at["deliveries"],
        "returned": await _returned(session, person, requests),
        "suppressions": looked_at["suppressions"],
        "wechat": await _wechat(session, person),
        "messages": await _messages(session, person),
    }


async def seen_of(session: AsyncSession, person: Subscriber, *, latest: int | None = None) -> dict[str, Any]:
    """The parts of it that an admin looks at: what their own rows say. Letters and chats are found by going through
    everybody's, which a page has no time for.

    Args:
        latest: so many deliveries, the last ones: a reader of six years has nine hundred. None: all.
    """
    assert person.id is not None  # noqa: S101  # read from the database
    return {
        "agreements": await _agreements(session, person.id),
        "lists": [
            {
                "list": found.name,
                "joined_at": _time(row.joined_at),
                "origin": row.origin,
                "evidence": row.evidence,
                "left_at": _time(row.left_at),
                "leave_reason": row.leave_reason,
            }
            for found, row in await memberships(session, person.id)
        ],
        "deliveries": await _deliveries(session, person.id, latest),
        "suppressions": await _suppressions(session, person),
    }


async def _agreements(session: AsyncSession, subscriber_id: int) -> list[dict[str, Any]]:
    statement = (
        select(Subscription, ConsentText)
        .outerjoin(ConsentText, col(ConsentText.version) == col(Subscription.consent))
        .where(Subscription.subscriber_id == subscriber_id)
        .order_by(col(Subscription.began_at), col(Subscription.id))
    )
    rows: Sequence[tuple[Subscription, ConsentText | None]] = (await session.exec(statement)).all()
    return [
        {
            "publication": row.publication,
            "whole_issue": row.whole_issue,
            "sections": row.sections,
            "channel": row.channel.value,
            "cadence": row.cadence.value,
            "paused_until": _time(row.paused_until),
            "began_at": _time(row.began_at),
            "origin": row.origin,
            "evidence": row.evidence,
            "network": row.network,
            "consent": text.text if text else "",
            "ended_at": _time(row.ended_at),
            "end_reason": row.end_reason,
        }
        for row, text in rows
    ]


async def _requests(session: AsyncSession, person: Subscriber) -> Sequence[Request]:
    """Their own. Somebody else who asks for this address stays out: their network, and where they are now."""
    whose = [col(Request.subscriber_id) == person.id]
    if person.email_key is not None:
        by_nobody_known = col(Request.subscriber_id).is_(None)
        whose.append(and_(by_nobody_known, col(Request.email_key) == person.email_key))
    return (await session.exec(select(Request).where(or_(*whose)).order_by(col(Request.id)))).all()


def _own_letters(person: Subscriber, requests: Sequence[Request]) -> ColumnElement[bool]:
    """Those of their requests, and any other one to their address."""
    own = col(Letter.request_id).in_([row.id for row in requests])
    return own if person.email_key is None else or_(own, func.lower(col(Letter.email)) == person.email_key)


async def _letters(
    session: AsyncSession, person: Subscriber, requests: Sequence[Request]
) -> list[dict[str, Any]]:
    which = _own_letters(person, requests)
    rows = await session.exec(select(Letter).where(which).order_by(col(Letter.id)))
    return [
        {
            "kind": row.kind.value,
            "email": row.email,
            "state": row.state.value,
            "reason": row.reason,
            "created_at": _time(row.created_at),
            "sent_at": _time(row.sent_at),
        }
        for row in rows
    ]


async def number_of_deliveries(session: AsyncSession, subscriber_id: int) -> int:
    """All that were ever planned for somebody."""
    theirs = select(func.count()).select_from(Delivery).where(col(Delivery.subscriber_id) == subscriber_id)
    return (await session.exec(theirs)).one()


async def _deliveries(
    session: AsyncSession, subscriber_id: int, latest: int | None = None
) -> list[dict[str, Any]]:
    """In the order in which they were planned."""
    newest_first = await session.exec(
        select(Delivery, Dispatch.publication)
        .join(Dispatch, col(Dispatch.id) == col(Delivery.dispatch_id))
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(col(Delivery.id).desc())
        .limit(latest)
    )
    found = newest_first.all()[::-1]
    named = await titles(session, {delivery.dispatch_id for delivery, _ in found})
    ids = [delivery.id for delivery, _ in found]
    attempts: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for attempt in await session.exec(
        select(Attempt).where(col(Attempt.delivery_id).in_(ids)).order_by(col(Attempt.id))
    ):
        attempts[attempt.delivery_id].append(
            {"at": _time(attempt.at), "outcome": attempt.outcome, "code": attempt.code, "text": attempt.text}
        )
    hits: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for hit in await session.exec(select(Hit).where(col(Hit.delivery_id).in_(ids)).order_by(col(Hit.id))):
        hits[hit.delivery_id].append(
            {
                "at": _time(hit.at),
                "kind": hit.kind.value,
                "link": hit.link,
                "by_machine": hit.machine,
                "program": hit.user_agent,
                "network": hit.network,
            }
        )
    return [
        {
            "publication": publication,
            "title": named.get(delivery.dispatch_id, ""),
            "channel": delivery.channel.value,
            "sections": delivery.sections,
            "state": delivery.state.value,
            "reason": delivery.reason,
            "sent_at": _time(delivery.sent_at),
            "attempts": attempts[delivery.id or 0],
            "hits": hits[delivery.id or 0],
        }
        for delivery, publication in found
    ]


async def _suppressions(session: AsyncSession, person: Subscriber) -> list[dict[str, Any]]:
    whose = {Channel.EMAIL: person.email_key, Channel.WECHAT: person.openid}
    found = []
    for channel, target in whose.items():
        for lifted in (False, True) if target else ():
            found += [
                {
                    "channel": channel.value,
                    "reason": row.reason,
                    "origin": row.source,
                    "evidence": row.evidence,
                    "since": _time(row.since),
                    "ended_at": _time(row.lifted_at),
                    "lift_reason": row.note,
                }
                for row in await listing(session, target=target or "", lifted=lifted)
            ]
    return found


async def _returned(
    session: AsyncSession, person: Subscriber, requests: Sequence[Request]
) -> list[dict[str, Any]]:
    deliveries = select(Delivery.id).where(Delivery.subscriber_id == person.id)
    letters = select(Letter.id).where(_own_letters(person, requests))
    of_theirs = or_(col(ReturnedMail.delivery_id).in_(deliveries), col(ReturnedMail.letter_id).in_(letters))
    rows = await session.exec(select(ReturnedMail).where(of_theirs).order_by(col(ReturnedMail.id)))
    return [
        {"at": _time(row.received_at), "kind": row.kind.value, "code": row.status, "text": row.text}
        for row in rows
    ]


async def _wechat(session: AsyncSession, person: Subscriber) -> dict[str, Any] | None:
    follower = await session.get(Follower, person.openid) if person.openid else None
    if follower is None:
        return None
    consents = await session.exec(select(WeChatCredit).where(WeChatCredit.openid == follower.openid))
    quotas = await session.exec(
        select(WeChatQuota).where(WeChatQuota.holder == follower.openid).order_by(col(WeChatQuota.period))
    )
    tags = await session.exec(
        select(WeChatTagged.section)
        .where(WeChatTagged.openid == follower.openid)
        .order_by(col(WeChatTagged.section))
    )
    return {
        "mass_messages": [{"month": row.period, "number": row.used} for row in quotas],
        "sections": list(tags),
        "following": follower.following,
        "updated_at": _time(follower.updated_at),
        "consents": [
            {"template": row.template_id, "granted": row.granted, "used": row.used} for row in consents
        ],
    }


async def _messages(session: AsyncSession, person: Subscriber) -> list[dict[str, Any]]:
    """What they did and said on WeChat, as far as it is kept."""
    if person.openid is None:
        return []
    said = cast(col(Event.payload), Text).contains(person.openid, autoescape=True)
    # Before it was theirs, the WeChat may have been somebody else's.
    since = col(Event.created_at) >= (person.bound_at or person.created_at)
    rows = await session.exec(
        select(Event)
        .where(Event.name == PUSHED_EVENT, said, since)
        .order_by(col(Event.created_at), col(Event.id))
    )
    return [
        {
            "at": _time(row.created_at),
            "kind": str(row.payload.get("kind", "")),
            "text": str(row.payload.get("text", "")),
        }
        for row in rows
        if row.payload.get("openid") == person.openid
    ]


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
