"""Who is at the other end of a request to the console.

In: its cookie, its form. Out: `SignedIn`, kept with the request. Called by access.py for every route that needs a
session. What changes something must come from a page of ours: the browser says where a request comes from
(Sec-Fetch-Site, Origin), and the form holds the session's own word.
"""

import hmac
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from urllib.parse import quote, urlsplit

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from bdnews_dispatch.accounts.identities import LASTS as SENT_LASTS
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.sessions import HALF_LASTS, LASTS, SignedIn, seen, signed_in
from bdnews_dispatch.settings import SignInSettings
from bdnews_dispatch.web.console.again import Typed, confirm, over, typed
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS
from bdnews_dispatch.web.language import LANGUAGE

WHO = web.RequestKey("who", SignedIn)
#: The right that let them in.
_BY_RIGHT: web.RequestKey[Right] = web.RequestKey("by_right", Right)
FORM: web.RequestKey[MultiDictProxy[str]] = web.RequestKey("form", MultiDictProxy)
SIGN_IN = "/console/sign-in"
#: Of a request that a page's script makes by itself, time and again (assets/console.js): nobody may sit before it.
WATCHING = "X-Watching"
_STREAM = "text/event-stream"
ENROLLING = "/console/account/second-factor"
CSRF = "csrf"


async def greet(request: web.Request, right: Right, *, upload: bool, unenrolled: bool) -> web.Response | None:
    """Let in who has signed in and whose role holds the right.

    Args:
        upload: the handler reads the body, and checks the form's word itself (`check_word`).
        unenrolled: whether somebody without the second factor that they must have gets on.

    Raises:
        web.HTTPSeeOther: to the sign-in page, and back here from there; or to where a second factor is set up.
        web.HTTPForbidden: the role is too small, or the form is not of a page of ours.

    Returns:
        Nothing where they are in; else the answer to a form that came too late, which keeps what was typed.
    """
    app = request.app
    value = request.cookies.get(cookie_name(request), "")
    who = None
    if value:
        async with app[DATABASE].read() as session:
            who = await signed_in(session, app[CLOCK], value)
    if who is None:
        if request.method not in {"GET", "HEAD"}:
            return over(request, None if upload else typed(request, await read_form(request)))
        raise web.HTTPSeeOther(f"{SIGN_IN}?next={quote(str(request.rel_url))}")
    request[WHO], request[_BY_RIGHT], request[LANGUAGE] = who, right, who.language
    if not who.may(right):
        raise web.HTTPForbidden
    if not unenrolled and must_enrol(app[SETTINGS].sign_in, who):
        raise web.HTTPSeeOther(ENROLLING)
    if request.method not in {"GET", "HEAD"}:
        check_origin(request)
        request[FORM] = MultiDictProxy(MultiDict()) if upload else await read_form(request)
        if not upload:
            fields = _of_an_earlier_session(request, who)
            if fields is not None:
                return confirm(request, fields, who.csrf)
            check_word(request, str(request[FORM].get(CSRF, "")))
    by_itself = WATCHING in request.headers or request.headers.get("Accept") == _STREAM
    if who.unseen and not by_itself:
        async with app[DATABASE].write_beside() as session:
            await seen(session, app[CLOCK], who.session_id)
    return None


async def is_still_in(request: web.Request) -> bool:
    """Whether who was let in would be let in now: their session goes on, their role still holds the right.

    For answers that last. Always so where no session was needed (the operations listener). Listening is no use of a
    session: it keeps none alive.
    """
    if WHO not in request:
        return True
    app = request.app
    async with app[DATABASE].read() as session:
        who = await signed_in(session, app[CLOCK], request.cookies.get(cookie_name(request), ""))
    same = who is not None and who.publications == request[WHO].publications  # else the next request tells
    return who is not None and same and who.may(request[_BY_RIGHT])


def must_enrol(settings: SignInSettings, who: SignedIn) -> bool:
    """Whether they must have a second factor and have none."""
    of_these = settings.second_factor == "everybody" or (
        settings.second_factor == "admins" and who.role is Role.ADMIN
    )
    return of_these and not who.second_factor


def check_word(request: web.Request, given: str) -> None:
    """Raises: web.HTTPForbidden: the form is not of a page of this session's."""
    if not _is_word(given, request[WHO]):
        raise web.HTTPForbidden


def _is_word(given: str, who: SignedIn) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), who.csrf.encode())


def _of_an_earlier_session(request: web.Request, who: SignedIn) -> Typed | None:
    """What was typed in a page of ours that holds another word than this session's; None: it is of no such page."""
    form = request[FORM]
    return None if _is_word(str(form.get(CSRF, "")), who) else typed(request, form)


def check_origin(request: web.Request) -> None:
    """Raises: web.HTTPForbidden: the browser says that another site sends it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise web.HTTPForbidden
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden


class Cookie(StrEnum):
    """Our cookies."""

    #: Of a session.
    SESSION = "bdnews"
    #: Of somebody who has shown a password and not yet a code.
    HALF = "bdnews-half"
    #: Of somebody who was sent to the OpenID provider.
    SENT = "bdnews-sent"


_LASTS: Mapping[Cookie, timedelta] = {
    Cookie.SESSION: LASTS,
    Cookie.HALF: HALF_LASTS,
    Cookie.SENT: SENT_LASTS,
}


def cookie_name(request: web.Request, cookie: Cookie = Cookie.SESSION) -> str:
    """`__Host-`: only over TLS, for this host alone (RFC 6265bis). Without TLS, on a machine of one's own, plain."""
    return f"__Host-{cookie}" if _is_tls(request) else cookie.value


def set_cookie(
    request: web.Request, response: web.StreamResponse, value: str, cookie: Cookie = Cookie.SESSION
) -> None:
    """Args: value: empty takes the cookie away."""
    response.set_cookie(
        cookie_name(request, cookie),
        value,
        max_age=int(_LASTS[cookie].total_seconds()) if value else 0,
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="Lax",
    )


def _is_tls(request: web.Request) -> bool:
    return request.app[SETTINGS].base_url.startswith("https://")
