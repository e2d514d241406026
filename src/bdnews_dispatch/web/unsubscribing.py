"""Leaving: the page that a link opens, the buttons on it, and the one-click POST of mail programs (RFC 8058).

In: the link in a mail, for ever. Out: a page; an ended subscription or membership, an event, a hit. GET changes
nothing, because mail scanners follow every link; a repeat is no error; undo stands on the page that says it was done.
"""

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.subscribers import agreements, lists
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.models import MailingList
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.recording import record_hits
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS, WAKE
from bdnews_dispatch.web.reader import ErasedError, Reader, reader_of
from bdnews_dispatch.web.touches import touch_of

#: RFC 8058 §3.1.
_ONE_CLICK = ("List-Unsubscribe", "One-Click")
#: Why somebody leaves: what the page offers, and what is kept.
REASONS = ("too_often", "not_relevant", "never_asked", "other")


async def show(request: web.Request) -> web.Response:
    """What it is about, and the buttons."""
    async with request.app[DATABASE].read() as session:
        try:
            reader = await reader_of(session, request.app[PUBLICATIONS], request[DELIVERY_KEY])
        except ErasedError:
            return _nobody(request)
        current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
        named = await _lists_of(session, reader)
        others = await _others(session, request, reader)
    return _page(request, reader, "ask" if current is not None else "gone", named=named, others=others)


async def act(request: web.Request) -> web.Response:
    """Leave; or undo that; or say why. Whatever else a body says, a POST here means leaving."""
    form = await read_form(request)
    app = request.app
    is_one_click = form.get(_ONE_CLICK[0], "") == _ONE_CLICK[1]
    named: list[MailingList] = []
    async with app[DATABASE].write() as session:
        try:
            reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        except ErasedError:
            return _nobody(request)
        publication = reader.publication.key
        if "undo" in form and not is_one_click:
            await agreements.resubscribe(
                session, app[CLOCK], reader.subscriber_id, publication, proof=Proof("undo", reader.evidence)
            )
            step = "back"
        elif "list" in form and not is_one_click:
            named = [found for found in await _lists_of(session, reader) if str(found.id) == form["list"]]
            for found in named:
                assert found.id is not None  # noqa: S101  # read from the database
                await lists.leave_list(session, app[CLOCK], found.id, [reader.subscriber_id], reason="page")
            step = "left_list"
        elif form.get("reason") in REASONS and not is_one_click:
            await agreements.give_reason(session, reader.subscriber_id, publication, str(form["reason"]))
            step = "thanks"
        else:
            await _leave(session, request, reader, "one_click" if is_one_click else "page")
            if "everything" in form and not is_one_click:
                await _leave_everything(session, request, reader)
            step = "left"
    app[WAKE]()
    return _page(request, reader, step, named=named)


async def _leave(session: AsyncSession, request: web.Request, reader: Reader, origin: str) -> None:
    left = await agreements.unsubscribe(
        session, request.app[CLOCK], reader.subscriber_id, reader.publication.key, reason="", origin=origin
    )
    if left and reader.delivery is not None:
        await record_hits(session, request.app[CLOCK], [touch_of(request, reader.key, HitKind.UNSUBSCRIBE)])


async def _leave_everything(session: AsyncSession, request: web.Request, reader: Reader) -> None:
    """Every publication, and every list that keeps them together."""
    for publication in request.app[PUBLICATIONS]:
        await agreements.unsubscribe(
            session, request.app[CLOCK], reader.subscriber_id, publication, reason="", origin="page_all"
        )
    for found, membership in await lists.memberships(session, reader.subscriber_id):
        if membership.left_at is None and found.id is not None:
            await lists.leave_list(
                session, request.app[CLOCK], found.id, [reader.subscriber_id], reason="page_all"
            )


async def _lists_of(session: AsyncSession, reader: Reader) -> list[MailingList]:
    """The lists by which this mail came, as far as the reader is on them: leaving them may be all that is wanted."""
    if reader.delivery is None:
        return []
    dispatch = await session.get(Dispatch, reader.delivery.dispatch_id)
    names = set(dispatch.lists) if dispatch is not None else set()
    return [
        found
        for found, membership in await lists.memberships(session, reader.subscriber_id)
        if membership.left_at is None and found.name in names
    ]


async def _others(session: AsyncSession, request: web.Request, reader: Reader) -> bool:
    """Whether they read another publication as well."""
    for publication in request.app[PUBLICATIONS]:
        if publication != reader.publication.key and await agreements.current(
            session, reader.subscriber_id, publication
        ):
            return True
    return False


def _page(
    request: web.Request,
    reader: Reader,
    step: str,
    *,
    named: list[MailingList] | None = None,
    others: bool = False,
) -> web.Response:
    return request.app[PAGES].response(
        request,
        "unsubscribe.html",
        publication=reader.publication,
        address=reader.shown_address,
        has_wechat=reader.person.openid is not None,
        step=step,
        reasons=REASONS,
        lists=named or [],
        others=others,
        preferences=request.app[LINKS].preferences(reader.key),
    )


def _nobody(request: web.Request) -> web.Response:
    """Nothing is kept of them, so nothing goes out: an old mail's link says so, with 200 for mail programs."""
    return request.app[PAGES].response(
        request, "erased.html", publication=request.app[PUBLICATIONS].named(None)
    )
