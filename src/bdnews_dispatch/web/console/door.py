"""In and out: signing in, choosing a password by a link, signing out. Called through routes.py."""

from aiohttp import web

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.passwords import SHORTEST, PasswordError
from bdnews_dispatch.accounts.sessions import SignInError, sign_in, sign_out, signed_in
from bdnews_dispatch.accounts.users import choose_password, user_of_link
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.desk import DOORS
from bdnews_dispatch.web.console.guests import WHO, check_origin, cookie_name, set_cookie
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PAGES

_LONGEST_EMAIL = 254


async def show(request: web.Request) -> web.Response:
    """The form; who is signed in goes on."""
    app = request.app
    if value := request.cookies.get(cookie_name(request), ""):
        async with app[DATABASE].read() as session:
            if await signed_in(session, app[CLOCK], value) is not None:
                raise web.HTTPSeeOther(_next(request))
    return _form(request)


async def enter(request: web.Request) -> web.StreamResponse:
    """A new session, whatever cookie there was."""
    check_origin(request)
    form = await read_form(request)
    app, network = request.app, network_of(request)
    email = str(form.get("email", ""))[:_LONGEST_EMAIL]
    try:
        value = await sign_in(
            app[DATABASE], app[CLOCK], email=email, password=str(form.get("password", "")), network=network
        )
    except SignInError as error:
        return _form(request, email=email, problem=error)
    async with app[DATABASE].write() as session:
        who = await signed_in(session, app[CLOCK], value)
        if who is not None:
            await audit.record(session, app[CLOCK], actor=who.actor, action="sign_in", network=network)
    response = web.Response(status=303, headers={"Location": _next(request), "Cache-Control": "no-store"})
    set_cookie(request, response, value)
    return response


async def leave(request: web.Request) -> web.StreamResponse:
    """This session is over."""
    app = request.app
    async with app[DATABASE].write() as session:
        await sign_out(session, request[WHO].session_id)
        await audit.record(
            session, app[CLOCK], actor=request[WHO].actor, action="sign_out", network=network_of(request)
        )
    response = web.Response(status=303, headers={"Location": "/console/sign-in", "Cache-Control": "no-store"})
    set_cookie(request, response, "")
    return response


async def show_password(request: web.Request) -> web.Response:
    """Choose a password."""
    app = request.app
    async with app[DATABASE].read() as session:
        user = await user_of_link(session, app[CLOCK], request.match_info["link"])
    return _password(request, email=user.email if user else "", status=200 if user else 404)


async def set_password(request: web.Request) -> web.StreamResponse:
    """By the link, once."""
    check_origin(request)
    form = await read_form(request)
    app, secret = request.app, request.match_info["link"]
    async with app[DATABASE].read() as session:
        user = await user_of_link(session, app[CLOCK], secret)
    if user is None:
        return _password(request, email="", status=404)
    password = str(form.get("password", ""))
    if password != str(form.get("again", "")):
        problem = PasswordError("两次写的不一样", hint="请再写一次。")
        return _password(request, email=user.email, problem=problem, status=422)
    try:
        async with app[DATABASE].write() as session:
            chosen = await choose_password(session, app[CLOCK], secret, password)
            await audit.record(
                session,
                app[CLOCK],
                actor=f"user:{chosen.id}",
                action="password",
                subject=f"user:{chosen.id}",
                network=network_of(request),
            )
    except PasswordError as error:
        return _password(request, email=user.email, problem=error, status=422)
    except NotFoundError:
        return _password(request, email="", status=404)
    raise web.HTTPSeeOther("/console/sign-in?password=chosen")


def _form(request: web.Request, *, email: str = "", problem: SignInError | None = None) -> web.Response:
    return request.app[PAGES].response(
        request,
        "console/sign_in.html",
        status=401 if problem else 200,
        email=email,
        problem=problem,
        chosen="password" in request.query,
        action=str(request.rel_url.with_query({"next": _next(request)})),
    )


def _password(
    request: web.Request, *, email: str, status: int, problem: PasswordError | None = None
) -> web.Response:
    return request.app[PAGES].response(
        request, "console/password.html", status=status, email=email, problem=problem, shortest=SHORTEST
    )


def _next(request: web.Request) -> str:
    """Where they wanted to go: a page of the console, never another site."""
    wanted = request.query.get("next", "")
    plain = wanted.isprintable() and "\\" not in wanted and "//" not in wanted.partition("?")[0]
    return wanted if wanted.startswith("/console/") and plain else DOORS[0].path
