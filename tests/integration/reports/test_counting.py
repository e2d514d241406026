"""What is counted is what is there: every dimension against a recount in plain Python, over many random dispatches."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_many
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchChange, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.publications import Publications, load_publications
from bdnews_dispatch.reports import counting, growth, keeping
from bdnews_dispatch.reports.counting import FIGURES, count_dispatch
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.reports.models import CountedDispatch, Dimension, Rollup
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.subscribers.models import Channel, ListMembership, MailingList, Subscriber
from bdnews_dispatch.tracking.models import Hit, HitKind

SECTIONS = ["policy", "local", "industry", "frontier", "company"]
DOMAINS = ["readers.example", "qq.example", "gov.example", "mail.example"]
BEIJING = ZoneInfo("Asia/Shanghai")
GOT = {DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.COMPLAINED}
TOOK = GOT | {DeliveryState.BOUNCED}
OPENS = {HitKind.OPEN, HitKind.CLICK, HitKind.PAGE_VIEW}


async def a_dispatch(session: AsyncSession, chance: random.Random, now: datetime, number: int) -> int:
    """Random people, deliveries, hits; with one person on two channels, on two lists, erased, untracked."""
    dispatch = Dispatch(
        cause=f"test:{number}",
        kind=DispatchKind.ISSUE,
        publication="dsj",
        state=DispatchState.FINISHED,
        due_at=now,
        created_at=now,
        finished_at=now,
    )
    session.add(dispatch)
    lists = [MailingList(name=f"名单{number}-{n}", created_at=now) for n in range(3)]
    session.add_all(lists)
    await session.flush()
    assert dispatch.id is not None
    links = [
        {
            "dispatch_id": dispatch.id,
            "number": place,
            "url": f"https://news.example/{place}",
            "kind": "article",
            "section": chance.choice([*SECTIONS, None]),
            "place": place,
        }
        for place in range(1, 12)
    ]
    await insert_many(session, DispatchLink, links)
    for n in range(chance.randrange(5, 60)):
        erased = chance.random() < 0.1
        person = Subscriber(
            email=None if erased else f"R{number}.{n}@{chance.choice(DOMAINS)}",
            openid=None,
            created_at=now,
            erased_at=now if erased else None,
        )
        person.email_key = person.email.casefold() if person.email else None
        session.add(person)
        await session.flush()
        assert person.id is not None
        for mailing_list in chance.sample(lists, chance.randrange(3)):
            left = now if chance.random() < 0.2 else None
            assert mailing_list.id is not None
            session.add(
                ListMembership(list_id=mailing_list.id, subscriber_id=person.id, joined_at=now, left_at=left)
            )
        untracked = chance.random() < 0.2
        for channel in chance.sample(list(Channel), chance.randrange(1, 3)):
            state = chance.choice([*DeliveryState, *[DeliveryState.SENT] * 8])
            nothing = state in {DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.CANCELLED}
            delivery = Delivery(
                dispatch_id=dispatch.id,
                subscriber_id=person.id,
                channel=channel,
                key=f"k{number}-{n}-{channel}",
                sections=[] if erased else sorted(chance.sample(SECTIONS, chance.randrange(1, 6))),
                state=state,
                reason=chance.choice(["suppressed", "paused", ""]) if nothing else "",
                due_at=now,
                sent_at=now,
                updated_at=now,
                untracked=untracked,
            )
            session.add(delivery)
            await session.flush()
            assert delivery.id is not None
            for _ in range(chance.randrange(6)):
                kind = chance.choice(list(HitKind))
                session.add(
                    Hit(
                        delivery_id=delivery.id,
                        kind=kind,
                        link=chance.choice([None, *range(1, 13)]) if kind is HitKind.CLICK else None,
                        machine=chance.choice(["", "", "proxy.apple", "scanner.named"]),
                        seconds=chance.choice([None, 0.5, 30.0, 3_599.0, 3_600.0, 90_000.0, 900_000.0]),
                        at=now,
                    )
                )
            if chance.random() < 0.05:
                session.add(
                    ReturnedMail(
                        fingerprint=f"{number}-{n}-{channel}",
                        way="smtp",
                        kind=Kind.UNSUBSCRIBE,
                        delivery_id=delivery.id,
                        received_at=now,
                    )
                )
    return dispatch.id


class Recount:
    """The same figures, by loops. Nothing of the statements is used."""

    def __init__(self, **rows: Any) -> None:
        self.rows = SimpleNamespace(**rows)

    def figures(self, deliveries: Iterable[Delivery]) -> dict[str, int]:
        own = list(deliveries)
        cell = dict.fromkeys(FIGURES, 0)
        cell["planned"] = len(own)
        for delivery in own:
            state = delivery.state
            for name in ("skipped", "cancelled", "failed", "uncertain", "bounced", "complained"):
                cell[name] += state.value == name
            cell["sent"] += state in TOOK
            cell["delivered"] += state in GOT
        people = defaultdict(list)
        for delivery in own:
            people[delivery.subscriber_id].append(delivery)
        for of_person in people.values():
            got = [delivery for delivery in of_person if delivery.state in GOT]
            hits = [hit for delivery in of_person for hit in self.rows.hits[delivery.id]]
            opened = any(hit.kind in OPENS and not hit.machine for hit in hits)
            clicked = any(hit.kind is HitKind.CLICK and not hit.machine for hit in hits)
            cell["people"] += bool(got)
            cell["untracked"] += bool(got) and all(delivery.untracked for delivery in got)
            cell["opened"] += opened
            cell["clicked"] += clicked
            cell["unsubscribed"] += any(hit.kind is HitKind.UNSUBSCRIBE for hit in hits) or any(
                delivery.id in self.rows.by_mail for delivery in of_person
            )
            cell["machine_opened"] += not opened and any(hit.kind in OPENS and hit.machine for hit in hits)
            cell["machine_clicked"] += not clicked and any(
                hit.kind is HitKind.CLICK and hit.machine for hit in hits
            )
        return cell

    def by(self, values: Callable[[Delivery], Iterable[str]]) -> dict[str, dict[str, int]]:
        groups = defaultdict(list)
        for delivery in self.rows.deliveries:
            for value in values(delivery):
                groups[value].append(delivery)
        return {value: self.figures(own) for value, own in groups.items()}

    def clicks(self, values: Callable[[Hit], str | None]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[int, set[bool]]] = defaultdict(lambda: defaultdict(set))
        for delivery in self.rows.deliveries:
            for hit in self.rows.hits[delivery.id]:
                value = values(hit) if hit.kind is HitKind.CLICK and hit.link in self.rows.links else None
                if value is not None:
                    found[value][delivery.subscriber_id].add(not hit.machine)
        return {
            value: {
                "clicked": sum(True in who for who in people.values()),
                "machine_clicked": sum(who == {False} for who in people.values()),
            }
            for value, people in found.items()
        }

    def hours(self) -> dict[str, dict[str, int]]:
        cells: dict[str, dict[str, int]] = defaultdict(lambda: {"opened": 0, "clicked": 0})
        for name, kinds in (("opened", OPENS), ("clicked", {HitKind.CLICK})):
            first: dict[int, float] = {}
            for delivery in self.rows.deliveries:
                for hit in self.rows.hits[delivery.id]:
                    if hit.kind in kinds and not hit.machine and hit.seconds is not None:
                        known = first.get(delivery.subscriber_id, hit.seconds)
                        first[delivery.subscriber_id] = min(known, hit.seconds)
            for seconds in first.values():
                if seconds < counting.MOST_HOURS * 3600:
                    cells[f"{int(seconds // 3600):03}"][name] += 1
        return cells

    def everything(self) -> dict[Dimension, dict[str, dict[str, int]]]:
        rows = self.rows
        section_clicks = self.clicks(lambda hit: rows.links[hit.link])
        sections = self.by(lambda delivery: delivery.sections)
        for value, cell in sections.items():
            cell.update(section_clicks.get(value, {"clicked": 0, "machine_clicked": 0}))
        reasons = {}
        for value, cell in self.by(
            lambda delivery: (
                [delivery.reason]
                if delivery.state in {DeliveryState.SKIPPED, DeliveryState.FAILED, DeliveryState.CANCELLED}
                else []
            )
        ).items():
            reasons[value] = {name: cell[name] for name in ("planned", "skipped", "failed", "cancelled")}
        return {
            Dimension.ALL: self.by(lambda _: [""]),
            Dimension.CHANNEL: self.by(lambda delivery: [delivery.channel.value]),
            Dimension.DOMAIN: self.by(
                lambda delivery: (
                    [rows.people[delivery.subscriber_id].email_key.partition("@")[2]]
                    if delivery.channel is Channel.EMAIL and rows.people[delivery.subscriber_id].email_key
                    else []
                )
            ),
            Dimension.LIST: self.by(lambda delivery: rows.lists[delivery.subscriber_id]),
            Dimension.SECTION: sections,
            Dimension.ARTICLE: self.clicks(lambda hit: str(hit.link)),
            Dimension.REASON: reasons,
            Dimension.HOUR: self.hours(),
        }


async def recount(session: AsyncSession, dispatch_id: int) -> dict[Dimension, dict[str, dict[str, int]]]:
    deliveries = (await session.exec(select(Delivery).where(Delivery.dispatch_id == dispatch_id))).all()
    ids = {delivery.id for delivery in deliveries}
    hits = defaultdict(list)
    for hit in (await session.exec(select(Hit))).all():
        if hit.delivery_id in ids:
            hits[hit.delivery_id].append(hit)
    names = {found.id: found.name for found in (await session.exec(select(MailingList))).all()}
    lists = defaultdict(list)
    for membership in (await session.exec(select(ListMembership))).all():
        if membership.left_at is None:
            lists[membership.subscriber_id].append(names[membership.list_id])
    links = (await session.exec(select(DispatchLink).where(DispatchLink.dispatch_id == dispatch_id))).all()
    return Recount(
        deliveries=deliveries,
        hits=hits,
        people={person.id: person for person in (await session.exec(select(Subscriber))).all()},
        lists=lists,
        links={link.number: link.section for link in links},
        by_mail={mail.delivery_id for mail in (await session.exec(select(ReturnedMail))).all()},
    ).everything()


def by_dimension(rows: Iterable[dict[str, Any]]) -> dict[Dimension, dict[str, dict[str, int]]]:
    found: dict[Dimension, dict[str, dict[str, int]]] = {dimension: {} for dimension in Dimension}
    for row in rows:
        assert row["value"] not in found[row["dimension"]]
        found[row["dimension"]][row["value"]] = {name: row[name] for name in FIGURES}
    return found


def whole(cells: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {value: {**dict.fromkeys(FIGURES, 0), **cell} for value, cell in cells.items()}


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_counted_is_what_is_there(database: Database, clock: HandClock, seed: int) -> None:
    chance = random.Random(seed)
    async with database.write() as session:
        ids = [await a_dispatch(session, chance, clock.now, number) for number in range(2)]
    async with database.read() as session:
        for dispatch_id in ids:
            counted = by_dimension(await count_dispatch(session, dispatch_id))
            expected = await recount(session, dispatch_id)
            for dimension in Dimension:
                assert counted[dimension] == whole(expected[dimension]), dimension


async def test_small_domains_are_counted_together(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_DOMAINS", 2)
    async with database.write() as session:
        dispatch_id = await a_dispatch(session, random.Random(3), clock.now, 0)
    async with database.read() as session:
        counted = by_dimension(await count_dispatch(session, dispatch_id))
        expected = whole((await recount(session, dispatch_id))[Dimension.DOMAIN])
    domains = counted[Dimension.DOMAIN]
    assert len(domains) == 3
    others = [cell for value, cell in expected.items() if value not in domains]
    assert domains["*"] == {name: sum(cell[name] for cell in others) for name in FIGURES}


def a_keeper(database: Database, clock: HandClock, *, hits_kept: int = 400) -> Keeper:
    return Keeper(database, clock, Publications({}, ""), zone=BEIJING, hits_kept=hits_kept)


async def kept(database: Database) -> dict[int, dict[Dimension, dict[str, dict[str, int]]]]:
    async with database.read() as session:
        rows = (await session.exec(select(Rollup))).all()
    found = defaultdict(list)
    for row in rows:
        found[row.dispatch_id].append(row.model_dump())
    return {id_: by_dimension(own) for id_, own in found.items()}


async def test_only_what_changed_is_counted_again(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        ids = [await a_dispatch(session, random.Random(5), clock.now, number) for number in range(3)]
    clock.move(minutes=1)
    assert await a_keeper(database, clock).run() == 3
    assert await a_keeper(database, clock).run() == 0
    before = await kept(database)
    async with database.write() as session:
        delivery = (
            await session.exec(
                select(Delivery).where(
                    Delivery.dispatch_id == ids[1], col(Delivery.state).in_([DeliveryState.SENT])
                )
            )
        ).first()
        assert delivery is not None
        delivery.state = DeliveryState.BOUNCED
        session.add(delivery)
        await mark_changed(session, [ids[1]])
    assert await a_keeper(database, clock).run() == 1
    after = await kept(database)
    assert after[ids[0]] == before[ids[0]]
    total = after[ids[1]][Dimension.ALL][""]
    assert total["bounced"] == before[ids[1]][Dimension.ALL][""]["bounced"] + 1
    async with database.read() as session:
        assert (await session.exec(select(DispatchChange))).all() == []
        assert after[ids[1]] == {
            dimension: whole(cells) for dimension, cells in (await recount(session, ids[1])).items()
        }


async def test_a_count_that_was_left_in_the_middle_is_made_again(
    database: Database, clock: HandClock
) -> None:
    async with database.write() as session:
        dispatch_id = await a_dispatch(session, random.Random(6), clock.now, 0)
    clock.move(minutes=1)
    await a_keeper(database, clock).run()
    async with database.write() as session:
        counted = await session.get(CountedDispatch, dispatch_id)
        assert counted is not None
        counted.counting = True  # its mark is gone, its rows are old: the process died here
        session.add(counted)
    assert await a_keeper(database, clock).run() == 1
    assert await a_keeper(database, clock).run() == 0


async def test_a_dispatch_whose_hits_are_deleted_keeps_its_figures(
    database: Database, clock: HandClock
) -> None:
    async with database.write() as session:
        dispatch_id = await a_dispatch(session, random.Random(7), clock.now, 0)
    clock.move(minutes=1)
    await a_keeper(database, clock).run()
    before = await kept(database)
    clock.move(days=401)
    async with database.write() as session:
        for hit in (await session.exec(select(Hit))).all():
            await session.delete(hit)
        await mark_changed(session, [dispatch_id])
    assert await a_keeper(database, clock).run() == 0
    assert await kept(database) == before
    assert await a_keeper(database, clock, hits_kept=0).run() == 1, "kept for ever: it is counted as it is"


async def test_a_running_dispatch_is_counted_as_it_goes(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        dispatch_id = await a_dispatch(session, random.Random(8), clock.now, 0)
        dispatch = await session.get(Dispatch, dispatch_id)
        assert dispatch is not None
        dispatch.state, dispatch.finished_at = DispatchState.SENDING, None
        session.add(dispatch)
    assert await a_keeper(database, clock).run() == 1
    assert await a_keeper(database, clock).run() == 1
    clock.move(minutes=5)
    async with database.write() as session:
        dispatch = await session.get(Dispatch, dispatch_id)
        assert dispatch is not None
        dispatch.state, dispatch.finished_at = DispatchState.FINISHED, clock.now
        session.add(dispatch)
    clock.move(seconds=1)
    assert await a_keeper(database, clock).run() == 1
    assert await a_keeper(database, clock).run() == 0


async def test_a_keeper_does_not_count_one_dispatch_all_the_time(
    database: Database, clock: HandClock
) -> None:
    async with database.write() as session:
        dispatch_id = await a_dispatch(session, random.Random(9), clock.now, 0)
    keeper = a_keeper(database, clock)
    clock.move(minutes=1)
    assert await keeper.run() == 1
    async with database.write() as session:
        await mark_changed(session, [dispatch_id])
    assert await keeper.run() == 0, "its last count is too near"
    assert await a_keeper(database, clock).run() == 1


async def test_a_publication_that_nobody_reads_is_seldom_looked_through(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    async def first_day(session: AsyncSession, publication: str, zone: ZoneInfo) -> date | None:
        looks.append(publication)
        await asyncio.sleep(0.1)
        return await growth.first_day(session, publication, zone)

    monkeypatch.setattr(keeping, "first_day", first_day)
    keeper = Keeper(database, clock, load_publications(), zone=BEIJING, hits_kept=400)
    for _ in range(3):
        await keeper.run()
    assert sorted(looks) == sorted(load_publications()), "each once, and again after a thousand times as long"
