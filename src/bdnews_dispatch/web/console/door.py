"""In and out: signing in by a password and a code, choosing a password by a link, signing out.

Called through routes.py. The way in through an OpenID provider is in provider.py.
"""

from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.accounts.passwords import SHORTEST, PasswordError, hash_new
from bdnews_dispatch.accounts.programs import Programs, end_programs, programs_of
from bdnews_dispatch.accounts.sessions import (
    Entered,
    HalfwayError,
    SignInError,
    halfway,
    show_code,
    sign_in,
    sign_out,
    signed_in,
)
from bdnews_dispatch.accounts.users import choose_password, user_of_link
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.tracking.machines import family_of
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.desk import DOORS
from bdnews_dispatch.web.console.guests import SIGN_IN, WHO, Cookie, check_origin, cookie_name, set_cookie
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PAGES, SETTINGS
from bdnews_dispatch.web.language import suffix_of

_LONGEST_EMAIL = 254
_LONGEST_CODE = 40


async def front(_: web.Request) -> web.Response:
    """What people type, and what is written in letters: on to the first page, or from there to the form."""
    raise web.HTTPFound("/console/today")


async def show(request: web.Request) -> web.Response:
    """The form; who is signed in goes on."""
    app = request.app
    if value := request.cookies.get(cookie_name(request), ""):
        async with app[DATABASE].read() as session:
            if await signed_in(session, app[CLOCK], value) is not None:
                raise web.HTTPSeeOther(next_page(request.query.get("next", "")))
    return sign_in_form(request)


async def enter(request: web.Request) -> web.StreamResponse:
    """A new session, whatever cookie there was; or on to the code."""
    check_origin(request)
    form = await read_form(request)
    app, network = request.app, network_of(request)
    email = "".join(sign for sign in str(form.get("email", "")) if sign.isprintable())[:_LONGEST_EMAIL]
    try:
        entered = await sign_in(
            app[DATABASE],
            app[CLOCK],
            email=email,
            password=str(form.get("password", "")),
            network=network,
            browser=browser_of(request),
        )
    except SignInError as error:
        return sign_in_form(request, email=email, problem=error)
    return await lead_in(request, entered, request.query.get("next", ""), by="password")


async def show_code_form(request: web.Request) -> web.Response:
    """Who has shown a password is asked for a code."""
    app = request.app
    value = request.cookies.get(cookie_name(request, Cookie.HALF), "")
    async with app[DATABASE].read() as session:
        if not (value and await halfway(session, app[CLOCK], value)):
            raise web.HTTPSeeOther(SIGN_IN + suffix_of(request))
    return _code(request)


async def take_code(request: web.Request) -> web.StreamResponse:
    """The second half of signing in."""
    check_origin(request)
    form = await read_form(request)
    app = request.app
    try:
        value = await show_code(
            app[DATABASE],
            app[CLOCK],
            app[LINKS].signer,
            value=request.cookies.get(cookie_name(request, Cookie.HALF), ""),
            code=str(form.get("one_time_code", ""))[:_LONGEST_CODE],
            network=network_of(request),
            browser=browser_of(request),
        )
    except HalfwayError as error:
        return sign_in_form(request, problem=error)
    except SignInError as error:
        return _code(request, problem=error)
    response = await lead_in(request, Entered(value, half=False), request.query.get("next", ""), by="code")
    set_cookie(request, response, "", Cookie.HALF)
    return response


async def lead_in(request: web.Request, entered: Entered, wanted: str, *, by: str) -> web.Response:
    """With a cookie to where they wanted to go, or first to the page that asks for a code.

    A session that this browser had before is over: its cookie is lost with this answer.

    Args:
        by: how they have shown who they are, for the audit log: password, code, provider.
    """
    app, next_ = request.app, next_page(wanted)
    if entered.half:
        where, cookie = f"{SIGN_IN}/code?{urlencode({'next': next_, **_language(request)})}", Cookie.HALF
    else:
        where, cookie = next_, Cookie.SESSION
        async with app[DATABASE].write() as session:
            before = await signed_in(session, app[CLOCK], request.cookies.get(cookie_name(request), ""))
            if before is not None:
                await sign_out(session, before.session_id)
            who = await signed_in(session, app[CLOCK], entered.value)
            if who is not None:
                await audit.record(
                    session,
                    app[CLOCK],
                    actor=who.actor,
                    action="sign_in",
                    change={"by": by},
                    network=network_of(request),
                )
    response = web.Response(status=303, headers={"Location": where, "Cache-Control": "no-store"})
    set_cookie(request, response, entered.value, cookie)
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
    user, programs = await _of_link(request)
    if user is None:
        return _password(request, status=404)
    return _password(request, email=user.email, programs=programs, status=200)


async def set_password(request: web.Request) -> web.StreamResponse:
    """By the link, once."""
    check_origin(request)
    form = await read_form(request)
    app, secret = request.app, request.match_info["link"]
    user, programs = await _of_link(request)
    if user is None:
        return _password(request, status=404)
    password = str(form.get("password", ""))
    if password != str(form.get("again", "")):
        problem = PasswordError("两次写的不一样", hint="请再写一次。")
        return _password(request, email=user.email, programs=programs, problem=problem, status=422)
    try:
        hashed = await hash_new(password, email=user.email)
        async with app[DATABASE].write() as session:
            chosen = await choose_password(session, app[CLOCK], secret, hashed)
            assert chosen.id is not None  # noqa: S101  # from the database
            change = {}
            if form.get("programs"):
                change = (await end_programs(session, app[CLOCK], chosen.id)).change
            await audit.record(
                session,
                app[CLOCK],
                actor=f"user:{chosen.id}",
                action="password",
                subject=f"user:{chosen.id}",
                change=change,
                network=network_of(request),
            )
    except PasswordError as error:
        return _password(request, email=user.email, programs=programs, problem=error, status=422)
    except NotFoundError:
        return _password(request, status=404)
    raise web.HTTPSeeOther("/console/sign-in?password=chosen")


def sign_in_form(
    request: web.Request, *, email: str = "", problem: BdnewsError | None = None, status: int = 401
) -> web.Response:
    """The page of the sign-in. Args: problem: why they are not in."""
    settings = request.app[SETTINGS].sign_in
    next_ = next_page(request.query.get("next", ""))
    return request.app[PAGES].response(
        request,
        "console/sign_in.html",
        status=status if problem else 200,
        email=email,
        problem=problem,
        chosen="password" in request.query,
        action=str(request.rel_url.with_path(SIGN_IN).with_query({"next": next_, **_language(request)})),
        next=next_,
        provider=(settings.provider_name or urlsplit(settings.issuer).hostname) if settings.issuer else "",
    )


def _code(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    return request.app[PAGES].response(
        request,
        "console/code.html",
        status=401 if problem else 200,
        problem=problem,
        action=str(
            request.rel_url.with_query(
                {"next": next_page(request.query.get("next", "")), **_language(request)}
            )
        ),
    )


async def _of_link(request: web.Request) -> tuple[User | None, Programs | None]:
    """Whose link the address has, and what reads in their name."""
    app = request.app
    async with app[DATABASE].read() as session:
        user = await user_of_link(session, app[CLOCK], request.match_info["link"])
        if user is None or user.id is None:
            return None, None
        return user, await programs_of(session, app[CLOCK], user.id)


def _password(
    request: web.Request,
    *,
    status: int,
    email: str = "",
    programs: Programs | None = None,
    problem: PasswordError | None = None,
) -> web.Response:
    return request.app[PAGES].response(
        request,
        "console/password.html",
        status=status,
        email=email,
        programs=programs,
        problem=problem,
        shortest=SHORTEST,
    )


def _language(request: web.Request) -> dict[str, str]:
    """The one that the address names: the page after a wrong password is in it, too."""
    return {"lang": request.query["lang"]} if "lang" in request.query else {}


def next_page(wanted: str) -> str:
    """Where they wanted to go: a page of the console, never another site."""
    plain = wanted.isprintable() and "\\" not in wanted and "//" not in wanted.partition("?")[0]
    return wanted if wanted.startswith("/console/") and plain else DOORS[0].path


def browser_of(request: web.Request) -> str:
    """What the browser calls itself, as a family: so that its owner knows a session again."""
    return family_of(request.headers.get("User-Agent", "")[:500])
