"""A published issue becomes the right mails and cards; nothing twice, nothing lost, whatever is told again."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, text, update
from sqlmodel import col, select
from tests.making import SETS, Station, document, open_station, part, read_mail, readers

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch import control
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch, DispatchLink
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.settling import resolve_all
from bdnews_dispatch.dispatch.starting import issue_dispatch
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.errors import NotFoundError, StateError
from bdnews_dispatch.issues.publishing import withdraw
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.sandbox import MailFault
from bdnews_dispatch.subscribers.agreements import unsubscribe
from bdnews_dispatch.subscribers.models import Suppression
from bdnews_dispatch.subscribers.targeting import Target, read_target


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path) as station:
        yield station


async def test_each_reader_gets_exactly_the_articles_of_their_sections(station: Station) -> None:
    await station.people(readers(31))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 31
    mails = {mail.recipients[0]: read_mail(mail) for mail in station.sandbox.mails()}
    assert len(mails) == 31
    for number in range(1, 32):
        message = mails[f"reader{number}@readers.example"]
        for shown_text in (part(message, "plain"), part(message, "html")):
            found = set(re.findall(r"\b([a-z]+)-[12](?=[  ]?的题目)", shown_text))
            assert found == set(SETS[number % 31])


async def test_publishing_alone_starts_the_dispatch(station: Station) -> None:
    await station.people(readers(3))
    await station.publish()
    async with station.worker():
        await station.sandbox.arrived(mails=3)
        await station.until(1)
    assert len(station.received()) == 3


async def test_an_issue_without_their_sections_is_skipped_with_the_reason(station: Station) -> None:
    await station.people(readers(31))
    dispatch_id = await station.start(await station.publish(document(sections=["policy"])))
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"] == {**shown["counts"], "sent": 16, "skipped": 15}
    assert shown["reasons"] == {"no_matching_section": 15}


async def test_weekly_readers_wait_for_their_week(station: Station) -> None:
    await station.people(readers(2, cadence="weekly"))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["reasons"] == {"cadence_weekly": 2}


async def test_starting_twice_sends_once_and_reaches_who_came_later(station: Station) -> None:
    await station.people(readers(3))
    taken = await station.publish()
    first = await station.start(taken)
    async with station.worker():
        await station.until(first)
        assert await station.start(taken) == first
        await station.people(readers(2, start=50))
        second = await station.start(taken)
        assert second != first
        shown = await station.until(second)
    assert shown["counts"]["sent"] == 2
    assert shown["reasons"] == {"already_sent": 3}
    assert len(station.received()) == len(set(station.received())) == 5


@pytest.mark.fault(17)
async def test_everything_told_five_times_does_no_harm(station: Station) -> None:
    await station.people(readers(4))
    for _ in range(5):
        await station.publish()
    async with station.worker() as worker:
        await station.until(1)
        for _ in range(5):
            async with station.parts.database.write() as session:
                await session.exec(delete(EventHandling))
                await session.exec(update(Event).values(handled_at=None))
            worker.wake()
            async with asyncio.timeout(10):
                while not await _all_handled(station):
                    await asyncio.sleep(0.02)
    async with station.parts.database.read() as session:
        assert (await session.exec(select(func.count()).select_from(Dispatch))).one() == 1
        assert (await session.exec(select(func.count()).select_from(Delivery))).one() == 4
    assert len(station.received()) == 4


async def _all_handled(station: Station) -> bool:
    async with station.parts.database.read() as session:
        return (await session.exec(select(Event.id).where(col(Event.handled_at).is_(None)))).first() is None


async def test_a_correction_does_not_go_out_again(station: Station) -> None:
    await station.people(readers(2))
    first = await station.publish()
    dispatch_id = await station.start(first)
    async with station.worker():
        await station.until(dispatch_id)
        corrected = await station.publish(document(mark="（更正）"))
        assert corrected.intake == "correction"
        assert await station.start(corrected) == dispatch_id
    assert len(station.received()) == 2


async def test_temporary_refusals_are_tried_again_until_all_have_it(station: Station) -> None:
    await station.people(readers(20))
    station.sandbox.faults.mail.append(
        MailFault(recipient="reader[1-5]@*", reply="450 4.2.1 mailbox busy", times=3)
    )
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 20
    assert len(set(station.received())) == len(station.received()) == 20
    async with station.parts.database.read() as session:
        deferred = await session.exec(
            select(func.count()).select_from(Attempt).where(Attempt.outcome == "deferred")
        )
        assert deferred.one() == 3


async def test_permanent_refusals_fail_exactly_those(station: Station) -> None:
    await station.people(readers(20))
    station.sandbox.faults.mail.append(MailFault(recipient="reader[1-5]@*", reply="550 5.1.1 no such user"))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"] == {**shown["counts"], "sent": 15, "failed": 5}
    async with station.parts.database.read() as session:
        assert len((await session.exec(select(Suppression))).all()) == 5
    again = await station.start(await station.publish(document(113)))
    async with station.worker():
        shown = await station.until(again)
    assert shown["reasons"] == {"suppressed": 5}


async def test_a_lost_answer_behind_the_dot_is_uncertain_and_never_sent_twice(station: Station) -> None:
    await station.people(readers(10))
    station.sandbox.faults.mail.append(MailFault(recipient="reader[12]@*", at="body", drop="dot", times=2))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        async with asyncio.timeout(30):
            while (shown := await station.show(dispatch_id))["counts"]["uncertain"] < 2:
                await asyncio.sleep(0.02)
        assert shown["state"] == "sending"
        async with station.parts.database.write() as session:
            assert await resolve_all(session, station.parts.clock, dispatch_id, "sent") == 2
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 10
    assert len(set(station.received())) == len(station.received())


async def test_a_connection_lost_before_the_message_is_simply_tried_again(station: Station) -> None:
    await station.people(readers(10))
    station.sandbox.faults.mail.append(MailFault(recipient="*", at="data", drop="command", times=3))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 10
    assert shown["counts"]["uncertain"] == 0
    assert len(set(station.received())) == len(station.received()) == 10


async def test_pause_resume_and_cancel_really_do(station: Station) -> None:
    await station.people(readers(10))
    dispatch_id = await station.start(await station.publish())
    async with station.parts.database.write() as session:
        await control.pause(session, dispatch_id)
    async with station.worker() as worker:
        worker.wake()
        await station.until(dispatch_id, "paused")
        async with station.parts.database.write() as session:
            await control.resume(session, dispatch_id)
        worker.wake()
        await station.until(dispatch_id)
    assert len(station.received()) == 10
    with pytest.raises(StateError):
        async with station.parts.database.write() as session:
            await control.cancel(session, station.parts.clock, dispatch_id)

    second = await station.start(await station.publish(document(113)))
    async with station.parts.database.write() as session:
        await control.cancel(session, station.parts.clock, second)
    async with station.worker():
        await station.until(second, "cancelled")
    assert len(station.received()) == 10


async def test_a_paused_dispatch_gives_its_claims_back_at_the_gate(station: Station) -> None:
    await station.people(readers(10))
    station.sandbox.faults.mail.append(MailFault(recipient="*", at="rcpt", delay_seconds=0.2))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        async with asyncio.timeout(20):
            while not (await station.show(dispatch_id))["counts"]["claimed"]:
                await asyncio.sleep(0.01)
        async with station.parts.database.write() as session:
            await control.pause(session, dispatch_id)
        sent = len(station.received())
        async with asyncio.timeout(20):
            while (shown := await station.show(dispatch_id))["counts"]["claimed"] + shown["counts"][
                "in_flight"
            ]:
                await asyncio.sleep(0.01)
        assert len(station.received()) <= sent + 4  # what had passed the gate
        assert shown["counts"]["planned"] + shown["counts"]["sent"] == 10
        station.sandbox.faults.mail.clear()
        async with station.parts.database.write() as session:
            await control.resume(session, dispatch_id)
        await station.until(dispatch_id)
    assert len(set(station.received())) == len(station.received()) == 10


@pytest.mark.fault(20)
async def test_who_unsubscribes_while_it_runs_gets_nothing_more(station: Station) -> None:
    await station.people(readers(10))
    station.sandbox.faults.mail.append(MailFault(recipient="*", at="rcpt", delay_seconds=0.1))
    dispatch_id = await station.start(await station.publish())
    async with station.worker(email={"connections": 1}):
        await station.sandbox.arrived(mails=1)
        received = station.received()
        async with station.parts.database.write() as session:
            for delivery in await station.deliveries(dispatch_id):
                if delivery.state in {DeliveryState.PLANNED, DeliveryState.CLAIMED}:
                    await unsubscribe(
                        session,
                        station.parts.clock,
                        delivery.subscriber_id,
                        "dsj",
                        reason="",
                        origin="test",
                    )
        shown = await station.until(dispatch_id)
    assert shown["counts"]["cancelled"] + shown["counts"]["sent"] == 10
    assert len(station.received()) <= len(received) + 2  # one in flight, one whose gate had just passed


async def test_a_withdrawn_issue_stops_its_dispatch(station: Station) -> None:
    await station.people(readers(3))
    taken = await station.publish()
    dispatch_id = await station.start(taken)
    async with station.parts.database.write() as session:
        issue = await session.merge(taken.issue)
        await withdraw(session, station.parts.clock, issue)
        taken.issue.state = issue.state
    async with station.parts.database.write() as session:
        await control.pause(session, dispatch_id)
    async with station.worker():
        shown = await station.until(dispatch_id, "cancelled")
    assert shown["note"]
    assert station.received() == []
    with pytest.raises(StateError):
        await station.start(taken)


async def test_a_relay_that_is_away_loses_nothing_and_says_why(station: Station) -> None:
    await station.people(readers(12))
    dispatch_id = await station.start(await station.publish())
    closed = {"smtp_port": 9}  # discard: nothing listens there
    async with station.worker(sandbox=closed, delivery={"breaker_after": 3}):
        async with asyncio.timeout(20):
            while not (shown := await station.show(dispatch_id))["note"]:
                await asyncio.sleep(0.02)
    assert "email" in shown["note"]
    shown = await station.show(dispatch_id)
    assert shown["counts"]["planned"] == 12
    async with station.parts.database.write() as session:  # the wait is over
        await session.exec(update(Delivery).values(due_at=station.parts.clock()))
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 12
    assert shown["note"] == ""
    assert len(set(station.received())) == len(station.received()) == 12


@pytest.mark.fault(19)
async def test_one_poisoned_subscriber_fails_alone(station: Station) -> None:
    await station.people(readers(10))
    async with station.parts.database.write() as session:
        delivery_to = "reader5@readers.example\r\nBcc: victim@x.example"
        from bdnews_dispatch.subscribers.models import Subscriber  # noqa: PLC0415

        await session.exec(
            update(Subscriber)
            .where(col(Subscriber.email_key) == "reader5@readers.example")
            .values(email=delivery_to)
        )
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"] == {**shown["counts"], "sent": 9, "failed": 1}


async def test_the_links_of_a_digest_are_stored_with_its_dispatch(station: Station) -> None:
    await station.people(readers(1))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        await station.until(dispatch_id)
    async with station.parts.database.read() as session:
        links = (
            await session.exec(select(DispatchLink).where(DispatchLink.dispatch_id == dispatch_id))
        ).all()
    by_number = {link.number: link for link in links}
    message = read_mail(station.sandbox.mails()[0])
    clicked = {int(n) for n in re.findall(r"http://news\.example/c/[a-z0-9.]+/(\d+)", part(message, "html"))}
    assert clicked
    assert clicked <= set(by_number)
    articles = [link for link in links if link.kind == "article"]
    assert len(articles) == 10
    assert {link.url for link in articles} == {
        f"http://news.example/issues/dsj/112/{n}" for n in range(1, 11)
    }


async def test_a_list_that_is_not_there_is_named(station: Station) -> None:
    taken = await station.publish()
    with pytest.raises(NotFoundError, match="没有的名单"):
        await station.start(taken, lists=["没有的名单"])


async def test_a_list_bounds_the_audience(station: Station) -> None:
    await station.people(readers(3), list_name="部委")
    await station.people(readers(5, start=10))
    dispatch_id = await station.start(await station.publish(), lists=["部委"])
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["deliveries"] == 3


async def test_followers_get_cards_and_who_wants_both_gets_both(station: Station) -> None:
    await station.people(readers(4, channel="both"))
    for number in range(1, 4):
        await station.sandbox.follow(f"oReader{number:021d}")
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["channels"]["email"]["sent"] == 4
    assert shown["channels"]["wechat"]["sent"] == 3
    assert shown["channels"]["wechat"]["failed"] == 1  # the platform says: not a follower
    cards = station.sandbox.cards()
    assert sorted(card.openid for card in cards) == [f"oReader{n:021d}" for n in range(1, 4)]
    assert all(card.url.startswith("http://news.example/w/") for card in cards)


async def test_what_a_dead_worker_held_comes_back(station: Station) -> None:
    await station.people(readers(6))
    dispatch_id = await station.start(await station.publish())
    async with station.worker():
        await station.until(dispatch_id)
    async with station.parts.database.write() as session:
        rows = (await session.exec(select(Delivery).order_by(col(Delivery.id)))).all()
        for delivery, state in zip(rows, ["claimed"] * 3 + ["in_flight"] * 2, strict=False):
            delivery.state = DeliveryState(state)
            delivery.worker = "dead"
            delivery.lease_until = station.parts.clock()
            session.add(delivery)
        await session.exec(update(Dispatch).values(state="sending", finished_at=None))
    async with station.worker():
        async with asyncio.timeout(20):
            while (shown := await station.show(dispatch_id))["counts"]["sent"] < 4:
                await asyncio.sleep(0.02)
    assert shown["counts"]["uncertain"] == 2
    assert shown["counts"]["sent"] == 4


async def test_content_that_can_not_be_made_pauses_and_keeps_everything(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a template is wrong")

    await station.people(readers(5))
    dispatch_id = await station.start(await station.publish())
    with monkeypatch.context() as patch:
        patch.setattr("bdnews_dispatch.dispatch.composing.render_digest", broken)
        async with station.worker():
            shown = await station.until(dispatch_id, "paused")
            assert "RuntimeError" in shown["note"]
    assert (await station.show(dispatch_id))["counts"]["planned"] == 5
    async with station.parts.database.write() as session:
        await control.resume(session, dispatch_id)
    async with station.worker():
        await station.until(dispatch_id)
    assert len(set(station.received())) == 5


FULL_DISK = {
    Backend.SQLITE: [
        (
            "CREATE TRIGGER full_disk BEFORE UPDATE OF state ON delivery WHEN new.state = 'in_flight'"
            " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
    ],
    Backend.POSTGRESQL: [
        (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END$$"
        ),
        (
            "CREATE TRIGGER full_disk BEFORE UPDATE ON delivery FOR EACH ROW WHEN (new.state = 'in_flight')"
            " EXECUTE FUNCTION full_disk()"
        ),
    ],
}
SPACE_AGAIN = {
    Backend.SQLITE: "DROP TRIGGER full_disk",
    Backend.POSTGRESQL: "DROP TRIGGER full_disk ON delivery",
}


@pytest.mark.fault(6)
async def test_a_full_disk_sends_nothing_and_goes_on_by_itself(station: Station, backend: Backend) -> None:
    await station.people(readers(6))
    dispatch_id = await station.start(await station.publish())
    async with station.parts.database.write() as session:
        for statement in FULL_DISK[backend]:
            await session.execute(text(statement))
    async with station.worker(delivery={"breaker_after": 2}):
        async with asyncio.timeout(20):
            while not (shown := await station.show(dispatch_id))["note"]:
                await asyncio.sleep(0.02)
        assert station.received() == []
        async with station.parts.database.write() as session:
            await session.execute(text(SPACE_AGAIN[backend]))
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == 6
    assert shown["counts"]["uncertain"] == 0
    assert len(set(station.received())) == 6


async def test_a_forecast_is_what_planning_then_does(station: Station) -> None:
    await station.people(readers(20), list_name="部委")
    await station.people(readers(4, start=30, channel="both"), list_name="甲")
    await station.people(readers(3, start=50, cadence="weekly"), list_name="部委")
    taken = await station.publish(document(sections=["policy"]))
    clock, database = station.parts.clock, station.parts.database
    planner = Planner(database, clock, station.parts.publications, station.parts.links)
    async with database.read() as session:
        everybody = await planner.forecast(
            session, issue_dispatch(clock, taken.issue, Target()), station.accounts
        )
        target = await read_target(session, lists=["部委", "甲"], excluded_lists=["甲"])
        narrow = await planner.forecast(session, issue_dispatch(clock, taken.issue, target), station.accounts)
    assert (everybody.rules.subscribed, everybody.rules.not_named, everybody.rules.left) == (27, 0, 27)
    assert (narrow.rules.not_named, narrow.rules.excluded, narrow.rules.left) == (0, {"list:甲": 4}, 23)
    dispatch_id = await station.start(taken, lists=["部委", "甲"], excluded_lists=["甲"])
    async with station.worker():
        shown = await station.until(dispatch_id)
    assert shown["counts"]["sent"] == sum(narrow.planned.values())
    assert shown["reasons"] == dict(narrow.left_out)
    async with database.read() as session:
        again = await planner.forecast(session, issue_dispatch(clock, taken.issue, target), station.accounts)
    assert again.planned == {}
    assert everybody.cards.as_json()["modes"] == {"template": 2}
    assert again.left_out["already_sent"] == shown["counts"]["sent"]
