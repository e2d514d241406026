"""Retention as a whole: in small steps, one failure at a time, and what no rule may take."""

from pathlib import Path

import pytest
from sqlalchemy import event, func, insert
from sqlalchemy.exc import OperationalError
from sqlmodel import select
from tests.integration.privacy.keeping import DAY, Keep, carried_out, delivery_of
from tests.integration.privacy.searching import JING, everything
from tests.integration.web.readers_site import Site
from tests.making import test_settings as settings_of

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.privacy import sweeping
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.privacy.retention import NAMES, RULES, Retention
from bdnews_dispatch.subscribers.models import Request, RequestKind, Subscriber
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.tracking.models import Hit, HitKind


async def test_many_rows_go_in_small_transactions_and_the_young_are_not_read(
    site: Site, jing: int, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 100)
    delivery = await delivery_of(site, 1)
    own = len(await site.hits())
    rows = [{"delivery_id": delivery, "kind": HitKind.OPEN, "machine": "", "user_agent": ""}]
    old = [rows[0] | {"at": site.clock()}] * (350 - own)
    young = [rows[0] | {"at": site.clock() + 10 * DAY}] * 1_000
    async with site.database.write() as session:
        await session.execute(insert(Hit), old + young)
    site.clock.move(days=10)
    deleted: list[int] = []
    pages: list[str] = []

    def seen(_conn: object, cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("DELETE FROM hit"):
            deleted.append(cursor.rowcount)  # type: ignore[attr-defined]  # DB-API
        if statement.startswith("SELECT hit.id"):
            pages.append(statement)

    event.listen(site.database.engine.sync_engine, "after_cursor_execute", seen)
    try:
        assert (await keep(hits=5).run())["hits"] == 350
    finally:
        event.remove(site.database.engine.sync_engine, "after_cursor_execute", seen)
    assert deleted == [100, 100, 100, 50]
    assert len(pages) == 5, "one page in which none is old ends it"
    assert len(await site.hits()) == 1_000


async def test_one_row_from_the_future_stops_nothing(site: Site, jing: int, keep: Keep) -> None:
    delivery = await delivery_of(site, 1)
    async with site.database.write() as session:
        for day in (100, 0, 0):  # a clock was wrong for a moment
            session.add(Hit(delivery_id=delivery, kind=HitKind.CLICK, at=site.clock() + day * DAY))
            await session.flush()
    site.clock.move(days=10)
    await keep(hits=5).run()
    assert [hit.at > site.clock() for hit in await site.hits()] == [True]


async def test_a_rule_that_fails_stops_no_other_one(
    site: Site, jing: int, keep: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    await site.handle_events()
    site.clock.move(days=100)

    def refuse(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("DELETE FROM hit"):
            raise OperationalError(statement, None, Exception(JING))

    event.listen(site.database.engine.sync_engine, "before_cursor_execute", refuse)
    try:
        done = await keep(hits=5, attempts=5).run()
    finally:
        event.remove(site.database.engine.sync_engine, "before_cursor_execute", refuse)
    assert "hits" not in done
    assert done["attempts"] == 1
    [failed] = [record for record in caplog.records if record.getMessage() == "retention.failed"]
    assert vars(failed)["rule"] == "hits"
    assert JING not in caplog.text
    assert (await keep(hits=5).run())["hits"] > 0, "and it is made up for"


async def test_zero_keeps_for_ever(site: Site, jing: int, keep: Keep) -> None:
    await site.handle_events()
    site.clock.move(days=10_000)
    before = await everything(site.database)
    assert await carried_out(keep()) == {}
    assert await everything(site.database) == before


async def test_every_rule_has_its_setting_and_is_counted(site: Site, jing: int, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    days = set(type(settings.retention).model_fields) - {"at"}
    assert days == {*RULES, "sandbox"}
    Retention(site.database, site.clock, settings)
    said = metrics.exposition().decode()
    for name in NAMES:
        assert f'bdnews_retention_removed_total{{rule="{name}"}}' in said


async def test_what_no_rule_takes(site: Site, jing: int, tmp_path: Path) -> None:
    """With the settings that ship, ten years on: links in old mails work, and what was agreed to can be shown."""
    confirmed = await site.asks("wu.min@readers.example")
    await site.post(site.links.confirm(confirmed.key))
    await site.handle_events()
    kept = ("delivery", "subscriber", "subscription", "suppression", "list_membership", "dispatch_link")
    site.clock.move(days=3650)
    before = await everything(site.database)
    done = await Retention(site.database, site.clock, settings_of(tmp_path)).run()
    assert done["hits"]
    assert done["events"]
    after = await everything(site.database)
    for table in kept:
        assert after[table] == before[table], table
    assert [request.email for request in await site.requests()] == ["wu.min@readers.example"]
    own = next(row.key for row in await site.deliveries() if row.subscriber_id == 2)
    gone = await site.post(site.links.unsubscribe(own), data={"List-Unsubscribe": "One-Click"})
    assert gone.status == 200
    async with site.database.read() as session:
        current = select(func.count()).select_from(Subscriber)
        assert (await session.exec(current)).one() == 3
    assert (await site.events()).count("subscriber.unsubscribed") == 1


async def test_what_stays_is_passed_by_and_what_is_due_goes_in_small_steps(
    site: Site, jing: int, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 2)
    now = site.clock()
    async with site.database.write() as session:
        for number in range(9):  # every third was answered: it proves an agreement
            session.add(
                Request(
                    key=f"k{number}",
                    kind=RequestKind.SUBSCRIBE,
                    publication="dsj",
                    email=f"r{number}@readers.example",
                    email_key=f"r{number}@readers.example",
                    requested_at=now,
                    expires_at=now,
                    done_at=now if number % 3 == 0 else None,
                )
            )
    there = len(await site.requests())
    site.clock.move(days=60)
    looks: list[str] = []

    def seen(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT request.id") and "request.id IN" not in statement:
            looks.append(statement)

    event.listen(site.database.engine.sync_engine, "before_cursor_execute", seen)
    try:
        gone = (await keep(requests=30).run())["requests"]
    finally:
        event.remove(site.database.engine.sync_engine, "before_cursor_execute", seen)
    left = await site.requests()
    assert len(left) == there - gone
    assert [one.key for one in left if len(one.key) == 2] == ["k0", "k3", "k6"]
    assert len(looks) == -(-gone // 2) + 1
    assert all("request.id >" in look for look in looks), "on from where the last one ended"


async def test_quotas_of_past_months_go_in_small_steps(
    site: Site, jing: int, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 2)
    past, now = f"{site.clock() - 70 * DAY:%Y-%m}", f"{beijing(site.clock()):%Y-%m}"
    async with site.database.write() as session:
        session.add_all(
            WeChatQuota(name="mass:wx", holder=f"o{number}", period=period, used=1)
            for number in range(5)
            for period in (past, now)
        )
    deleted: list[int] = []

    def seen(_conn: object, cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("DELETE FROM wechat_quota"):
            deleted.append(cursor.rowcount)  # type: ignore[attr-defined]  # DB-API

    event.listen(site.database.engine.sync_engine, "after_cursor_execute", seen)
    try:
        assert (await keep().run())["erased"] == 5
    finally:
        event.remove(site.database.engine.sync_engine, "after_cursor_execute", seen)
    assert deleted == [2, 2, 1]
    async with site.database.read() as session:
        assert set(await session.exec(select(WeChatQuota.period))) == {now}


async def test_a_night_on_which_nothing_is_due_keeps_nobody_waiting(
    site: Site, jing: int, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody was erased lately: nothing of them is left."""
    await site.handle_events()
    async with site.database.write() as session:
        assert await erase(session, site.clock, site.links.signer, jing)
    retention = keep(hits=5, attempts=5, returns=5, requests=5, letters=5, events=5)
    site.clock.move(days=20)
    assert any((await retention.run()).values())

    def nobody() -> None:
        raise AssertionError("it waits for the writer's lock")

    monkeypatch.setattr(site.database, "write_beside", nobody)
    assert not any((await retention.run()).values())
