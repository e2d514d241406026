"""The page that the demo ends with: the issue as it was understood, and what each subscriber got and did with it; and
the door by which its users come into the console without a password.

In: the database and the sandbox of this machine. Out: one page that keeps itself up to date; a session, once for each
link. Only where the service runs as a demo, and only for a browser on this machine: it shows addresses whole.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.sessions import begin_session
from bdnews_dispatch.accounts.users import anybody, find_user
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.dispatch.words import reason
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.intake import current_revision
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.subscribers.audience import Person, people
from bdnews_dispatch.subscribers.models import Channel, Subscriber, Subscription
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.tracking.reading import (
    Counts,
    DeliveryCounts,
    counts_of_deliveries,
    counts_of_dispatch,
)
from bdnews_dispatch.web.access import is_loopback
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.door import browser_of
from bdnews_dispatch.web.console.guests import check_origin, set_cookie
from bdnews_dispatch.web.keys import (
    BEGAN,
    CLOCK,
    DATABASE,
    GUESTS,
    LINKS,
    PAGES,
    PUBLICATIONS,
    SANDBOX,
    STOPPING,
)

#: A demo has three subscribers; somebody who imports a real file sees the first of them.
_MOST_SUBSCRIBERS = 50
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery as the page shows it.

    Attributes:
        kept: its mail or card in the sandbox; empty: not there (yet).
        title: what was sent.
        why: its reason in words, where there are some.
    """

    delivery: Delivery
    counts: DeliveryCounts
    kept: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A subscriber as the page shows them."""

    person: Person
    subscribed: bool
    sent: tuple[Sent, ...]


async def show(request: web.Request) -> web.Response:
    """The page."""
    sandbox = request.app[SANDBOX]
    assert sandbox is not None  # noqa: S101  # the demo runs with its sandbox
    publication = request.app[PUBLICATIONS].named(None)
    async with request.app[DATABASE].read() as session:
        document = await _newest(session, publication)
        rows = await _rows(session, publication, sandbox, since=request.app[BEGAN])
        dispatches = {sent.delivery.dispatch_id for row in rows for sent in row.sent}
        counts = [await counts_of_dispatch(session, i) for i in sorted(dispatches)]
        news = await _fingerprint(session)
        console = await anybody(session)
    address = ""
    if document is not None and document.total_number is not None:
        address = request.app[LINKS].issue(publication.key, document.total_number)
    return request.app[PAGES].response(
        request,
        "demo.html",
        publication=publication,
        document=document,
        address=address,
        rows=rows,
        total=_summed(counts),
        # Only then it has to be said what each mail is.
        several=len(dispatches) > 1,
        sandbox_url=sandbox.http_url,
        console=console,
        news=news,
    )


async def door(request: web.Request) -> web.Response:
    """Who comes in by this link, and the button. A browser that looks ahead uses nothing up."""
    async with request.app[DATABASE].read() as session:
        user = await find_user(session, _guest(request))
    return request.app[PAGES].response(request, "demo_door.html", user=user, status=200 if user else 404)


async def enter(request: web.Request) -> web.StreamResponse:
    """In, once."""
    check_origin(request)
    app, email = request.app, _guest(request)
    async with app[DATABASE].write() as session:
        user = await find_user(session, email)
        if user is None:
            raise web.HTTPNotFound
        network = network_of(request)
        value = await begin_session(session, app[CLOCK], user, network=network, browser=browser_of(request))
        await audit.record(
            session,
            app[CLOCK],
            actor=f"user:{user.id}",
            action="sign_in",
            change={"by": "demo"},
            network=network,
        )
        # The last thing before it is committed: nothing can come between two that come at once.
        if app[GUESTS].pop(request.match_info["link"], None) is None:
            raise web.HTTPNotFound
    response = web.Response(status=303, headers={"Location": "/console/today", "Cache-Control": "no-store"})
    set_cookie(request, response, value)
    return response


def _guest(request: web.Request) -> str:
    """Whose link it is; "": nobody's any more. Whatever a Host header says, the other end must be this machine."""
    if not is_loopback(f"[{request.remote or ''}]"):
        raise web.HTTPNotFound
    return request.app[GUESTS].get(request.match_info["link"], "")


async def news(request: web.Request) -> web.StreamResponse:
    """Server-sent events: a line whenever something has changed, until the reader or the service goes."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would keep the lines until it has some kilobytes
        }
    )
    await response.prepare(request)
    stopping = request.app[STOPPING]
    told = request.query.get("seen", "")
    while not stopping.is_set():
        now = await _look(request.app[DATABASE])
        try:
            # An empty line is no event: it finds out whether somebody still listens.
            await response.write(f"data: {now}\n\n".encode() if now != told else b":\n\n")
        except ConnectionError:
            break
        told = now
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await stopping.wait()
        except TimeoutError:
            continue
    return response


async def _look(database: Database) -> str:
    async with database.read() as session:
        return await _fingerprint(session)


async def _fingerprint(session: AsyncSession) -> str:
    """Changes whenever the page would show something else."""
    statement = select(
        select(func.count(col(Hit.id))).scalar_subquery(),
        select(func.count(col(Subscriber.id))).scalar_subquery(),
        select(func.count(col(Subscription.id))).scalar_subquery(),
        select(func.count(col(Subscription.ended_at))).scalar_subquery(),
        select(func.count(col(Issue.id)) + func.coalesce(func.sum(col(Issue.revision)), 0)).scalar_subquery(),
        select(func.count(col(Delivery.id))).scalar_subquery(),
        select(func.max(col(Delivery.updated_at))).scalar_subquery(),
    )
    row = (await session.execute(statement)).one()
    return "-".join(str(value.timestamp() if hasattr(value, "timestamp") else value) for value in row)


async def _newest(session: AsyncSession, publication: Publication) -> IssueDocument | None:
    statement = (
        select(Issue)
        .where(col(Issue.publication) == publication.key, col(Issue.state) == IssueState.PUBLISHED)
        .order_by(col(Issue.total_number).desc())
        .limit(1)
    )
    issue: Issue | None = (await session.execute(statement)).scalar_one_or_none()
    if issue is None:
        return None
    return IssueDocument.model_validate((await current_revision(session, issue)).document)


async def _rows(
    session: AsyncSession, publication: Publication, sandbox: Sandbox, *, since: datetime
) -> list[Row]:
    """Who came while this demo runs: those of the year that it made up are the console's."""
    ids = list(
        (
            await session.execute(
                select(col(Subscriber.id))
                .where(col(Subscriber.created_at) >= since)
                .order_by(col(Subscriber.id))
                .limit(_MOST_SUBSCRIBERS)
            )
        )
        .scalars()
        .all()
    )
    found = await people(session, ids, publication=publication.key)
    subscribed = set(
        (
            await session.execute(
                select(col(Subscription.subscriber_id))
                .where(col(Subscription.publication) == publication.key, col(Subscription.ended_at).is_(None))
                .where(col(Subscription.subscriber_id).in_(ids))
            )
        ).scalars()
    )
    deliveries = (
        (
            await session.execute(
                select(Delivery).where(col(Delivery.subscriber_id).in_(ids)).order_by(col(Delivery.id))
            )
        )
        .scalars()
        .all()
    )
    counts = await counts_of_deliveries(session, [d.id for d in deliveries if d.id is not None])
    kept = _kept(sandbox)
    named = await titles(session, {d.dispatch_id for d in deliveries})
    return [
        Row(
            person=found[i],
            subscribed=i in subscribed,
            sent=tuple(_sent(d, counts, found[i], kept, named) for d in deliveries if d.subscriber_id == i),
        )
        for i in ids
    ]


def _sent(
    delivery: Delivery,
    counts: Mapping[int, DeliveryCounts],
    person: Person,
    kept: Mapping[str, Sequence[str]],
    named: Mapping[int, str],
) -> Sent:
    by_key = kept.get(delivery.key, ())
    target = (person.email or "").casefold() if delivery.channel is Channel.EMAIL else person.openid or ""
    # What was not sent has left nothing: the last one that this address got is another's.
    places = by_key or (() if delivery.state is DeliveryState.SKIPPED else kept.get(target, ()))
    return Sent(
        delivery,
        counts.get(delivery.id or 0, DeliveryCounts()),
        places[-1] if places else "",
        named.get(delivery.dispatch_id, ""),
        reason(delivery.reason) if delivery.reason else "",
    )


def _kept(sandbox: Sandbox) -> dict[str, list[str]]:
    """Where the sandbox shows a message, by the delivery's key where it is told, and by whom it was for."""
    found: dict[str, list[str]] = {}
    for mail in sandbox.mails():
        sender = mail.sender.partition("@")[0].split("+")[-1].partition(".")[0]
        for name in (sender, *(recipient.casefold() for recipient in mail.recipients)):
            found.setdefault(name, []).append(f"{sandbox.http_url}/mail/{mail.id}")
    for card in sandbox.cards():
        for name in (card.client_msg_id, card.openid):
            found.setdefault(name, []).append(f"{sandbox.http_url}/cards/{card.id}")
    return found


def _summed(counts: Sequence[Counts]) -> Counts:
    return Counts(
        opened=sum(c.opened for c in counts),
        clicked=sum(c.clicked for c in counts),
        unsubscribed=sum(c.unsubscribed for c in counts),
        machine_opened=sum(c.machine_opened for c in counts),
        machine_clicked=sum(c.machine_clicked for c in counts),
    )
