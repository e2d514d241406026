"""The web application with an issue that has been sent, for tests of pages and of what comes back."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from sqlmodel import col, select
from tests.making import DSJ, HandClock, document, import_csv, test_settings

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.starting import start_issue
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.links import Links, Signer, SigningKey
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import Outbox
from bdnews_dispatch.pipeline import handlers
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.settings import ReadSettings
from bdnews_dispatch.subscribers.models import Request
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.web.app import make_web_app

#: A browser that no rule takes for a machine.
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0"
PEOPLE = (
    "email,name,openid,sections,channel,cadence\n"
    "lin.zhiyuan@readers.example,林致远,,policy|local,email,issue\n"
    "he.jing@readers.example,何静,oReaderHeJing0000000000001,industry,both,issue\n"
).encode()


class RunningClock(HandClock):
    """Never says the same twice, as a real one."""

    def __call__(self) -> dt.datetime:
        self.move(microseconds=1)
        return self.now


@dataclass
class Site:
    """The application, answering over HTTP, and what it stands on."""

    client: TestClient[Any, Any]
    database: Database
    clock: HandClock
    links: Links
    app: web.Application
    woken: list[int] = field(default_factory=list)

    async def publish(self, what: IssueDocument | None = None, *, now: bool = True) -> Issue:
        async with self.database.write() as session:
            taken = await take(
                session, self.clock, what or document(), source_name="t.md", source=b"", publish_now=now
            )
        return taken.issue

    async def send(self, issue: Issue, csv: bytes = PEOPLE) -> list[Delivery]:
        """Import the people and plan the issue's deliveries, all of them sent a minute ago."""
        await import_csv(self.database, self.clock, DSJ, csv, list_name=None, origin_name="test.csv")
        async with self.database.write() as session:
            started = await start_issue(session, self.clock, issue)
        assert started.dispatch.id is not None
        planner = Planner(self.database, self.clock, load_publications(), self.links)
        while await planner.plan_slice(started.dispatch.id):
            pass
        async with self.database.write() as session:
            for delivery in await self.deliveries():
                if delivery.state is DeliveryState.PLANNED:
                    delivery.state, delivery.sent_at = DeliveryState.SENT, self.clock()
                    session.add(delivery)
            dispatch = await session.get(Dispatch, started.dispatch.id)
            assert dispatch is not None
            dispatch.state = DispatchState.FINISHED
        self.clock.move(minutes=1)
        return await self.deliveries()

    async def asks(self, email: str = "chen.wei@readers.example", **changes: Any) -> Request:
        """Somebody has filled in the form."""
        values: dict[str, Any] = {"agree": "1", "section": ["policy", "industry"], "cadence": "weekly"}
        answer = await self.post("/subscribe/dsj", data={"email": email, **values, **changes})
        assert answer.status == 303, await answer.text()
        return (await self.requests())[-1]

    async def requests(self) -> list[Request]:
        async with self.database.read() as session:
            return list((await session.exec(select(Request).order_by(col(Request.id)))).all())

    async def deliveries(self) -> list[Delivery]:
        async with self.database.read() as session:
            return list((await session.exec(select(Delivery).order_by(col(Delivery.id)))).all())

    async def hits(self) -> list[Hit]:
        async with self.database.read() as session:
            return list((await session.exec(select(Hit).order_by(col(Hit.id)))).all())

    async def events(self) -> list[str]:
        async with self.database.read() as session:
            return list((await session.exec(select(Event.name).order_by(col(Event.id)))).all())

    async def handle_events(self) -> int:
        return await Outbox(
            self.database, self.clock, handlers(self.clock, load_publications(), self.links.base_url)
        ).handle_waiting()

    def path(self, url: str) -> str:
        return url.removeprefix(self.links.base_url)

    async def get(self, url: str, **options: Any) -> ClientResponse:
        options.setdefault("allow_redirects", False)
        return await self.client.get(self.path(url), **options)

    async def post(self, url: str, **options: Any) -> ClientResponse:
        options.setdefault("allow_redirects", False)
        return await self.client.post(self.path(url), **options)


@asynccontextmanager
async def open_site(
    database: Database,
    clock: HandClock,
    folder: Path,
    *,
    wechat: dict[str, Any] | None = None,
    keys: Sequence[SigningKey] = (SigningKey("k1", b"s" * 40),),
    sandbox: Sandbox | None = None,
    demo: bool = False,
    web: dict[str, Any] | None = None,
    others: dict[str, dict[str, Any]] | None = None,
    read: ReadSettings | None = None,
) -> AsyncIterator[Site]:
    """The application on a port of its own. Args: others: settings by group. read: instead, as they were read."""
    groups = {**({"web": web} if web else {}), **(others or {})}
    settings = read.settings if read is not None else test_settings(folder, **groups)
    secret = {"token", "secret", "aes_key", "aes_key_previous"}
    changed = {k: SecretStr(v) if k in secret else v for k, v in (wechat or {}).items()}
    settings = settings.model_copy(update={"wechat": settings.wechat.model_copy(update=changed)})
    links = Links("", Signer(keys))
    woken: list[int] = []
    app = make_web_app(
        settings=settings,
        database=database,
        clock=clock,
        publications=load_publications(),
        links=links,
        wake=lambda: woken.append(1),
        sandbox=sandbox,
        demo=demo,
        read=read,
    )
    headers = {"User-Agent": BROWSER, "Accept-Language": "zh-CN"}
    client: TestClient[Any, Any]
    async with TestServer(app) as server, TestClient(server, headers=headers) as client:
        links.base_url = f"http://127.0.0.1:{server.port}"
        yield Site(client, database, clock, links, app, woken)


def words(html: str) -> str:
    """What a reader of the page sees, roughly: no tags, single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
