"""What a reader asks for on the preference page and confirms by a fresh mail: another address, a copy, erasure.

In: the link in a mail, a form. Out: a request; a page that says which mail to look for. Nothing else changes here.
"""

from aiohttp import web

from bdnews_dispatch.errors import StateError
from bdnews_dispatch.subscribers.fields import FieldError, read_address
from bdnews_dispatch.subscribers.models import RequestKind
from bdnews_dispatch.subscribers.requests import Origin, ask_about_data, ask_to_change_address
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS, WAKE
from bdnews_dispatch.web.language import suffix_of
from bdnews_dispatch.web.reader import reader_of

_DATA = {"export": RequestKind.EXPORT, "erase": RequestKind.ERASE}


async def new_address(request: web.Request) -> web.Response:
    """Ask both addresses whether mails may go to the new one."""
    form = await read_form(request)
    app = request.app
    typed = str(form.get("email", "")).strip()
    origin = Origin(network=network_of(request))
    problem = ""
    async with app[DATABASE].write() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        try:
            address = read_address(typed)
        except FieldError as error:
            problem = error.code
        else:
            if address.key == reader.person.email_key:
                problem = "same"
            else:
                await ask_to_change_address(
                    session, app[CLOCK], reader.publication.key, reader.person, address, origin=origin
                )
    if problem:
        return app[PAGES].response(
            request,
            "address.html",
            status=422,
            publication=reader.publication,
            address=reader.shown_address,
            typed=typed[:254],
            problem=problem,
            preferences=app[LINKS].preferences(reader.key),
        )
    return _asked(request, "address")


async def own_data(request: web.Request) -> web.Response:
    """Ask the address whether a copy is wanted, or erasure."""
    form = await read_form(request)
    kind = _DATA.get(str(form.get("data", "")))
    if kind is None:
        raise web.HTTPBadRequest
    app = request.app
    async with app[DATABASE].write() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        if reader.person.email is None:
            raise StateError("您没有留下邮箱，无法用邮件确认", hint="请联系编辑部，我们核对身份后办理。")
        origin = Origin(network=network_of(request))
        await ask_about_data(session, app[CLOCK], reader.publication.key, reader.person, kind, origin=origin)
    return _asked(request, str(kind))


def _asked(request: web.Request, what: str) -> web.Response:
    """Back to the preferences, by GET. It says the same whether or not a mail was due: see requests.py."""
    request.app[WAKE]()
    query = {"asked": what} | ({"lang": "en"} if suffix_of(request) else {})
    page = request.app[LINKS].preferences(request[DELIVERY_KEY]).removeprefix(request.app[LINKS].base_url)
    raise web.HTTPSeeOther(request.rel_url.with_path(page).with_query(query))
