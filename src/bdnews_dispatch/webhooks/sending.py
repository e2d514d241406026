"""Sending: each endpoint gets the events behind its place, one after the other, each until it is taken.

In: endpoints that are due. Out: requests; the place moves on with a 2xx. Caller: the scheduler's tick, one process at a
time. A process that dies between an answer and its row sends that event again, under the same id: at least once. An
endpoint that fails waits longer each time; behind five days it is switched off, and an event says so.

Source: Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, spec): headers, retries, 410 Gone.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

import aiohttp
from sqlalchemy import ColumnElement, and_, func, or_, true
from sqlmodel import col, delete, select
from yarl import URL

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.links import Signer
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.safe_client import AddressError, check_address, open_session
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry
from bdnews_dispatch.webhooks.signing import headers_of

logger = logging.getLogger(__name__)

#: What a WeChat user wrote and who they are is for our own handlers.
INTERNAL = ("wechat.pushed",)
#: Behind each failure in a row, in seconds: 5 s … a day, as the specification proposes.
WAITS = (5, 60, 300, 1800, 7200, 18_000, 36_000, 86_400)
GIVEN_UP_AFTER = timedelta(days=5)
#: Events for one endpoint in one turn: others wait no longer than these take.
_A_TURN = 200
_AT_ONCE = 8
_KEPT = timedelta(days=30)
_SECONDS = 15.0


class Sender:
    """Sends to all endpoints; `run` by a tick."""

    def __init__(
        self, database: Database, clock: Clock, signer: Signer, *, inside: Collection[str] = ()
    ) -> None:
        """Args: inside: names of hosts that may be on our own network."""
        self._database = database
        self._clock = clock
        self._signer = signer
        self._inside = inside

    async def run(self) -> int:
        """Turns for each endpoint that is due, until none had a whole one. Returns: how many events were taken."""
        taken, more = 0, True
        while more:
            turns = await self._round()
            taken += sum(turns)
            more = _A_TURN in turns
        if taken:
            async with self._database.write() as session:
                await session.execute(delete(WebhookTry).where(col(WebhookTry.at) < self._clock() - _KEPT))
        return taken

    async def _round(self) -> list[int]:
        """A turn for each that is due now. Returns: how many each has taken."""
        async with self._database.read() as session:
            due = await session.exec(
                select(Webhook.id).where(
                    col(Webhook.disabled_at).is_(None), col(Webhook.next_at) <= self._clock()
                )
            )
            ids = [id_ for id_ in due if id_ is not None]
        if not ids:
            return []
        at_once = asyncio.Semaphore(_AT_ONCE)
        async with open_session(self._inside, _SECONDS) as http:

            async def one(webhook_id: int) -> int:
                async with at_once:
                    return await self._turn(http, webhook_id)

            done = await asyncio.gather(*map(one, ids), return_exceptions=True)
        for webhook_id, result in zip(ids, done, strict=True):
            if isinstance(result, BaseException):  # the others got theirs
                logger.error("webhook.turn_failed", extra={"webhook": webhook_id}, exc_info=result)
        return [result for result in done if isinstance(result, int)]

    async def _turn(self, http: aiohttp.ClientSession, webhook_id: int) -> int:
        async with self._database.read() as session:
            webhook = await session.get(Webhook, webhook_id)
            if webhook is None:
                return 0
            newest = (await session.exec(select(func.max(Event.id)))).one() or 0
            rows = await session.exec(
                select(Event)
                .where(col(Event.id) > webhook.cursor, _wanted_by(webhook))
                .order_by(col(Event.id))
                .limit(_A_TURN)
            )
            events = list(rows)
        taken = 0
        for event in events:
            if not await self._send(http, webhook, event):
                return taken
            taken += 1
        if len(events) < _A_TURN and webhook.cursor < newest:
            await self._move_on(webhook, newest)
        return taken

    async def _send(self, http: aiohttp.ClientSession, webhook: Webhook, event: Event) -> bool:
        """One request. Returns: whether it was taken."""
        assert event.id is not None  # noqa: S101  # as above
        now, began = self._clock(), time.perf_counter()
        status, error = 0, ""
        body = body_of(event)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "bdnews-dispatch-webhooks/1",
            **headers_of(self._signer, webhook, event.id, body, now),
        }
        try:
            check_address(webhook.url, self._inside)
            async with http.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status  # what it says is not read
        except (aiohttp.ClientError, TimeoutError, OSError, AddressError) as problem:
            error = f"{type(problem).__name__}: {_without(webhook.url, str(problem))}"[:200]
        return await self._keep(webhook, event.id, status, error, time.perf_counter() - began)

    async def _keep(self, webhook: Webhook, event_id: int, status: int, error: str, seconds: float) -> bool:
        assert webhook.id is not None  # noqa: S101  # read from the database
        now, taken = self._clock(), 200 <= status < 300
        async with self._database.write() as session:
            session.add(
                WebhookTry(
                    webhook_id=webhook.id,
                    event_id=event_id,
                    at=now,
                    status=status,
                    error=error,
                    seconds=seconds,
                )
            )
            row = await session.get(Webhook, webhook.id)
            if row is None or row.cursor != webhook.cursor:  # taken away, or to be sent anew from elsewhere
                return False
            if taken:
                row.cursor = webhook.cursor = event_id
                row.failures, row.failing_since = 0, None
            else:
                row.failures += 1
                row.failing_since = row.failing_since or now
                row.next_at = now + wait_behind(row.failures)
                if status == 410 or now - row.failing_since >= GIVEN_UP_AFTER:
                    row.disabled_at = now
                    row.why = "对方说不再接收（410）" if status == 410 else "连续五天没有送达"
                    key = f"webhook.disabled:{row.id}:{now.isoformat()}"
                    await record(session, self._clock, "webhook.disabled", key, webhook=row.id, why=row.why)
                    logger.error("webhook.disabled", extra={"webhook": row.id, "status": status})
            session.add(row)
        return taken

    async def _move_on(self, webhook: Webhook, newest: int) -> None:
        """Past what it does not want, all of it: an issue is opened by as many as read it. Events are numbered in the
        order of their commits, so none comes later below the newest.
        """
        async with self._database.write() as session:
            row = await session.get(Webhook, webhook.id)
            if row is not None and row.cursor == webhook.cursor and row.failures == 0:
                row.cursor = newest
                session.add(row)


def wait_behind(failures: int) -> timedelta:
    """Before the next try; up to a fifth more, so that endpoints of one host do not come together."""
    seconds = WAITS[min(failures, len(WAITS)) - 1]
    return timedelta(seconds=seconds * random.uniform(1, 1.2))  # noqa: S311  # no secret


def body_of(event: Event) -> bytes:
    """`type`, `timestamp`, `data`: ids, never an address."""
    told = {
        "type": event.name,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": {"id": event.id, **event.payload},
    }
    return json.dumps(told, ensure_ascii=False).encode()


def _wanted_by(webhook: Webhook) -> ColumnElement[bool]:
    """Over `Event`."""
    name = col(Event.name)
    kinds = [name.startswith(one[:-1], autoescape=True) for one in webhook.names if one.endswith(".*")]
    named = or_(name.in_(webhook.names), *kinds) if webhook.names else true()
    return and_(name.not_in(INTERNAL), named)


def due_at(webhook: Webhook) -> datetime | None:
    """When it is tried next; None: it is off."""
    return None if webhook.disabled_at is not None else webhook.next_at


def _without(url: str, said: str) -> str:
    """The library's words without the whole address, which may be a secret: as it was written, and as it reads it."""
    said = said.replace(url, "…")
    with suppress(ValueError):  # one that it can't read
        said = said.replace(str(URL(url)), "…")
    return said
