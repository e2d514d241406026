"""People and what they agreed to: added, found, changed, unsubscribed, back again.

In: one person's fields, inside the caller's transaction. Out: rows; an event where somebody leaves or comes back.
Callers: importing, cli/, the web pages, WeChat pushes. A change never edits a subscription: it ends one row and
begins another, so what was agreed to, when and why can be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import NotFoundError, StateError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.fields import (
    FieldError,
    check_reachable,
    known_sections,
    natural_channel,
    read_address,
    read_name,
    read_openid,
)
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber, Subscription

Status = Literal["added", "changed", "unchanged"]

#: Why a subscription's row ended, where another one began in its place.
CHANGED = "changed"
UNSUBSCRIBED_EVENT = "subscriber.unsubscribed"
RESUBSCRIBED_EVENT = "subscriber.resubscribed"
_LONGEST_EVIDENCE = 255
_LONGEST_REASON = 100


@dataclass(frozen=True, slots=True)
class Added:
    """Who it is, and what adding did."""

    subscriber_id: int
    status: Status


async def add(
    session: AsyncSession,
    clock: Clock,
    publication: Publication,
    *,
    email: str | None,
    name: str,
    openid: str | None,
    sections: Sequence[str],
    whole_issue: bool,
    channel: ChannelChoice | None,
    cadence: Cadence,
    origin: str,
    evidence: str,
) -> Added:
    """Add somebody, or give who is there already (by address or openid) this interest.

    Args:
        name: empty leaves a name that is known.
        sections: keys of the publication.
        channel: None is by what is there.
        origin: `import`, `admin`, `preferences` …
        evidence: what shows that they agreed.

    Raises:
        FieldError: a value can't be taken.
        StateError: the address is one person's and the openid another's.
    """
    address = read_address(email) if email and email.strip() else None
    checked_openid = read_openid(openid) if openid and openid.strip() else None
    checked_name = read_name(name)
    if address is None and checked_openid is None:
        raise FieldError("email", "identity.missing", "邮箱和 openid 至少要有一个")
    person = await find(session, email=address.key if address else None, openid=checked_openid)
    status: Status = "unchanged"
    if person is None:
        person = Subscriber(created_at=clock())
        status = "added"
    before = (person.email, person.openid, person.name)
    if address is not None and person.email_key != address.key:
        person.email, person.email_key = address.email, address.key
    person.openid = checked_openid or person.openid
    person.name = checked_name or person.name
    if status == "unchanged" and before != (person.email, person.openid, person.name):
        status = "changed"
    has = {"has_email": person.email is not None, "has_openid": person.openid is not None}
    way = channel or natural_channel(**has)
    check_reachable(way, **has)
    session.add(person)
    await session.flush()
    assert person.id is not None  # noqa: S101  # just written
    was_current = await current(session, person.id, publication.key) is not None
    changed = await change_interest(
        session,
        clock,
        person.id,
        publication,
        whole_issue=whole_issue,
        sections=sections,
        channel=way,
        cadence=cadence,
        origin=origin,
        evidence=evidence,
    )
    if not was_current:
        status = "added"
    elif changed and status == "unchanged":
        status = "changed"
    return Added(person.id, status)


async def find(
    session: AsyncSession, *, email: str | None = None, openid: str | None = None
) -> Subscriber | None:
    """Who has this address (in any case) or this openid.

    Raises:
        StateError: both are given and belong to two people.
    """
    by_email = await find_by_email(session, email) if email else None
    by_openid = await find_by_openid(session, openid) if openid else None
    if by_email is not None and by_openid is not None and by_email.id != by_openid.id:
        raise StateError(
            "这个邮箱和这个 openid 已属于两位不同的订阅者", hint="请先核对，再只用其中一个添加。"
        )
    return by_email or by_openid


async def find_by_email(session: AsyncSession, email: str) -> Subscriber | None:
    """The subscriber with this address, in whatever case."""
    return (
        await session.exec(select(Subscriber).where(Subscriber.email_key == email.strip().casefold()))
    ).first()


async def find_by_openid(session: AsyncSession, openid: str) -> Subscriber | None:
    """The subscriber with this openid."""
    return (await session.exec(select(Subscriber).where(Subscriber.openid == openid))).first()


async def find_by_id(session: AsyncSession, subscriber_id: int) -> Subscriber:
    """Raises: NotFoundError: there is no such subscriber."""
    found = await session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFoundError(f"没有编号为 {subscriber_id} 的订阅者")
    return found


async def current(session: AsyncSession, subscriber_id: int, publication: str) -> Subscription | None:
    """What the person agrees to now; None: not subscribed."""
    statement = select(Subscription).where(
        Subscription.subscriber_id == subscriber_id,
        Subscription.publication == publication,
        col(Subscription.ended_at).is_(None),
    )
    return (await session.exec(statement)).first()


async def last_ended(session: AsyncSession, subscriber_id: int, publication: str) -> Subscription | None:
    """The person's row that ended last."""
    statement = (
        select(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.publication == publication)
        .where(col(Subscription.ended_at).is_not(None))
        .order_by(col(Subscription.ended_at).desc(), col(Subscription.id).desc())
        .limit(1)
    )
    return (await session.exec(statement)).first()


async def change_interest(
    session: AsyncSession,
    clock: Clock,
    subscriber_id: int,
    publication: Publication,
    *,
    whole_issue: bool,
    sections: Sequence[str],
    channel: ChannelChoice,
    cadence: Cadence,
    origin: str,
    evidence: str,
) -> bool:
    """From now on the person reads this. Who is not subscribed becomes so.

    Returns:
        False: it was so already, and nothing was written.

    Raises:
        FieldError: a section is not one of the publication's.
    """
    unknown = [key for key in sections if publication.section(key) is None]
    if unknown:
        raise FieldError("sections", "sections.unknown", f"没有名为“{unknown[0]}”的栏目")
    wanted = [] if whole_issue else known_sections(publication, set(sections))
    if not whole_issue and not wanted:
        raise FieldError("sections", "sections.none", "请至少选一个栏目，或选整期")
    now_row = await current(session, subscriber_id, publication.key)
    wish = (whole_issue, wanted, channel, cadence)
    now = clock()  # asked once: the row that ends and the one that begins share the moment
    if now_row is not None:
        if wish == (now_row.whole_issue, now_row.sections, now_row.channel, now_row.cadence):
            return False
        now_row.ended_at = now
        now_row.end_reason = CHANGED
        session.add(now_row)
        await session.flush()  # the row that ends goes first: one current row a person
    session.add(
        Subscription(
            subscriber_id=subscriber_id,
            publication=publication.key,
            whole_issue=whole_issue,
            sections=wanted,
            channel=channel,
            cadence=cadence,
            origin=origin,
            evidence=evidence[:_LONGEST_EVIDENCE],
            began_at=now,
        )
    )
    await session.flush()
    return True


async def unsubscribe(
    session: AsyncSession, clock: Clock, subscriber_id: int, publication: str, *, reason: str, origin: str
) -> bool:
    """End what the person agreed to.

    Args:
        publication: its key.
        reason: in the reader's or admin's words, or empty.
        origin: which way it came: `one_click`, `page`, `wechat`, `admin`.

    Returns:
        False: they were not subscribed; nothing is written, and that is no error.
    """
    now_row = await current(session, subscriber_id, publication)
    if now_row is None:
        return False
    now_row.ended_at = clock()
    now_row.end_reason = f"{origin}:{reason}"[:_LONGEST_REASON] if reason else origin
    session.add(now_row)
    await session.flush()
    await record(
        session,
        clock,
        UNSUBSCRIBED_EVENT,
        f"{UNSUBSCRIBED_EVENT}:{now_row.id}",
        subscriber_id=subscriber_id,
        publication=publication,
        subscription_id=now_row.id,
        origin=origin,
    )
    return True


async def give_reason(session: AsyncSession, subscriber_id: int, publication: str, reason: str) -> bool:
    """Note why the person left, said after they did. Returns: False: they are subscribed, or never were."""
    if await current(session, subscriber_id, publication) is not None:
        return False
    ended = await last_ended(session, subscriber_id, publication)
    if ended is None:
        return False
    ended.end_reason = f"{ended.end_reason.partition(':')[0]}:{reason}"[:_LONGEST_REASON]
    session.add(ended)
    return True


async def resubscribe(
    session: AsyncSession,
    clock: Clock,
    subscriber_id: int,
    publication: str,
    *,
    origin: str = "undo",
    evidence: str = "",
) -> bool:
    """Undo an unsubscription: a new row that copies the ended one.

    Returns:
        False: they are subscribed, or never were.
    """
    if await current(session, subscriber_id, publication) is not None:
        return False
    ended = await last_ended(session, subscriber_id, publication)
    if ended is None:
        return False
    again = Subscription(
        subscriber_id=subscriber_id,
        publication=publication,
        whole_issue=ended.whole_issue,
        sections=list(ended.sections),
        channel=ended.channel,
        cadence=ended.cadence,
        origin=origin,
        evidence=evidence[:_LONGEST_EVIDENCE],
        began_at=clock(),
    )
    session.add(again)
    await session.flush()
    await record(
        session,
        clock,
        RESUBSCRIBED_EVENT,
        f"{RESUBSCRIBED_EVENT}:{again.id}",
        subscriber_id=subscriber_id,
        publication=publication,
        subscription_id=again.id,
        origin=origin,
    )
    return True
