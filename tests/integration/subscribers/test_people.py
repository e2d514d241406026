"""What people agreed to: never edited, always undone by a new row; events where they leave or come back."""

from typing import Any

import pytest
from sqlmodel import col, select
from tests.making import DSJ, HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import FieldError
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscription


async def add(database: Database, clock: HandClock, **changes: Any) -> people.Added:
    values: dict[str, Any] = {
        "email": "Zhou.Mingde@Readers.Example",
        "name": "周明德",
        "openid": None,
    }
    agreed = {
        name: changes.pop(name, default)
        for name, default in {"sections": ["local", "policy"], "cadence": Cadence.ISSUE}.items()
    }
    channel = changes.pop("channel", None)
    agreement = Agreement(False, channel=channel or ChannelChoice.EMAIL, **agreed)
    async with database.write() as session:
        return await people.add(
            session,
            clock,
            DSJ,
            agreement=agreement,
            natural=channel is None,
            proof=Proof("admin", "test"),
            **values | changes,
        )


async def rows(database: Database) -> list[Subscription]:
    async with database.read() as session:
        return list((await session.exec(select(Subscription).order_by(col(Subscription.id)))).all())


async def test_added_once_known_in_whatever_case(database: Database, clock: HandClock) -> None:
    added = await add(database, clock)
    again = await add(database, clock, email="zhou.mingde@readers.example")
    assert (added.status, again.status) == ("added", "unchanged")
    assert added.subscriber_id == again.subscriber_id
    async with database.read() as session:
        person = await people.find_by_id(session, added.subscriber_id)
        assert person.email == "Zhou.Mingde@readers.example"
        assert await people.find_by_email(session, "ZHOU.mingde@READERS.example") is not None
    assert [row.sections for row in await rows(database)] == [["policy", "local"]]


async def test_a_change_ends_one_row_and_begins_another(database: Database, clock: HandClock) -> None:
    await add(database, clock)
    clock.move(hours=1)
    changed = await add(database, clock, sections=["frontier"])
    assert changed.status == "changed"
    first, second = await rows(database)
    assert (first.end_reason, first.ended_at) == ("changed", second.began_at)
    assert second.ended_at is None
    assert second.sections == ["frontier"]


async def test_leaving_twice_is_no_error_and_tells_once(database: Database, clock: HandClock) -> None:
    who = (await add(database, clock)).subscriber_id
    for expected in (True, False):
        async with database.write() as session:
            left = await agreements.unsubscribe(session, clock, who, "dsj", reason="太频繁", origin="page")
        assert left is expected
    async with database.read() as session:
        told = (await session.exec(select(Event).where(Event.name == "subscriber.unsubscribed"))).all()
    assert len(told) == 1
    assert "readers.example" not in str(told[0].payload)
    assert [row.end_reason for row in await rows(database)] == ["page:太频繁"]


async def test_undo_copies_what_was(database: Database, clock: HandClock) -> None:
    who = (await add(database, clock, cadence=Cadence.WEEKLY)).subscriber_id
    async with database.write() as session:
        await agreements.unsubscribe(session, clock, who, "dsj", reason="", origin="page")
        clock.move(minutes=1)
        assert await agreements.resubscribe(session, clock, who, "dsj", proof=Proof("undo"))
        assert not await agreements.resubscribe(session, clock, who, "dsj", proof=Proof("undo"))
    first, second = await rows(database)
    assert first.ended_at is not None
    assert (second.sections, second.cadence, second.origin) == (["policy", "local"], Cadence.WEEKLY, "undo")


async def test_leaving_again_after_undo_is_told_again(database: Database, clock: HandClock) -> None:
    who = (await add(database, clock)).subscriber_id
    async with database.write() as session:
        for _ in range(2):
            await agreements.unsubscribe(session, clock, who, "dsj", reason="", origin="page")
            await agreements.resubscribe(session, clock, who, "dsj", proof=Proof("undo"))
    async with database.read() as session:
        names = (await session.exec(select(Event.name).order_by(col(Event.id)))).all()
    assert list(names) == ["subscriber.unsubscribed", "subscriber.resubscribed"] * 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "keine adresse"}, "email.invalid"),
        ({"email": None}, "identity.missing"),
        ({"sections": ["nichts"]}, "sections.unknown"),
        ({"sections": []}, "sections.none"),
        ({"channel": ChannelChoice.WECHAT}, "channel.unreachable"),
        ({"openid": "has space"}, "openid.invalid"),
        ({"name": "名" * 101}, "name.too_long"),
    ],
)
async def test_what_can_not_be_taken_is_named(
    database: Database, clock: HandClock, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(FieldError) as error:
        await add(database, clock, **changes)
    assert error.value.code == code
    assert await rows(database) == []


async def test_an_address_and_an_openid_of_two_people_are_not_mixed(
    database: Database, clock: HandClock
) -> None:
    await add(database, clock)
    await add(database, clock, email=None, openid="oSomebodyElse")
    with pytest.raises(StateError):
        await add(database, clock, openid="oSomebodyElse")
