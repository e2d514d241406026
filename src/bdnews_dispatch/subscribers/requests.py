"""What somebody asks for by a page and confirms by a mail: to subscribe, another address, a copy, erasure.

In: what a form held; later the key in a mail's link. Out: rows of `Request`, the event `request.made` (letters/ writes
the mail that asks), and on the answer what was asked for. Callers: web/, cli/. Until the answer nothing follows: nobody
is subscribed, and an agreement that is there stays as it is. A copy and an erasure are carried out by privacy/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, StateError
from bdnews_dispatch.issues.publications import Publication, Publications
from bdnews_dispatch.links import random_key
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers import agreements, lists, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import Address, read_address
from bdnews_dispatch.subscribers.models import (
    Cadence,
    ChannelChoice,
    Request,
    RequestKind,
    Subscriber,
)

MADE_EVENT = "request.made"
SUBSCRIBED_EVENT = "subscriber.confirmed"
ADDRESS_CHANGED_EVENT = "subscriber.address_changed"
#: How long a mail's link can be answered.
VALID = timedelta(days=7)
#: Whoever types somebody else's address can fill no mailbox with our mails …
MOST_FOR_ADDRESS_A_DAY = 4
#: … and whoever has many addresses is stopped by where they come from. A network is a /24 or a /48: an office, not a
#: city.
MOST_FROM_NETWORK_AN_HOUR = 30


class TooManyError(BdnewsError):
    """Too much from one network; try again later."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a form came from. `network`: never a whole address. `consent`: the version of the text beside it."""

    network: str = ""
    consent: str = ""


class Step(StrEnum):
    """Where a request stands, for a page."""

    #: Waits for this answer.
    ASKS = "asks"
    #: This answer is in; the one from the other address is not.
    WAITS_FOR_OTHER = "waits_for_other"
    DONE = "done"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Found:
    """A request by one of its keys. `other`: the key is of the mail to the old address."""

    request: Request
    other: bool

    def step(self, now: datetime) -> Step:
        """Where it stands."""
        request = self.request
        if request.done_at is not None:
            return Step.DONE
        if request.expires_at <= now:
            return Step.EXPIRED
        answered = request.other_answered_at if self.other else request.answered_at
        return Step.WAITS_FOR_OTHER if answered is not None else Step.ASKS


async def ask_to_subscribe(
    session: AsyncSession,
    clock: Clock,
    publication: Publication,
    *,
    address: Address,
    name: str,
    language: str,
    agreement: Agreement,
    list_ids: Sequence[int] = (),
    origin: Origin,
) -> Request | None:
    """Ask an address whether it wants this.

    Returns:
        None: it has been asked often enough today. Whoever asks is told the same as always.

    Raises:
        FieldError: the sections can't be taken.
        TooManyError: too much from this network.
    """
    wish = agreement.columns(publication)
    wish |= {"name": name, "lists": list(list_ids), "paused_until": None}
    return await _ask(
        session,
        clock,
        RequestKind.SUBSCRIBE,
        publication.key,
        address,
        language=language,
        wish=wish,
        origin=origin,
    )


async def ask_to_change_address(
    session: AsyncSession,
    clock: Clock,
    publication: str,
    person: Subscriber,
    address: Address,
    *,
    origin: Origin,
) -> Request | None:
    """Ask the new address and, where there is one, the old one. Returns and raises as `ask_to_subscribe`."""
    return await _ask(
        session,
        clock,
        RequestKind.CHANGE_ADDRESS,
        publication,
        address,
        person=person,
        two=person.email is not None,
        origin=origin,
    )


async def ask_about_data(
    session: AsyncSession,
    clock: Clock,
    publication: str,
    person: Subscriber,
    kind: RequestKind,
    *,
    origin: Origin,
) -> Request | None:
    """Ask the person's address whether a copy is to be made, or all erased: people forward mails.

    Raises:
        StateError: the person has no address.
        TooManyError: too much from this network.
    """
    if person.email is None or person.email_key is None:
        raise StateError("您没有留下邮箱，无法用邮件确认", hint="请直接联系编辑部，我们会核对身份后办理。")
    address = Address(person.email, person.email_key)
    return await _ask(session, clock, kind, publication, address, person=person, origin=origin)


async def _ask(
    session: AsyncSession,
    clock: Clock,
    kind: RequestKind,
    publication: str,
    address: Address,
    *,
    person: Subscriber | None = None,
    language: str = "",
    wish: dict[str, Any] | None = None,
    two: bool = False,
    origin: Origin,
) -> Request | None:
    now = clock()
    if origin.network:
        mark = now - timedelta(hours=1)
        of_network = await _number(session, col(Request.network) == origin.network, since=mark)
        if of_network >= MOST_FROM_NETWORK_AN_HOUR:
            raise TooManyError(
                "您所在的网络提交得太频繁了", hint="没有更改任何内容。请一小时后再试，或联系编辑部。"
            )
    of_address = await _number(session, col(Request.email_key) == address.key, since=now - timedelta(days=1))
    if of_address >= MOST_FOR_ADDRESS_A_DAY:
        return None
    request = Request(
        key=random_key(now),
        other_key=random_key(now) if two else None,
        kind=kind,
        publication=publication,
        subscriber_id=person.id if person else None,
        email=address.email,
        email_key=address.key,
        language=language or (person.language if person else "zh"),
        wish=wish or {},
        network=origin.network,
        consent=origin.consent,
        requested_at=now,
        expires_at=now + VALID,
    )
    session.add(request)
    await session.flush()
    await record(session, clock, MADE_EVENT, f"{MADE_EVENT}:{request.id}", request_id=request.id)
    return request


async def _number(session: AsyncSession, which: Any, *, since: datetime) -> int:
    statement = select(func.count()).select_from(Request).where(which, col(Request.requested_at) > since)
    return int((await session.exec(statement)).one())


async def find_request(session: AsyncSession, key: str) -> Found:
    """Raises: NotFoundError: there is no such request (any more)."""
    statement = select(Request).where(or_(col(Request.key) == key, col(Request.other_key) == key))
    request = (await session.exec(statement)).first()
    if request is None:
        raise NotFoundError("没有这项请求的记录")
    return Found(request, other=request.key != key)


async def answer(session: AsyncSession, clock: Clock, publications: Publications, key: str) -> Found:
    """The reader has said yes. A repeat does nothing more.

    Raises:
        NotFoundError: there is no such request (any more).
        StateError: it has expired; or the new address belongs to somebody else by now.
    """
    found = await find_request(session, key)
    request, now = found.request, clock()
    match found.step(now):
        case Step.DONE | Step.WAITS_FOR_OTHER:
            return found
        case Step.EXPIRED:
            raise StateError("这个链接已过期", hint="没有更改任何内容。请重新提交，我们会再寄一封确认信。")
        case Step.ASKS:
            pass
    if found.other:
        request.other_answered_at = now
    else:
        request.answered_at = now
    session.add(request)
    if request.answered_at is not None and (
        request.other_key is None or request.other_answered_at is not None
    ):
        await _carry_out(session, clock, publications, request)
    await session.flush()
    return found


async def _carry_out(
    session: AsyncSession, clock: Clock, publications: Publications, request: Request
) -> None:
    match request.kind:
        case RequestKind.SUBSCRIBE:
            await _subscribe(session, clock, publications.named(request.publication), request)
        case RequestKind.CHANGE_ADDRESS:
            await _change_address(session, clock, request)
        case RequestKind.EXPORT | RequestKind.ERASE:
            pass  # privacy/ does it, called by the page
    request.done_at = clock()


async def _subscribe(session: AsyncSession, clock: Clock, publication: Publication, request: Request) -> None:
    wish = request.wish
    proof = Proof("form", f"request:{request.id}", request.network, request.consent)
    known = set(publication.section_keys)
    sections = [key for key in wish.get("sections", ()) if key in known]
    there = await people.find_by_email(session, request.email)
    reads = await agreements.current(session, there.id, publication.key) if there and there.id else None
    agreement = Agreement(
        whole_issue=bool(wish.get("whole_issue")) or not sections,
        sections=sections,
        # The form offers email alone; who has chosen WeChat as well keeps it.
        channel=reads.channel if reads else ChannelChoice(wish.get("channel", "email")),
        cadence=Cadence(wish.get("cadence", "issue")),
    )
    added = await people.add(
        session,
        clock,
        publication,
        email=request.email,
        name=str(wish.get("name", "")),
        openid=None,
        agreement=agreement,
        proof=proof,
    )
    request.subscriber_id = added.subscriber_id
    person = await people.find_by_id(session, added.subscriber_id)
    person.language = request.language
    session.add(person)
    key = f"{SUBSCRIBED_EVENT}:{request.id}"
    await record(session, clock, SUBSCRIBED_EVENT, key, subscriber_id=person.id, request_id=request.id)
    offered = {row.id for row in await lists.public_lists(session)}
    for list_id in wish.get("lists", ()):
        if list_id in offered:
            await lists.join_list(session, clock, list_id, [added.subscriber_id], proof)


async def _change_address(session: AsyncSession, clock: Clock, request: Request) -> None:
    assert request.subscriber_id is not None  # noqa: S101  # asked for by a subscriber
    person = await people.find_by_id(session, request.subscriber_id)
    owner = await people.find_by_email(session, request.email)
    if owner is not None and owner.id != person.id:
        raise StateError(
            "这个新邮箱已经有自己的订阅",
            hint="您的地址没有更改。要改用它，请先在那个邮箱收到的邮件里退订，或联系编辑部。",
        )
    address = read_address(request.email)
    person.email, person.email_key = address.email, address.key
    session.add(person)
    key = f"{ADDRESS_CHANGED_EVENT}:{request.id}"
    await record(session, clock, ADDRESS_CHANGED_EVENT, key, subscriber_id=person.id, request_id=request.id)


async def subscribed_already(session: AsyncSession, request: Request) -> bool:
    """Whether who is asked reads the publication now."""
    person = await people.find_by_email(session, request.email)
    if person is None or person.id is None:
        return False
    return await agreements.current(session, person.id, request.publication) is not None
