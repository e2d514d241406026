"""The page that a letter's link opens: what was asked for, and the button that makes it so.

In: the link in a letter. Out: a page; what was asked for, done. GET changes nothing, because mail scanners follow every
link; a repeat is no error.
"""

from aiohttp import web

from bdnews_dispatch.errors import StateError
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.requests import Found, Step, answer, find_request
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS, WAKE


async def show(request: web.Request) -> web.Response:
    """What it is about, and one button."""
    async with request.app[DATABASE].read() as session:
        found = await find_request(session, request[DELIVERY_KEY])
    return _page(request, found)


async def act(request: web.Request) -> web.Response:
    """Say yes."""
    app = request.app
    problem: StateError | None = None
    try:
        async with app[DATABASE].write() as session:
            found = await answer(session, app[CLOCK], app[PUBLICATIONS], request[DELIVERY_KEY])
    except StateError as error:
        problem = error
        async with app[DATABASE].read() as session:
            found = await find_request(session, request[DELIVERY_KEY])
    app[WAKE]()
    return _page(request, found, problem=problem)


def _page(request: web.Request, found: Found, *, problem: StateError | None = None) -> web.Response:
    asked = found.request
    step = found.step(request.app[CLOCK]())
    return request.app[PAGES].response(
        request,
        "confirm.html",
        status=409 if problem is not None and step is Step.ASKS else 410 if step is Step.EXPIRED else 200,
        publication=request.app[PUBLICATIONS].named(asked.publication),
        kind=asked.kind.value,
        step=step.value,
        other=found.other,
        two=asked.other_key is not None,
        address=masked(asked.email),
        wish=asked.wish,
        until=asked.expires_at,
        problem=problem,
        preferences=request.app[LINKS].preferences(asked.key),
        subscribe=request.app[LINKS].subscribe(asked.publication),
    )
