"""The web application. In: the service's parts. Out: an aiohttp application. Callers: service/, tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence

from aiohttp import ClientSession, web

from bdnews_dispatch.accounts.openid import OpenIdProvider
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.card_forecast import CardAccounts
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.operations.backlog import Backlog
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.reports.tallies import Tallies
from bdnews_dispatch.sandbox import SANDBOX_APPID, Sandbox
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.settings import ReadSettings, Settings
from bdnews_dispatch.web import keys
from bdnews_dispatch.web.access import Route, access_of
from bdnews_dispatch.web.api.bearers import LIMITS, Limits
from bdnews_dispatch.web.faults import show_faults
from bdnews_dispatch.web.feeds import MADE
from bdnews_dispatch.web.hits import HitRecorder
from bdnews_dispatch.web.news import News
from bdnews_dispatch.web.operations import count_requests
from bdnews_dispatch.web.pages import Pages
from bdnews_dispatch.web.routes import OPERATIONS_ROUTES, ROUTES
from bdnews_dispatch.web.safety import add_headers

#: A WeChat push is at most 64 KB; a bulletin of 20,000 characters, posted as multipart, comes to 60 KB and its fields.
MOST_BODY_BYTES = 96 * 1024


def make_web_app(
    *,
    settings: Settings,
    database: Database,
    clock: Clock,
    publications: Publications,
    links: Links,
    wake: Callable[[], None],
    sandbox: Sandbox | None = None,
    demo: bool = False,
    guests: MutableMapping[str, str] | None = None,
    read: ReadSettings | None = None,
) -> web.Application:
    """The application.

    Args:
        settings: as this process uses them: perhaps with the sandbox's account, and with ports that it has chosen.
        read: as they were read, for who wants to see them; None: as this process uses them.
        wake: called after a commit that recorded an event.
        sandbox: whose mails the demo page shows.
        demo: show the demo page, to this machine only.
        guests: of the demo: see `keys.GUESTS`.
    """
    app = web.Application(
        middlewares=[count_requests, show_faults, access_of(ROUTES)], client_max_size=MOST_BODY_BYTES
    )
    app[keys.SETTINGS] = settings
    app[keys.READ] = read or ReadSettings.given(settings)
    app[keys.CARD_ACCOUNTS] = CardAccounts(
        Reach.read(settings.delivery.allow), settings.wechat, with_sandbox_account(settings).wechat
    )
    app[keys.DATABASE] = database
    app[keys.CLOCK] = clock
    app[keys.PUBLICATIONS] = publications
    app[keys.LINKS] = links
    app[keys.WAKE] = wake
    app[keys.SANDBOX] = sandbox
    app[keys.DEMO] = demo and sandbox is not None
    app[keys.BEGAN] = clock()
    app[keys.GUESTS] = guests if guests is not None else {}
    app[keys.PAGES] = Pages()
    app[keys.HITS] = HitRecorder(database, clock, wake)
    app[keys.TALLIES] = Tallies(database, clock)
    app[keys.READINESS] = Readiness(settings, database)
    app[keys.STOPPING] = asyncio.Event()
    app[keys.NEWS] = News()
    app[LIMITS] = Limits()
    app[MADE] = {}
    app[keys.ACCOUNT] = None
    app[keys.PROVIDER] = None
    app.cleanup_ctx.append(_recording)
    app.cleanup_ctx.append(_counting)
    app.cleanup_ctx.append(_speaking_to_wechat)
    app.cleanup_ctx.append(_speaking_to_provider)
    app.on_shutdown.append(_stop_streams)
    app.on_response_prepare.append(add_headers)
    _add(app, ROUTES)
    return app


def make_operations_app(
    readiness: Readiness, backlog: Backlog, *, database: Database, clock: Clock, news: News
) -> web.Application:
    """What the operations listener answers: /live, /ready, /metrics, /dispatches. Nothing here changes anything.

    Args:
        readiness: of the whole process.
        backlog: read before each answer to /metrics.
        news: told when something has happened, here or on another machine.
    """
    app = web.Application(middlewares=[show_faults, access_of(OPERATIONS_ROUTES)], client_max_size=1024)
    app[keys.READINESS] = readiness
    app[keys.BACKLOG] = backlog
    app[keys.DATABASE] = database
    app[keys.CLOCK] = clock
    app[keys.NEWS] = news
    app[keys.PAGES] = Pages()
    app[keys.STOPPING] = asyncio.Event()

    async def stop(_app: web.Application) -> None:
        app[keys.STOPPING].set()
        news.tell()  # streams that wait end now

    app.on_shutdown.append(stop)
    app.on_response_prepare.append(add_headers)
    _add(app, OPERATIONS_ROUTES)
    return app


def _add(app: web.Application, routes: Sequence[Route]) -> None:
    for route in routes:
        if route.method == "GET":
            app.router.add_get(route.path, route.handler)
        else:
            app.router.add_route(route.method, route.path, route.handler)


async def _recording(app: web.Application) -> AsyncIterator[None]:
    async with app[keys.HITS]:
        yield


async def _counting(app: web.Application) -> AsyncIterator[None]:
    async with app[keys.TALLIES]:
        yield


async def _speaking_to_wechat(app: web.Application) -> AsyncIterator[None]:
    """The account that pages show codes of: the real one, or the stand-in where it runs in this process."""
    settings = app[keys.SETTINGS].wechat
    at_sandbox = settings.appid == SANDBOX_APPID
    if not settings.appid or (at_sandbox and app[keys.SANDBOX] is None):
        yield
        return
    database = None if at_sandbox else app[keys.DATABASE]
    async with open_account(settings, app[keys.CLOCK], database) as account:
        app[keys.ACCOUNT] = account
        yield


async def _speaking_to_provider(app: web.Application) -> AsyncIterator[None]:
    """Through whom users may sign in."""
    settings = app[keys.SETTINGS].sign_in
    if not settings.issuer:
        yield
        return
    async with ClientSession() as http:
        app[keys.PROVIDER] = OpenIdProvider(settings, http)
        yield


async def _stop_streams(app: web.Application) -> None:
    app[keys.STOPPING].set()
    app[keys.NEWS].tell()
