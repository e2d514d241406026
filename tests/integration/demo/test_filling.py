"""The demo's year: there is something on every page, the same each time, and nothing goes out because of it."""

import asyncio
import dataclasses
import datetime as dt
from pathlib import Path
from random import Random

from sqlmodel import SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from tests.making import DSJ, START, HandClock, test_settings

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.demo import texts
from bdnews_dispatch.demo.crowd import crowd
from bdnews_dispatch.demo.filling import fill
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.reports import reading
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.service.scheduler import open_keeper
from bdnews_dispatch.service.worker import open_worker
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.watched_feeds.taking import FeedReader
from bdnews_dispatch.web.console.log_words import ACTIONS
from bdnews_dispatch.webhooks.sending import Sender


async def test_a_year_to_look_at_that_moves_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_parts(test_settings(tmp_path), clock) as parts:
        told = await fill(parts)
        assert told["subscribers"] == 2_000
        assert told["issues"] == 24
        await _shows_something(parts)
        before = await _ledger(parts)
        await _let_everybody_look(parts, clock)
        assert await _ledger(parts) == before
        async with parts.database.read() as session:
            assert (await session.exec(select(func.count()).select_from(Letter))).one() == 0


async def _shows_something(parts: Parts) -> None:
    await open_keeper(parts).run()
    zone = parts.settings.service.timezone
    today = START.astimezone(zone).date()
    first = today - dt.timedelta(days=365)
    async with parts.database.read() as session:
        states = set((await session.exec(select(Delivery.state).distinct())).all())
        assert states >= {
            *(DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.COMPLAINED),
            *(DeliveryState.FAILED, DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.UNCERTAIN),
        }
        over_time = await reading.over_time(session, "dsj", first, today, zone)
        old = START - dt.timedelta(days=3)
        counted = [one.figures for one in over_time if one.figures.people and one.created_at < old]
        assert len(counted) > 60
        assert all(0.2 < (one.open_rate or 0) < 0.8 for one in counted)
        assert all(one.machine_opened for one in counted)
        latest = next(one for one in over_time if "总第111期" in one.title)
        report = await reading.report(session, latest.dispatch_id)
        assert report.compared == reading.EARLIER
        for dimension in (
            Dimension.SECTION,
            Dimension.DOMAIN,
            Dimension.ARTICLE,
            Dimension.LIST,
            Dimension.HOUR,
        ):
            assert len(report.lines[dimension]) >= 4, dimension
        everybody = next(
            one for one in await reading.growth(session, "dsj", first, today, zone, START) if not one.section
        )
        assert everybody.joined > everybody.gone > 100
        fitting, broken, _ = await audit.verify(session)
        assert fitting > 100
        assert broken is None
        assert {entry.action for entry in await audit.entries(session, limit=1_000)} <= set(ACTIONS)
        review = (await session.exec(select(Issue).where(Issue.state == IssueState.REVIEW))).one()
        assert review.total_number == 113
        unfinished = await session.exec(
            select(Dispatch.state).where(
                col(Dispatch.state).not_in((DispatchState.FINISHED, DispatchState.CANCELLED))
            )
        )
        assert sorted(unfinished.all()) == [DispatchState.PAUSED, DispatchState.SCHEDULED]


async def _let_everybody_look(parts: Parts, clock: HandClock) -> None:
    """Whoever might find something to do."""
    settings = parts.settings
    timetable = read_timetable(settings.schedule, settings.service.timezone)
    catch_up = CatchUp(parts.database, clock, parts.publications, timetable, settings.schedule.catch_up_days)
    assert await catch_up.run() == 0
    assert set((await Retention(parts.database, clock, settings).preview()).values()) == {0}
    await Sender(parts.database, clock, parts.links.signer, inside=()).run()
    assert await FeedReader(parts.database, clock, parts.publications, settings).run() == 0
    async with open_worker(parts) as worker:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(60):
            while await _unhandled(parts):
                await asyncio.sleep(0.05)
        worker.stop()
        await running


async def _ledger(parts: Parts) -> dict[str, object]:
    counts: dict[str, object] = {}
    async with parts.database.read() as session:
        for table in (Dispatch, Delivery, Subscriber):
            counts[table.__name__] = await _count(session, table)
        rows = await session.exec(select(Delivery.state, func.count()).group_by(col(Delivery.state)))
        counts["states"] = sorted(rows.all())
        counts["dispatches"] = sorted((await session.exec(select(Dispatch.id, Dispatch.state))).all())
    return counts


async def _unhandled(parts: Parts) -> int:
    async with parts.database.read() as session:
        return int((await session.exec(select(func.count()).where(col(Event.handled_at).is_(None)))).one())


async def _count(session: AsyncSession, table: type[SQLModel]) -> int:
    return int((await session.exec(select(func.count()).select_from(table))).one())


def test_the_same_each_time() -> None:
    day = START.date()
    assert texts.issue(100, day, Random(1)) == texts.issue(100, day, Random(1))
    begin = START - dt.timedelta(days=366)
    one, other = (crowd(Random(2), 1, tuple(DSJ.section_keys), begin, START) for _ in range(2))
    assert [dataclasses.asdict(reader) for reader in one] == [dataclasses.asdict(reader) for reader in other]
    domains = {reader.email.partition("@")[2] for reader in one if reader.email}
    assert all(domain.endswith(".example") or domain in {"example.com", "example.org"} for domain in domains)
