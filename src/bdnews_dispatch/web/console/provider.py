"""The way in through an OpenID provider: sent there, and back. Called through routes.py.

A plain link leads there: a form may lead to no other site (the policy's form-action). It changes nothing here; what
must be known again lies sealed in the browser's own cookie.
"""

import logging

from aiohttp import web

from bdnews_dispatch.accounts.identities import come_back, send
from bdnews_dispatch.accounts.openid import OpenIdProvider, ProviderError
from bdnews_dispatch.accounts.sessions import SignInError
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.door import browser_of, lead_in, sign_in_form
from bdnews_dispatch.web.console.guests import SIGN_IN, Cookie, cookie_name, set_cookie
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PROVIDER

logger = logging.getLogger(__name__)

BACK = f"{SIGN_IN}/provider/back"


async def leave_for(request: web.Request) -> web.StreamResponse:
    """To the provider's page."""
    app, provider = request.app, _provider(request)
    try:
        sent = await send(
            app[CLOCK],
            app[LINKS].signer,
            provider,
            next_=request.query.get("next", ""),
            back=_address_back(request),
        )
    except ProviderError as error:
        logger.warning("provider.failed", extra={"reason": error.message})
        return sign_in_form(request, problem=error, status=502)
    response = web.Response(status=303, headers={"Location": sent.address, "Cache-Control": "no-store"})
    set_cookie(request, response, sent.cookie, Cookie.SENT)
    return response


async def return_from(request: web.Request) -> web.StreamResponse:
    """From the provider's page, with a code or with the provider's no."""
    app, query, provider = request.app, request.query, _provider(request)
    try:
        if "code" not in query:
            raise SignInError("登录服务没有让您登录", hint="请再试一次，或用邮箱与密码登录。")  # noqa: TRY301  # on this page
        entered, wanted = await come_back(
            app[DATABASE],
            app[CLOCK],
            app[LINKS].signer,
            provider,
            cookie=request.cookies.get(cookie_name(request, Cookie.SENT), ""),
            state=query.get("state", ""),
            code=query["code"],
            back=_address_back(request),
            network=network_of(request),
            browser=browser_of(request),
        )
    except ProviderError as error:
        logger.warning("provider.failed", extra={"reason": error.message})
        return sign_in_form(request, problem=error, status=502)
    except SignInError as error:
        return sign_in_form(request, problem=error)
    response = await lead_in(request, entered, wanted, by="provider")
    set_cookie(request, response, "", Cookie.SENT)
    return response


def _provider(request: web.Request) -> OpenIdProvider:
    provider = request.app[PROVIDER]
    if provider is None:
        raise web.HTTPNotFound
    return provider


def _address_back(request: web.Request) -> str:
    return f"{request.app[LINKS].base_url}{BACK}"
