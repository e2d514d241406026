"""One person by an admin's hand: what is not said stays, who has left stays away unless they ask to come back."""

from typing import Any

import pytest
from sqlmodel import col, select
from tests.making import DSJ, SIGNER, HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.adding import Done, Said, add_by_hand
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.models import Cadence, Channel, ChannelChoice, Subscription
from bdnews_dispatch.subscribers.suppressions import suppress

A = "Zhou@x.example"


async def add(database: Database, clock: HandClock, *, resubscribe: bool = False, **said: Any) -> Done:
    async with database.write() as session:
        return await add_by_hand(
            session, clock, SIGNER, DSJ, Said(**said), Proof("admin", "test"), resubscribe=resubscribe
        )


async def leave(database: Database, clock: HandClock, subscriber_id: int) -> None:
    async with database.write() as session:
        assert await agreements.unsubscribe(
            session, clock, subscriber_id, "dsj", reason="", origin="one_click"
        )


async def current(database: Database) -> list[tuple[bool, list[str], ChannelChoice, Cadence]]:
    async with database.read() as session:
        rows = await session.exec(
            select(Subscription).where(col(Subscription.ended_at).is_(None)).order_by(col(Subscription.id))
        )
        return [(row.whole_issue, row.sections, row.channel, row.cadence) for row in rows]


async def test_what_is_not_said_stays(database: Database, clock: HandClock) -> None:
    first = await add(database, clock, email=A, name="周", sections=["policy", "local"])
    assert first.status == "added"
    again = await add(database, clock, email=A.lower(), cadence=Cadence.WEEKLY)
    assert (again.subscriber_id, again.status) == (first.subscriber_id, "changed")
    assert await current(database) == [(False, ["policy", "local"], ChannelChoice.EMAIL, Cadence.WEEKLY)]
    assert (await add(database, clock, email=A)).status == "unchanged"
    # No sections at all is the whole issue.
    await add(database, clock, email=A, sections=[])
    assert await current(database) == [(True, [], ChannelChoice.EMAIL, Cadence.WEEKLY)]


async def test_somebody_new_reads_the_whole_issue_by_the_way_that_is_there(
    database: Database, clock: HandClock
) -> None:
    await add(database, clock, openid="oReaderA")
    assert await current(database) == [(True, [], ChannelChoice.WECHAT, Cadence.ISSUE)]


async def test_who_has_left_stays_away_unless_they_ask(database: Database, clock: HandClock) -> None:
    done = await add(database, clock, email=A, sections=["local"], cadence=Cadence.WEEKLY)
    await leave(database, clock, done.subscriber_id)
    with pytest.raises(StateError, match="已退订") as refused:
        await add(database, clock, email=A.upper().replace("X.EXAMPLE", "x.example"), sections=["policy"])
    assert "--resubscribe" in refused.value.hint
    assert await current(database) == []
    back = await add(database, clock, email=A, resubscribe=True)
    assert (back.subscriber_id, back.status) == (done.subscriber_id, "added")
    # As it was when they left.
    assert await current(database) == [(False, ["local"], ChannelChoice.EMAIL, Cadence.WEEKLY)]


async def test_who_had_everything_erased_is_not_added_unless_they_ask(
    database: Database, clock: HandClock
) -> None:
    done = await add(database, clock, email=A)
    async with database.write() as session:
        await erase(session, clock, SIGNER, done.subscriber_id)
    with pytest.raises(StateError, match="删除其全部数据"):
        await add(database, clock, email=A)
    assert await current(database) == []
    assert (await add(database, clock, email=A, resubscribe=True)).status == "added"
    # They have come back: the mark has done its work.
    assert (await add(database, clock, email=A, name="周")).status == "changed"


async def test_who_is_suppressed_is_said_to_be(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        await suppress(session, clock, Channel.EMAIL, A.lower(), reason="bounce", source="returns")
    assert (await add(database, clock, email=A)).suppressed == (Channel.EMAIL,)
    assert (await add(database, clock, email="b@x.example")).suppressed == ()
