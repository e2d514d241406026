"""The page that a letter's link opens: what was asked for, and the button that makes it so.

In: the link in a letter. Out: a page; what was asked for, done. GET changes nothing, because mail scanners follow every
link; a repeat is no error.
"""

import json
from typing import Any

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.errors import StateError
from bdnews_dispatch.privacy.copying import copy_of
from bdnews_dispatch.privacy.erasing import erase, forget_erasure
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.models import RequestKind
from bdnews_dispatch.subscribers.requests import Found, Step, answer, find_request
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS, WAKE
from bdnews_dispatch.web.pages import PRIVATE

#: What the reader has to tick before everything is erased.
_SURE = "sure"


async def show(request: web.Request) -> web.Response:
    """What it is about, and one button."""
    async with request.app[DATABASE].read() as session:
        found = await find_request(session, request[DELIVERY_KEY])
    return _page(request, found)


async def act(request: web.Request) -> web.Response:
    """Say yes."""
    app, form = request.app, await read_form(request)
    problem: StateError | None = None
    copy: dict[str, Any] | None = None
    try:
        async with app[DATABASE].write() as session:
            found = await find_request(session, request[DELIVERY_KEY])
            if found.request.kind is RequestKind.ERASE and _SURE not in form:
                return _page(request, found, not_sure=True)
            found = await answer(session, app[CLOCK], app[PUBLICATIONS], request[DELIVERY_KEY])
            copy = await _carry_out(session, request, found)
    except StateError as error:
        problem = error
        async with app[DATABASE].read() as session:
            found = await find_request(session, request[DELIVERY_KEY])
    app[WAKE]()
    if copy is not None:
        return _copy(request, found, copy, as_file="download" in form)
    return _page(request, found, problem=problem)


async def _carry_out(session: AsyncSession, request: web.Request, found: Found) -> dict[str, Any] | None:
    """What lies beyond subscribers/: marks of an erasure, copies, erasures. Returns: the copy, where one is due."""
    asked, app = found.request, request.app
    signer = app[LINKS].signer
    match asked.kind:
        case RequestKind.SUBSCRIBE:
            await forget_erasure(session, signer, asked.email_key)
        case RequestKind.EXPORT if asked.subscriber_id is not None and asked.expires_at > app[CLOCK]():
            return await copy_of(session, app[CLOCK], asked.subscriber_id)
        case RequestKind.ERASE if asked.subscriber_id is not None:
            session.expunge(asked)  # the page still speaks of it
            await erase(session, app[CLOCK], signer, asked.subscriber_id)
        case _:
            pass
    return None


def _copy(request: web.Request, found: Found, copy: dict[str, Any], *, as_file: bool) -> web.Response:
    if as_file:
        return web.Response(
            text=json.dumps(copy, ensure_ascii=False, indent=2),
            content_type="application/json",
            charset="utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="bdnews-my-data.json"',
                "Cache-Control": PRIVATE,
            },
        )
    publication = request.app[PUBLICATIONS].named(found.request.publication)
    return request.app[PAGES].response(request, "copy.html", publication=publication, copy=copy)


def _page(
    request: web.Request, found: Found, *, problem: StateError | None = None, not_sure: bool = False
) -> web.Response:
    asked = found.request
    step = found.step(request.app[CLOCK]())
    return request.app[PAGES].response(
        request,
        "confirm.html",
        status=_status(step, problem is not None, not_sure),
        not_sure=not_sure,
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


def _status(step: Step, refused: bool, not_sure: bool) -> int:
    if step is Step.EXPIRED:
        return 410
    if step is Step.ASKS and (refused or not_sure):
        return 422 if not_sure else 409
    return 200
