"""How long anything about people is kept (PIPL art. 19: no longer than needed). One function a rule.

In: `[retention]`, days for each; 0 keeps. Out: rows and files that are gone; a line in the log, a metric. Callers: the
scheduler once a day, `bdnews admin retention`, the console (which only looks). What is never deleted:
deliveries (the ledger's promise, and links in old mails work for ever), agreements and their confirmed requests (they
prove that mails may be sent), suppressions.

A new table with something of people in it gets a function here, a key in `[retention]`, and a line in `RULES`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import OnceAnswered
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.sqlite import truncate_log
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import OPEN, DeliveryState
from bdnews_dispatch.letters.models import Letter, LetterState
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.official_account.follower_tables import WeChatScene
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.official_account.quotas import is_past
from bdnews_dispatch.official_account.scenes import is_spent
from bdnews_dispatch.privacy.erasing import of_deliveries
from bdnews_dispatch.privacy.sweeping import Doomed, Glance, clear, count, glance, sweep
from bdnews_dispatch.privacy.told import emptied, told_of
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.sandbox.kept import kept_before, number_of, throw_away
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.models import Request, RequestKind, Subscriber
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.tracking.models import Hit

logger = logging.getLogger(__name__)

#: Whatever was on its way when somebody was erased has ended by then.
_LEFTOVERS = timedelta(days=60)
#: For so long the API gives the same answer to the same call again.
_ANSWERS = timedelta(days=1)
#: Of who was erased: so many have some ten thousand deliveries.
_PEOPLE_AT_ONCE = 50


def hits(before: datetime) -> Doomed:
    """Opens and clicks. Reports of older dispatches stay as they were; so does when a reader last opened something."""
    return Doomed(Hit, col(Hit.at) < before, in_order=True)


def attempts(before: datetime) -> Doomed:
    """Tries and the other side's answers; not those of a delivery that is not over, where they are evidence."""
    not_over = exists().where(
        col(Delivery.id) == col(Attempt.delivery_id),
        col(Delivery.state).in_((*OPEN, DeliveryState.UNCERTAIN)),
    )
    return Doomed(Attempt, col(Attempt.at) < before, also=~not_over, in_order=True)


def requests(before: datetime) -> Doomed:
    """Requests that nobody answered, with their letters, so long after their links' end; and copies that were made.

    What was answered otherwise proves an agreement, or why an address is another one.
    """
    spent = or_(col(Request.done_at).is_(None), col(Request.kind) == RequestKind.EXPORT)

    def first(ids: Sequence[int]) -> Sequence[Any]:
        own = col(Letter.request_id).in_(ids)
        came_back = delete(ReturnedMail).where(col(ReturnedMail.letter_id).in_(select(Letter.id).where(own)))
        return came_back, delete(Letter).where(own), emptied(col(Event.key).in_(told_of(requests=ids)))

    return Doomed(Request, col(Request.expires_at) < before, also=spent, first=first)


def returns(before: datetime) -> Doomed:
    """The mails themselves that came back; what they said, and of which delivery, stays."""
    whole = func.length(col(ReturnedMail.raw)) > 0
    return Doomed(ReturnedMail, col(ReturnedMail.received_at) < before, also=whole, values={"raw": b""})


def letters(before: datetime) -> Doomed:
    """Letters that were sent or have failed."""
    over = col(Letter.state) != LetterState.WAITING
    return Doomed(Letter, col(Letter.created_at) < before, also=over, first=_without_letters)


def _without_letters(ids: Sequence[int]) -> Sequence[Any]:
    """What came back of letters that go."""
    return (delete(ReturnedMail).where(col(ReturnedMail.letter_id).in_(ids)),)


def events(before: datetime) -> Doomed:
    """Events that every handler has dealt with; one that waits is kept, however old."""

    def first(ids: Sequence[int]) -> Sequence[Any]:
        return (delete(EventHandling).where(col(EventHandling.event_id).in_(ids)),)

    return Doomed(Event, col(Event.handled_at) < before, indexed=True, first=first)


#: Key in `[retention]` → rule, in the order in which they run.
RULES: Mapping[str, Callable[[datetime], Doomed]] = {
    "hits": hits,
    "attempts": attempts,
    "returns": returns,
    "requests": requests,
    "letters": letters,
    "events": events,
}
#: Files, and what a worker wrote about somebody just after they had everything erased.
SANDBOX, LEFTOVERS = "sandbox", "erased"
NAMES = (*RULES, SANDBOX, LEFTOVERS)


def _deliveries_of(people: Sequence[int]) -> Any:
    """By the index of their numbers; by a join SQLite would go through every delivery that there is."""
    return select(Delivery.id).where(col(Delivery.subscriber_id).in_(people))


async def _number_left(session: AsyncSession, deliveries: Any) -> int:
    """How many rows still hold something of whom these deliveries were for."""
    number = 0
    for table, which, _ in of_deliveries(deliveries):
        statement = select(func.count()).select_from(table).where(which)
        number += int((await session.exec(statement)).one())
    return number


class Retention:
    """All the rules, by the settings."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._days: Mapping[str, int] = settings.retention.model_dump(include={*RULES, SANDBOX})
        self._sandbox = settings.service.data_folder / "sandbox"
        metrics.know_retention(NAMES)

    def days(self, name: str) -> int | None:
        """How long it is kept; 0: for ever. None: there is nothing to set."""
        return self._days.get(name)

    async def preview(self) -> dict[str, int]:
        """How many rows and files each rule would delete now."""
        found: dict[str, int] = {}
        async with self._database.read() as session:
            for name, rule in RULES.items():
                found[name] = await count(session, rule(self._before(name))) if self._days[name] else 0
            found[SANDBOX] = number_of(await self._sandbox_files())
            people = (await session.exec(self._erased())).all()
            found[LEFTOVERS] = await _number_left(session, _deliveries_of(people))
            for table, over in self._over():
                statement = select(func.count()).select_from(table).where(over)
                found[LEFTOVERS] += int((await session.exec(statement)).one())
        return found

    async def look(self) -> dict[str, Glance]:
        """As `preview`, but at a bounded cost, and without the leftovers of who was erased."""
        found: dict[str, Glance] = {}
        async with self._database.read() as session:
            for name, rule in RULES.items():
                due = (
                    await glance(session, rule(self._before(name)))
                    if self._days[name]
                    else Glance(0, more=False)
                )
                found[name] = due
        found[SANDBOX] = Glance(number_of(await self._sandbox_files()), more=False)
        return found

    async def run(self) -> dict[str, int]:
        """Delete what is due. A rule that fails stops no other one; it is made up for the next time.

        Returns:
            How many rows and files each rule has deleted, or emptied; without those that failed.
        """
        done: dict[str, int] = {}
        for name in NAMES:
            try:
                done[name] = await self._one(name)
            except (SQLAlchemyError, OSError) as error:
                extra = {"rule": name, "error": type(error).__name__}
                logger.error("retention.failed", extra=extra)  # noqa: TRY400  # a traceback of it tells no more
            else:
                metrics.retention_removed(name, done[name])
        if self._database.file is not None:  # what was deleted stands in the log as well
            await asyncio.to_thread(truncate_log, self._database.file)
        logger.info("retention.done", extra=done)
        return done

    async def _one(self, name: str) -> int:
        if name == LEFTOVERS:
            return await self._empty_leftovers()
        if name == SANDBOX:
            files = await self._sandbox_files()
            await asyncio.to_thread(throw_away, files)
            return number_of(files)
        return await sweep(self._database, RULES[name](self._before(name))) if self._days[name] else 0

    def _before(self, name: str) -> datetime:
        return self._clock() - timedelta(days=self._days[name])

    def _erased(self) -> Any:
        return select(Subscriber.id).where(col(Subscriber.erased_at) > self._clock() - _LEFTOVERS)

    def _over(self) -> Sequence[tuple[Any, ColumnElement[bool]]]:
        """Rows that say nothing any more: answers of the API, codes that nobody scanned, quotas of past months."""
        now = self._clock()
        return (
            (OnceAnswered, col(OnceAnswered.at) < now - _ANSWERS),
            (WeChatScene, is_spent(now)),
            (WeChatQuota, is_past(now)),
        )

    async def _empty_leftovers(self) -> int:
        """Nothing is locked while it is looked for: most nights there is nothing of anybody."""
        emptied_rows = 0
        async with self._database.read() as session:
            people = (await session.exec(self._erased())).all()
        for start in range(0, len(people), _PEOPLE_AT_ONCE):
            theirs = _deliveries_of(people[start : start + _PEOPLE_AT_ONCE])
            async with self._database.read() as session:
                left = await _number_left(session, theirs)
            if not left:
                continue
            async with self._database.write_beside() as session:
                for _, _, statement in of_deliveries(theirs):
                    changed = await session.execute(statement.execution_options(synchronize_session=False))
                    emptied_rows += int(changed.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result has it
        for table, over in self._over():
            emptied_rows += await clear(self._database, table, over)
        return emptied_rows

    async def _sandbox_files(self) -> list[Path]:
        if not self._days[SANDBOX]:
            return []
        return await asyncio.to_thread(kept_before, self._sandbox, self._before(SANDBOX))
