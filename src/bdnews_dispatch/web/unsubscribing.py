"""Leaving: the page that a link opens, the button on it, and the one-click POST of mail programs (RFC 8058).

In: the link in a mail, for ever. Out: a page; an ended subscription, an event, a hit. GET changes nothing, because mail
scanners follow every link; a repeat is no error; undo stands on the page that says it was done.
"""

from aiohttp import web

from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.recording import record_hit
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS, WAKE
from bdnews_dispatch.web.reader import Reader, reader_of

#: RFC 8058 §3.1.
_ONE_CLICK = ("List-Unsubscribe", "One-Click")
#: Why somebody leaves: what the page offers, and what is kept.
REASONS = ("too_often", "not_relevant", "never_asked", "other")


async def show(request: web.Request) -> web.Response:
    """What it is about, and one button."""
    async with request.app[DATABASE].read() as session:
        reader = await reader_of(session, request.app[PUBLICATIONS], request[DELIVERY_KEY])
        current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
    return _page(request, reader, "ask" if current is not None else "gone")


async def act(request: web.Request) -> web.Response:
    """Leave; or undo that; or say why. Whatever else a body says, a POST here means leaving."""
    form = await read_form(request)
    app = request.app
    is_one_click = form.get(_ONE_CLICK[0], "") == _ONE_CLICK[1]
    async with app[DATABASE].write() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        publication = reader.publication.key
        if "undo" in form and not is_one_click:
            await agreements.resubscribe(
                session,
                app[CLOCK],
                reader.subscriber_id,
                publication,
                proof=Proof("undo", f"link:{reader.delivery.id}"),
            )
            step = "back"
        elif form.get("reason") in REASONS and not is_one_click:
            await agreements.give_reason(session, reader.subscriber_id, publication, str(form["reason"]))
            step = "thanks"
        else:
            origin = "one_click" if is_one_click else "page"
            left = await agreements.unsubscribe(
                session, app[CLOCK], reader.subscriber_id, publication, reason="", origin=origin
            )
            if left:
                await record_hit(
                    session,
                    app[CLOCK],
                    reader.delivery.key,
                    HitKind.UNSUBSCRIBE,
                    user_agent=request.headers.get("User-Agent", ""),
                )
            step = "left"
    app[WAKE]()
    return _page(request, reader, step)


def _page(request: web.Request, reader: Reader, step: str) -> web.Response:
    return request.app[PAGES].response(
        request,
        "unsubscribe.html",
        publication=reader.publication,
        address=reader.shown_address,
        has_wechat=reader.person.openid is not None,
        step=step,
        reasons=REASONS,
        preferences=request.app[LINKS].preferences(reader.delivery.key),
    )
