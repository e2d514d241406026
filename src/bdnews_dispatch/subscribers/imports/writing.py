"""Writes what was decided: one statement a table.

In: `Changes`. Out: rows, in the caller's transaction. Caller: applying.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import for_driver, insert_new, insert_tuples
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.agreements import CHANGED, UNSUBSCRIBED_EVENT
from bdnews_dispatch.subscribers.imports.deciding import ORIGIN, Agreed, Changes, Terms
from bdnews_dispatch.subscribers.imports.models import ImportMember, ImportMode
from bdnews_dispatch.subscribers.models import (
    Channel,
    ListMembership,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)

_PERSON = ("id", "email", "email_key", "openid", "name", "language", "no_tracking", "created_at")
_AGREED = (
    "subscriber_id",
    "publication",
    "whole_issue",
    "sections",
    "channel",
    "cadence",
    "paused_until",
    "origin",
    "evidence",
    "network",
    "consent",
    "began_at",
    "end_reason",
)
_MEMBERSHIP = (
    "list_id",
    "subscriber_id",
    "origin",
    "evidence",
    "network",
    "consent",
    "joined_at",
    "leave_reason",
)


async def write_changes(session: AsyncSession, terms: Terms, changes: Changes) -> None:
    """Raises: DBAPIError: the database takes none of it."""
    now = for_driver(session, Subscriber, "created_at", terms.now)
    await insert_tuples(
        session, Subscriber, _PERSON, [(*person, False, now) for person in changes.new_people]
    )
    connection = await session.connection()
    if changes.people:
        # One after the other an address or openid may pass from hand to hand; never two at once.
        await connection.execute(
            update(Subscriber).where(col(Subscriber.id) == bindparam("of_id")),
            [
                {
                    "of_id": person.id,
                    "email": person.email,
                    "email_key": person.email_key,
                    "openid": person.openid,
                    "name": person.name,
                    "language": person.language,
                }
                for person in changes.people
            ],
        )
    await _end(session, changes.ended, terms.now, CHANGED)
    sections: dict[tuple[str, ...], str] = {}

    def agreed_row(agreed: Agreed) -> tuple[object, ...]:
        keys = agreed.wish.sections
        text = sections.get(keys) or sections.setdefault(keys, json.dumps(keys))
        return (
            agreed.subscriber_id,
            terms.publication,
            agreed.wish.whole,
            text,
            agreed.channel,
            agreed.cadence,
            agreed.paused_until,
            ORIGIN,
            terms.evidence(agreed.row),
            "",
            terms.consent,
            now,
            "",
        )

    await insert_tuples(session, Subscription, _AGREED, [agreed_row(agreed) for agreed in changes.agreed])
    if terms.list_id is not None:
        rows = [
            (terms.list_id, subscriber_id, ORIGIN, terms.evidence(row), "", terms.consent, now, "")
            for subscriber_id, row in changes.joined
        ]
        await insert_tuples(session, ListMembership, _MEMBERSHIP, rows)
    await _describe(session, changes)
    await _leave(session, terms, changes.left)
    await _suppress(session, terms, changes.suppressed)
    if terms.mode is ImportMode.REPLACE_LIST:
        ids = {*changes.named, *(person.id for person in changes.new_people)}
        if ids:
            rows_of = [{"run_id": terms.run_id, "subscriber_id": id_} for id_ in sorted(ids)]
            await connection.execute(insert_new(session, ImportMember), rows_of)


async def _suppress(session: AsyncSession, terms: Terms, targets: Sequence[tuple[str, str, int]]) -> None:
    """As `suppressions.suppress`, for many: the first word about an address stands."""
    if targets:
        rows = [
            {
                "channel": Channel(channel),
                "target": target,
                "reason": ORIGIN,
                "source": ORIGIN,
                "evidence": terms.evidence(row),
                "created_at": terms.now,
            }
            for channel, target, row in targets
        ]
        await session.execute(insert_new(session, Suppression), rows)


async def _end(session: AsyncSession, ids: Sequence[int], now: datetime, reason: str) -> None:
    if ids:
        connection = await session.connection()
        await connection.execute(
            update(Subscription)
            .where(col(Subscription.id) == bindparam("of_id"))
            .values(ended_at=now, end_reason=reason),
            [{"of_id": id_} for id_ in ids],
        )


async def _leave(session: AsyncSession, terms: Terms, left: Sequence[tuple[int, int]]) -> None:
    """As `agreements.unsubscribe`, for many: each leaving is an event of its own."""
    if not left:
        return
    await _end(session, [subscription_id for subscription_id, _ in left], terms.now, terms.reason)
    first, *others = left
    # The first by the outbox's own hand, which wakes whoever listens.
    await record(
        session,
        lambda: terms.now,
        UNSUBSCRIBED_EVENT,
        f"{UNSUBSCRIBED_EVENT}:{first[0]}",
        **_leaving(terms, *first),
    )
    now = for_driver(session, Event, "created_at", terms.now)
    rows = [
        (
            UNSUBSCRIBED_EVENT,
            f"{UNSUBSCRIBED_EVENT}:{subscription_id}",
            json.dumps(_leaving(terms, subscription_id, subscriber_id)),
            now,
        )
        for subscription_id, subscriber_id in others
    ]
    await insert_tuples(session, Event, ("name", "key", "payload", "created_at"), rows)


def _leaving(terms: Terms, subscription_id: int, subscriber_id: int) -> dict[str, object]:
    return {
        "subscriber_id": subscriber_id,
        "publication": terms.publication,
        "subscription_id": subscription_id,
        "origin": ORIGIN,
    }


async def _describe(session: AsyncSession, changes: Changes) -> None:
    if changes.tags:
        rows = [{"subscriber_id": id_, "tag": tag} for id_, tag in changes.tags]
        await session.execute(insert_new(session, SubscriberTag), rows)
    if changes.attributes:
        fresh = [
            {"subscriber_id": id_, "name": name, "value": value} for id_, name, value in changes.attributes
        ]
        connection = await session.connection()
        await connection.execute(insert_new(session, SubscriberAttribute), fresh)
        await connection.execute(
            update(SubscriberAttribute).where(
                col(SubscriberAttribute.subscriber_id) == bindparam("of_id"),
                col(SubscriberAttribute.name) == bindparam("of_name"),
            ),
            [{"of_id": id_, "of_name": name, "value": value} for id_, name, value in changes.attributes],
        )
