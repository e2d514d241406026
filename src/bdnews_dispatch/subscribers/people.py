"""People: who they are, found by address or openid, added.

In: one person's fields, inside the caller's transaction. Out: rows. Callers: cli/, requests, WeChat pushes. What they
agree to is in agreements.py.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import NotFoundError, Phrase, StateError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.agreements import Agreement, Proof, agree, current
from bdnews_dispatch.subscribers.fields import (
    FieldError,
    address_key,
    check_reachable,
    natural_channel,
    read_address,
    read_name,
    read_openid,
)
from bdnews_dispatch.subscribers.models import Request, RequestKind, Subscriber

#: So many people are counted by any rule in some milliseconds.
FEW = 1_000
Status = Literal["added", "changed", "unchanged"]


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
    agreement: Agreement,
    proof: Proof,
    natural: bool = False,
) -> Added:
    """Add somebody, or let who is there already (by address or openid) agree to this from now on.

    Args:
        name: empty leaves a name that is known.
        natural: the channel is by what is there, whatever the agreement says.

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
    if checked_openid is not None and person.openid != checked_openid:
        person.openid, person.bound_at = checked_openid, clock()
    person.name = checked_name or person.name
    if status == "unchanged" and before != (person.email, person.openid, person.name):
        status = "changed"
    has = {"has_email": person.email is not None, "has_openid": person.openid is not None}
    if natural:
        agreement = replace(agreement, channel=natural_channel(**has))
    check_reachable(agreement.channel, **has)
    session.add(person)
    await session.flush()
    assert person.id is not None  # noqa: S101  # just written
    was_current = await current(session, person.id, publication.key) is not None
    changed = await agree(session, clock, person.id, publication, agreement, proof)
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
    """The subscriber with this address, in whatever case, its domain in either form (例子.中国, xn--…)."""
    return (await session.exec(select(Subscriber).where(Subscriber.email_key == address_key(email)))).first()


async def find_by_openid(session: AsyncSession, openid: str) -> Subscriber | None:
    """The subscriber with this openid."""
    return (await session.exec(select(Subscriber).where(Subscriber.openid == openid))).first()


async def find_by_id(session: AsyncSession, subscriber_id: int) -> Subscriber:
    """Raises: NotFoundError: there is no such subscriber."""
    found = await session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFoundError(Phrase("没有编号为 %(id)s 的订阅者", id=subscriber_id))
    return found


async def are_few(session: AsyncSession) -> bool:
    """Whether everybody can be counted while somebody waits; looks no further than that."""
    one_more = select(Subscriber.id).order_by(col(Subscriber.id)).limit(1).offset(FEW)
    return (await session.exec(one_more)).first() is None


async def address_changed_at(session: AsyncSession, subscriber_id: int) -> datetime | None:
    """When they last confirmed another address; None: never."""
    changes = (
        select(Request.done_at)
        .where(Request.subscriber_id == subscriber_id, Request.kind == RequestKind.CHANGE_ADDRESS)
        .where(col(Request.done_at).is_not(None))
        .order_by(col(Request.done_at).desc())
        .limit(1)
    )
    return (await session.exec(changes)).first()
