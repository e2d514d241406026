"""Webhooks: programs of others that events are posted to. Added with a secret that is shown once, tried, sent anew."""

from aiohttp import web

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, SETTINGS
from bdnews_dispatch.webhooks import endpoints as rooms
from bdnews_dispatch.webhooks.models import Webhook
from bdnews_dispatch.webhooks.sending import due_at
from bdnews_dispatch.webhooks.signing import secret_of

_ROOM = "/console/webhooks"
_LONGEST_NUMBER = 15


async def index(request: web.Request) -> web.Response:
    """All of them, and how each fares; who is of some publications alone sees none, and why."""
    return await _page(request)


async def show(request: web.Request) -> web.Response:
    """One, with its latest tries."""
    return await _shown(request)


async def add(request: web.Request) -> web.StreamResponse:
    """A new one; the page that answers is the only one that shows its secret."""
    app = request.app
    try:
        async with app[DATABASE].write() as session:
            webhook = await rooms.add(
                session,
                app[CLOCK],
                field(request, "url", 501),
                field(request, "names", 2000).replace("，", " ").replace(",", " ").split(),
                description=field(request, "description"),
                inside=app[SETTINGS].webhooks.inside,
            )
            await note(request, session, "webhook.add", f"webhook:{webhook.id}", {"names": webhook.names})
    except BdnewsError as error:
        return await _page(request, problem=error)
    return await _shown(request, webhook)


async def act(request: web.Request) -> web.StreamResponse:
    """Switch on or off, send anew, a new secret, remove."""
    app, webhook_id, what = request.app, number(request.match_info["id"]), field(request, "do")
    webhook: Webhook | None = None
    async with app[DATABASE].write() as session:
        if what in {"enable", "disable"}:
            await rooms.switch(session, app[CLOCK], webhook_id, on=what == "enable")
        elif what == "rotate":
            webhook = await rooms.rotate(session, app[CLOCK], webhook_id)
        elif what == "replay":
            await rooms.replay(session, app[CLOCK], webhook_id, after=_event(field(request, "after")))
        elif what == "remove":
            await rooms.remove(session, webhook_id)
        else:
            raise web.HTTPBadRequest
        await note(request, session, f"webhook.{what}", f"webhook:{webhook_id}")
    if webhook is not None:
        return await _shown(request, webhook)
    raise back(
        _ROOM if what == "remove" else f"{_ROOM}/{webhook_id}", {"remove": "removed"}.get(what, "changed")
    )


async def _page(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    of_some = bool(request[WHO].publications)  # what happens to every publication goes to each webhook
    async with request.app[DATABASE].read() as session:
        found = await rooms.listing(session) if not of_some else []
    typed = {name: field(request, name, 2000) if problem else "" for name in ("url", "names", "description")}
    return page(
        request,
        "webhooks.html",
        status=422 if problem else 200,
        found=[(one, due_at(one)) for one in found],
        of_some=of_some,
        problem=problem,
        typed=typed,
    )


async def _shown(request: web.Request, made: Webhook | None = None) -> web.Response:
    """Args: made: whose secret is new, and shown."""
    webhook_id = made.id if made is not None else number(request.match_info["id"])
    assert webhook_id is not None  # noqa: S101  # flushed
    async with request.app[DATABASE].read() as session:
        webhook = await rooms.find(session, webhook_id)
        tries = await rooms.tries_of(session, webhook_id)
    secret = secret_of(request.app[LINKS].signer, webhook_id, webhook.rotation) if made is not None else ""
    return page(request, "webhook.html", one=webhook, due=due_at(webhook), tries=tries, secret=secret)


def _event(text: str) -> int:
    """Raises: web.HTTPBadRequest: it is no number of an event."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise web.HTTPBadRequest
    return int(text)
