"""What the application and a request carry, by typed keys. Set in app.py and access.py; read by every handler."""

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import datetime

from aiohttp import web

from bdnews_dispatch.accounts.openid import OpenIdProvider
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.card_forecast import CardAccounts
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.official_account.account import Account
from bdnews_dispatch.operations.backlog import Backlog
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.reports.tallies import Tallies
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.settings import ReadSettings, Settings
from bdnews_dispatch.web.hits import HitRecorder
from bdnews_dispatch.web.news import News
from bdnews_dispatch.web.pages import Pages

SETTINGS = web.AppKey("settings", Settings)
#: As they were read, with where each value came from; this process may use others: ports of its choice, the sandbox's
#: account.
READ = web.AppKey("read", ReadSettings)
DATABASE = web.AppKey("database", Database)
#: A function; `AppKey` wants a class to show.
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
PUBLICATIONS = web.AppKey("publications", Publications)
#: On WeChat: for saying what a dispatch would do.
CARD_ACCOUNTS = web.AppKey("card_accounts", CardAccounts)
LINKS = web.AppKey("links", Links)
PAGES = web.AppKey("pages", Pages)
HITS = web.AppKey("hits", HitRecorder)
#: Counts that take longer than a page may.
TALLIES = web.AppKey("tallies", Tallies)
#: Told after a commit that recorded an event, so that its handlers run at once.
WAKE: web.AppKey[Callable[[], None]] = web.AppKey("wake")
#: None where the sandbox is elsewhere or not there.
SANDBOX: web.AppKey[Sandbox | None] = web.AppKey("sandbox")
DEMO = web.AppKey("demo", bool)
#: When this application was made.
BEGAN = web.AppKey("began", datetime)
#: Of a demo: the secret of a sign-in link → who comes in by it; one that was used is gone.
GUESTS: web.AppKey[MutableMapping[str, str]] = web.AppKey("guests")
#: That users may sign in through; None where none is configured.
PROVIDER: web.AppKey[OpenIdProvider | None] = web.AppKey("provider")
#: The Official Account; None where there is none.
ACCOUNT: web.AppKey[Account | None] = web.AppKey("account")
#: Set when the service stops: streams end.
STOPPING = web.AppKey("stopping", asyncio.Event)
#: Hints that a dispatch has moved; of the web application nobody tells it, and a stream looks every second.
NEWS = web.AppKey("news", News)

#: Of the operations listener alone.
BACKLOG = web.AppKey("backlog", Backlog)
READINESS = web.AppKey("readiness", Readiness)

#: Of a request by a signed link: the delivery that its token names; "" where a bad token is let through.
DELIVERY_KEY = web.RequestKey("delivery_key", str)
