"""A card's gate takes what its mode uses up, in the same transaction; what was not used is given back; a card that no
mode takes leaves its place to a mail. On both databases.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select, update
from tests.making import Station, open_station, readers

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.outcomes import SAME_KEY
from bdnews_dispatch.dispatch.ledger_store import (
    CardGate,
    Claim,
    GivenBack,
    Group,
    LedgerStore,
    PassedOn,
    Settled,
)
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatQuota
from bdnews_dispatch.official_account.takings import Taking
from bdnews_dispatch.service.worker import ledger_store, open_worker
from bdnews_dispatch.subscribers.models import (
    Channel,
    ChannelChoice,
    Follower,
    Subscriber,
    Subscription,
    Suppression,
)

NO_MODE = Outcome(
    OutcomeKind.REFUSED, "wechat.no_mode", "客服消息：用户的客服窗口没有打开", remedy=Remedy.OTHER_CHANNEL
)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Four planned cards of people who take either."""
    async with open_station(tmp_path) as station:
        await station.people(readers(4, channel="either"))
        dispatch = await station.start(await station.publish())
        async with open_worker(station.parts) as worker:
            while await worker._planner.plan_slice(dispatch):
                pass
        yield station


@pytest.fixture
async def store(station: Station) -> AsyncIterator[LedgerStore]:
    async with ledger_store(station.parts.database, "w") as store:
        yield store


async def claim(store: LedgerStore, station: Station) -> list[Claim]:
    now = station.parts.clock()
    claims, _ = await store.claim(
        1, Channel.WECHAT, 9, publication="dsj", moment=now, lease_until=now + timedelta(seconds=60)
    )
    assert len(claims) == 4
    return claims


def quota(limit: int) -> Taking:
    return Taking("quota", "", "template:wx", "2026-11-23", limit)


async def used(station: Station) -> int:
    async with station.parts.database.read() as session:
        return sum((await session.exec(select(WeChatQuota.used))).all())


async def rows(station: Station, channel: Channel = Channel.WECHAT) -> list[Delivery]:
    async with station.parts.database.read() as session:
        found = await session.exec(
            select(Delivery).where(Delivery.channel == channel).order_by(col(Delivery.id))
        )
        return list(found)


async def open_gates(store: LedgerStore, station: Station, claims: list[Claim], taking: Taking) -> list[bool]:
    cards = {held.delivery_id: CardGate("template", taking) for held in claims}
    return await store.write(Group(station.parts.clock(), claims, cards=cards))


async def test_the_last_one_is_taken_once(station: Station, store: LedgerStore) -> None:
    claims = await claim(store, station)
    assert sorted(await open_gates(store, station, claims, quota(3))) == [False, True, True, True]
    assert await used(station) == 3
    states = sorted(delivery.state for delivery in await rows(station))
    assert states == ["claimed", "in_flight", "in_flight", "in_flight"]
    assert {d.mode for d in await rows(station) if d.state == "in_flight"} == {"template"}


async def test_two_workers_do_not_both_take_the_last_one(station: Station, store: LedgerStore) -> None:
    claims = await claim(store, station)
    async with ledger_store(station.parts.database, "v") as other:
        async with station.parts.database.write() as session:
            await session.execute(
                update(Delivery)
                .where(col(Delivery.id).in_([held.delivery_id for held in claims[2:]]))
                .values(worker="v")
            )
        answers = await asyncio.gather(
            open_gates(store, station, claims[:2], quota(1)), open_gates(other, station, claims[2:], quota(1))
        )
    assert sum(sum(answer) for answer in answers) == 1
    assert await used(station) == 1


async def test_a_gate_that_stays_closed_takes_nothing(station: Station, store: LedgerStore) -> None:
    claims = await claim(store, station)
    async with station.parts.database.write() as session:
        await session.execute(update(Subscription).values(ended_at=station.parts.clock()))
    assert await open_gates(store, station, claims, quota(9)) == [False] * 4
    assert await used(station) == 0


async def test_what_was_not_used_comes_back_with_what_is_written_of_it(
    station: Station, store: LedgerStore
) -> None:
    claims = await claim(store, station)
    taking, now = quota(9), station.parts.clock()
    await open_gates(store, station, claims, taking)
    assert await used(station) == 4
    busy = Outcome(OutcomeKind.DEFERRED, "-1", "busy", "template")
    settled = [Settled(claims[0], busy, DeliveryState.DEFERRED, "-1", now)]
    back = [GivenBack(claims[1], "connect.refused", now)]
    freed = {claims[0].delivery_id: taking, claims[1].delivery_id: taking}
    group = Group(now, settled=settled, given_back=back, freed=freed)
    await store.write(group)
    assert await used(station) == 2
    await store.write(group)
    assert await used(station) == 2, "written again, counted once"
    assert [delivery.mode for delivery in await rows(station)] == ["", "", "template", "template"]


@pytest.mark.parametrize("kind", ["window", "credit", "consent"])
async def test_of_a_follower(station: Station, store: LedgerStore, kind: str) -> None:
    openid, now = "oReader000000000000000000001", station.parts.clock()
    async with station.parts.database.write() as session:
        session.add(
            Follower(openid=openid, window_until=now + timedelta(hours=1), window_left=1, updated_at=now)
        )
        session.add(WeChatCredit(openid=openid, template_id="once", granted=1, updated_at=now))
        session.add(WeChatCredit(openid=openid, template_id="long", granted=1, lasting=True, updated_at=now))
    taking = {
        "window": Taking("window", openid),
        "credit": Taking("credit", openid, "once"),
        "consent": Taking("consent", openid, "long"),
    }[kind]
    claims = await claim(store, station)
    opened = await open_gates(store, station, claims[:2], taking)
    assert sum(opened) == (2 if kind == "consent" else 1), "a long-term consent is not used up"
    assert not any(
        await open_gates(store, station, claims[2:], Taking(taking.kind, "oStranger", taking.name))
    )


async def test_a_template_in_flight_is_sent_again_while_its_id_is_known(
    station: Station, store: LedgerStore
) -> None:
    claims = await claim(store, station)
    await open_gates(store, station, claims, quota(9))
    async with station.parts.database.write() as session:
        await session.execute(
            update(Delivery)
            .where(col(Delivery.id) == claims[0].delivery_id)
            .values(called_at=station.parts.clock() - timedelta(minutes=11))
        )
        await session.execute(
            update(Delivery).where(col(Delivery.id) == claims[1].delivery_id).values(mode="custom")
        )
    await store.recover(station.parts.clock() + timedelta(seconds=90), DeliveryState.UNCERTAIN, [])
    assert [(d.state, d.mode) for d in await rows(station)] == [
        ("uncertain", "template"),
        ("uncertain", "custom"),
        ("planned", "template"),
        ("planned", "template"),
    ]


async def test_a_call_to_make_again_is_kept_through_whatever_comes_between(
    station: Station, store: LedgerStore
) -> None:
    """Given back before its gate, behind it, and recovered: the same call, and the clock of the first one."""
    claims, first = await claim(store, station), station.parts.clock()
    cards = {held.delivery_id: CardGate("template", quota(9)) for held in claims}
    await store.write(Group(first, claims, cards=cards))
    later = first + timedelta(minutes=1)
    lost = Outcome(OutcomeKind.DEFERRED, "timeout", "", "template", rule=SAME_KEY)
    await store.write(
        Group(
            later,
            settled=[
                Settled(held, lost, DeliveryState.DEFERRED, "timeout", later, "template") for held in claims
            ],
        )
    )
    claims, _ = await store.claim(
        1, Channel.WECHAT, 9, publication="dsj", moment=later, lease_until=later + timedelta(seconds=1)
    )
    gates = {held.delivery_id: CardGate("template", None) for held in claims[1:]}
    assert await store.write(Group(later, claims[1:], cards=gates)) == [True] * 3
    back = [GivenBack(claims[0], "", later), GivenBack(claims[1], "connect.refused", later, "template")]
    await store.write(Group(later, given_back=[*back, GivenBack(claims[2], "-1", later)]))
    await store.recover(later + timedelta(seconds=90), DeliveryState.UNCERTAIN, [])
    assert [(d.state, d.mode, d.called_at) for d in await rows(station)] == [
        ("planned", "template", first),
        ("planned", "template", first),
        ("planned", "", None),
        ("planned", "template", first),
    ]
    late = first + timedelta(minutes=9)
    claims, _ = await store.claim(
        1, Channel.WECHAT, 9, publication="dsj", moment=late, lease_until=late + timedelta(minutes=1)
    )
    gates = {held.delivery_id: CardGate("template", None) for held in claims}
    opened = await store.write(Group(late, claims, cards=gates))
    assert opened == [False, False, True, False], "the platform may have forgotten their ids"


async def test_a_mail_takes_the_place_of_a_card(station: Station, store: LedgerStore) -> None:
    """One may, one takes WeChat alone, one's address is suppressed, one has none."""
    claims, now = await claim(store, station), station.parts.clock()
    async with station.parts.database.write() as session:
        await session.execute(
            update(Subscription)
            .where(col(Subscription.subscriber_id) == claims[1].subscriber_id)
            .values(channel=ChannelChoice.WECHAT)
        )
        third = await session.get(Subscriber, claims[2].subscriber_id)
        assert third is not None
        assert third.email_key is not None
        session.add(Suppression(channel=Channel.EMAIL, target=third.email_key, reason="x", created_at=now))
        await session.execute(
            update(Subscriber)
            .where(col(Subscriber.id) == claims[3].subscriber_id)
            .values(email=None, email_key=None)
        )
    await open_gates(store, station, claims[:2], quota(9))  # in flight or not, it is the same
    passed = [PassedOn(held, NO_MODE, f"mail-{held.delivery_id}") for held in claims]
    await store.write(Group(now, passed_on=passed))
    await store.write(Group(now, passed_on=passed))
    assert [(d.state, d.reason) for d in await rows(station)] == [
        ("skipped", "wechat.by_email"),
        ("failed", "wechat.no_mode"),
        ("failed", "wechat.no_mode"),
        ("failed", "wechat.no_mode"),
    ]
    (mail,) = await rows(station, Channel.EMAIL)
    assert (mail.subscriber_id, mail.state, mail.sections) == (
        claims[0].subscriber_id,
        DeliveryState.PLANNED,
        list(claims[0].sections),
    )
    async with station.parts.database.read() as session:
        tries = (await session.exec(select(Attempt))).all()
    assert len(tries) == 4
    assert {(one.code, one.text) for one in tries} == {(NO_MODE.code, NO_MODE.text)}
