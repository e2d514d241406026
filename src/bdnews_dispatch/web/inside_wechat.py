"""WeChat's own sign-in (OAuth, snsapi_base): 我的 in the account's menu opens the reader's page without a link in hand.

In: a page opened inside WeChat. Out: a redirect to the platform and, with the code that comes back, to the follower's
signed link. The openid is never in an address. What goes and comes back (`state`) is a random word, of letters and
digits as the platform wants it; a signed cookie that ends holds its hash: a code that somebody else got opens nothing
here.
"""

import hashlib
import hmac
import logging
import secrets
from datetime import timedelta

from aiohttp import web

from bdnews_dispatch.channels.wechat.client import PlatformError, UnreachableError
from bdnews_dispatch.errors import TokenError
from bdnews_dispatch.links import Purpose
from bdnews_dispatch.official_account.account import SnapshotError
from bdnews_dispatch.sandbox import SANDBOX_APPID
from bdnews_dispatch.sandbox.wechat.jssdk import LOOKS
from bdnews_dispatch.subscribers import followers
from bdnews_dispatch.web.following import LINK_LASTS
from bdnews_dispatch.web.keys import ACCOUNT, CLOCK, DATABASE, LINKS, PAGES, PUBLICATIONS, SETTINGS

logger = logging.getLogger(__name__)

#: The platform's code lives five minutes.
_STATE_LASTS = timedelta(minutes=10)
_LONGEST = 512
#: Said by WeChat's browsers on phones and computers.
_AGENT = "micromessenger"


def is_wechat(request: web.Request) -> bool:
    """Whether WeChat's browser asks, or the sandbox's phone; what follows from it must be harmless in any other."""
    if request.app[SETTINGS].wechat.appid == SANDBOX_APPID and LOOKS in request.cookies:
        return True
    return _AGENT in request.headers.get("User-Agent", "").lower()


async def mine(request: web.Request) -> web.Response:
    """Ask the platform who looks."""
    app, account = request.app, request.app[ACCOUNT]
    if account is None or not is_wechat(request):
        return _told(request, "outside")
    word = secrets.token_hex(16)
    kept = app[LINKS].signer.token(Purpose.STATE, _hash(word), ends=app[CLOCK]() + _STATE_LASTS)
    back = f"{app[LINKS].base_url}/wechat/back"
    response = web.Response(
        status=302, headers={"Location": account.authorize_url(back, word), "Cache-Control": "no-store"}
    )
    response.set_cookie(
        _cookie(request),
        kept,
        max_age=int(_STATE_LASTS.total_seconds()),
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="Lax",
    )
    return response


async def back(request: web.Request) -> web.Response:
    """Back from the platform, with a code that is good once."""
    app, account = request.app, request.app[ACCOUNT]
    state, code = (request.query.get(name, "")[:_LONGEST] for name in ("state", "code"))
    kept = request.cookies.get(_cookie(request), "")[:_LONGEST]
    try:
        expected = app[LINKS].signer.read(Purpose.STATE, kept, app[CLOCK]())
    except TokenError:
        expected = ""
    if account is None or not expected or not hmac.compare_digest(_hash(state), expected):
        return _told(request, "again")
    if not code:
        return _told(request, "refused")
    try:
        openid = await account.openid_of(code)
    except SnapshotError:
        return _told(request, "snapshot")
    except (PlatformError, UnreachableError) as error:
        logger.warning(
            "wechat.sign_in_failed", extra={"code": str(error.code), "rid": getattr(error, "rid", "")}
        )
        return _told(request, "again")
    async with app[DATABASE].write() as session:
        key = await followers.key_of(session, app[CLOCK], openid)
    link = app[LINKS].follower(key, ends=app[CLOCK]() + LINK_LASTS)
    response = web.Response(status=303, headers={"Location": link, "Cache-Control": "no-store"})
    response.del_cookie(_cookie(request), path="/", secure=_is_tls(request), httponly=True, samesite="Lax")
    return response


def _told(request: web.Request, what: str) -> web.Response:
    """A page that says what happened and what to do."""
    response = request.app[PAGES].response(
        request,
        "inside_wechat.html",
        status=200 if what == "outside" else 403,
        what=what,
        publication=request.app[PUBLICATIONS].named(None),
    )
    if _cookie(request) in request.cookies:
        response.del_cookie(
            _cookie(request), path="/", secure=_is_tls(request), httponly=True, samesite="Lax"
        )
    return response


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()


def _cookie(request: web.Request) -> str:
    return "__Host-bdnews-wechat" if _is_tls(request) else "bdnews-wechat"


def _is_tls(request: web.Request) -> bool:
    return request.app[SETTINGS].base_url.startswith("https://")
