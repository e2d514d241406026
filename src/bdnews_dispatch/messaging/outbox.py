"""The outbox: an event is a row written with the change it tells of; handlers run after the commit, each exactly once
in effect, because what a handler does and the row that says so commit together.

In: `record` from any stage, inside its own transaction. Out: calls of the handlers that pipeline.py names.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import ALONE, Backend, Database
from bdnews_dispatch.db.statements import backend_of, insert_new
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.telemetry import metrics, traces

logger = logging.getLogger(__name__)

#: The channel of PostgreSQL that tells when an event is recorded; the payload is the event's name.
EVENTS = "bdnews_events"

#: What pipeline.py lists: it writes through the session it is given, and must do no harm when run again.
Handler = Callable[[AsyncSession, Event], Awaitable[None]]

#: First wait after a handler failed, in seconds; doubles with each attempt up to an hour.
RETRY_FIRST_SECONDS = 5
RETRY_MOST_SECONDS = 3600


async def record(session: AsyncSession, clock: Clock, name: str, key: str, **payload: Any) -> None:
    """Tell that something happened, in the transaction that makes it true.

    Args:
        session: of `Database.write`: one at a time, so events are numbered in the order in which they are committed,
            and whoever reads on behind a number misses none.
        name: dotted, e.g. `issue.published`.
        key: what makes it this one and no other; a second event with the key is dropped.

    Raises:
        RuntimeError: the session is another one.
    """
    if ALONE not in session.info:
        raise RuntimeError(f"{name} is recorded beside others: take Database.write")
    await session.exec(
        insert_new(session, Event).values(name=name, key=key, payload=payload, created_at=clock())
    )
    if backend_of(session) is Backend.POSTGRESQL:  # heard by every process once this is committed
        await session.execute(select(func.pg_notify(EVENTS, name)))


class Outbox:
    """Runs the handlers of events that have not been handled."""

    def __init__(self, database: Database, clock: Clock, handlers: Mapping[str, Sequence[Handler]]) -> None:
        self._database = database
        self._clock = clock
        self._handlers = handlers
        metrics.know_handlers(handler.__name__ for several in handlers.values() for handler in several)

    async def handle_waiting(self, limit: int = 100) -> int:
        """Handle the oldest waiting events, in order.

        Returns:
            How many became wholly handled.
        """
        async with self._database.read() as session:
            waiting = (await session.exec(_waiting(self._clock).limit(limit))).all()
        told = [event for event in waiting if not self._handlers.get(event.name)]
        if told:
            await self._pass_by(told)
        handled = len(told)
        for event in waiting:
            if self._handlers.get(event.name):
                handled += await self._handle(event)
        return handled

    async def _pass_by(self, told: Sequence[Event]) -> None:
        """What nobody handles is done with, all of it at once: an issue is opened by as many as read it."""
        async with self._database.write() as session:
            await _end(session, told, self._clock())

    async def _handle(self, event: Event) -> bool:
        handlers, done = self._handlers[event.name], True
        for handler in handlers:
            ends = done and handler is handlers[-1]
            work = self._run(event, handler, ends=ends)
            done &= await traces.within("event", work, event=event.name, handler=handler.__name__)
        return done

    async def _run(self, event: Event, handler: Handler, *, ends: bool) -> bool:
        """Args: ends: with this handler's work all of the event's is done, which commits together with it."""
        name = handler.__name__
        now = self._clock()
        try:
            async with self._database.write() as session:
                handling = await _handling(session, event, name)
                fresh = handling.done_at is None
                if fresh and handling.retry_at is not None and handling.retry_at > now:
                    return False
                if fresh:
                    await handler(session, event)
                    handling.done_at = now
                    handling.attempts += 1
                if ends:
                    await _end(session, [event], now)
        except Exception as error:
            logger.exception(
                "event.handler_failed", extra={"event": event.name, "event_id": event.id, "handler": name}
            )
            metrics.handler_failed(name)
            await self._note_failure(event, name, error)
            return False
        if fresh:
            metrics.event_handled(name)
        return True

    async def _note_failure(self, event: Event, name: str, error: Exception) -> None:
        async with self._database.write() as session:
            handling = await _handling(session, event, name)
            handling.attempts += 1
            handling.last_error = f"{type(error).__name__}: {error}"[:500]
            wait = min(RETRY_FIRST_SECONDS * 2 ** (handling.attempts - 1), RETRY_MOST_SECONDS)
            handling.retry_at = self._clock() + timedelta(seconds=wait)


async def _end(session: AsyncSession, events: Sequence[Event], now: datetime) -> None:
    await session.execute(
        update(Event)
        .where(col(Event.id).in_([event.id for event in events]), col(Event.handled_at).is_(None))
        .values(handled_at=now)
        .execution_options(synchronize_session=False)
    )


async def _handling(session: AsyncSession, event: Event, handler: str) -> EventHandling:
    assert event.id is not None  # noqa: S101  # read from the database
    found = (
        await session.exec(
            select(EventHandling).where(EventHandling.event_id == event.id, EventHandling.handler == handler)
        )
    ).first()
    if found is None:
        found = EventHandling(event_id=event.id, handler=handler)
        session.add(found)
        await session.flush()
    return found


async def has_waiting(session: AsyncSession, clock: Clock) -> bool:
    """Is there an event that a handler could deal with now?"""
    return (await session.exec(_waiting(clock).limit(1))).first() is not None


def _waiting(clock: Clock) -> SelectOfScalar[Event]:
    """Events not handled, oldest first; one that rests after a failure does not stand in the others' way."""
    resting = exists().where(
        col(EventHandling.event_id) == col(Event.id),
        col(EventHandling.done_at).is_(None),
        col(EventHandling.retry_at) > clock(),
    )
    return select(Event).where(col(Event.handled_at).is_(None), ~resting).order_by(col(Event.id))
