"""Every row of the platform's error table, given by the sandbox: what becomes of the delivery, the reader, the mode and
the channel. The rows of single users share a dispatch, those of the channel have one each.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlmodel import col, select
from tests.making import Station, open_station

from bdnews_dispatch.channels.wechat.codes import TABLE, Action
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.sandbox import PlatformFault
from bdnews_dispatch.subscribers.followers import touched
from bdnews_dispatch.subscribers.models import Channel, Suppression

#: What follows from a code is no matter of the database.
pytestmark = pytest.mark.database("sqlite")

CUSTOM, TEMPLATE, SEND = "message/custom/send", "message/template/send", "message/mass/send"
UNLISTED = 99_999


def openid(number: int) -> str:
    return f"oReader{number:021d}"


class End(NamedTuple):
    """Of a delivery. `waits`: it is due so many seconds later, at least and at most."""

    state: str
    mode: str = ""
    suppressed: bool = False
    waits: tuple[float, float] = (0, 0)


#: By what follows; the first mode is 客服消息, the next 模板消息.
OF_USER: Mapping[Action, End] = {
    Action.BACK_OFF: End("deferred", waits=(20, 60)),
    Action.DEFER_USER: End("deferred", waits=(4.5 * 3600, 8 * 3600)),
    Action.SUPPRESS: End("failed", suppressed=True),
    Action.ASK_USER: End("failed"),
    Action.NEXT_MODE: End("sent", "template"),
    Action.MODE_OFF: End("sent", "template"),
    Action.CONTENT: End("failed"),
    Action.DONE: End("sent", "custom"),
    Action.AWAIT: End("uncertain"),
    Action.REFUSE: End("failed"),
}
CHANNEL = {Action.STOP, Action.PERSON, Action.RENEW}
#: A quarter may be added, so that not all come back at once.
LATER = {Action.NEXT_MINUTE: (0.0, 76.0), Action.NEXT_DAY: (1.0, 108_001.0)}
USERS = [code for code, row in TABLE.items() if row.action in OF_USER] + [UNLISTED]


def test_every_action_is_here() -> None:
    assert {*OF_USER, *CHANNEL, *LATER} == set(Action)
    named = {row.action for row in TABLE.values()} | {Action.REFUSE}
    assert named == set(Action), "and has a code"


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path, wechat={"modes": ["custom", "template"], "connections": 4}) as station:
        yield station


async def readers(station: Station, number: int, *, channel: str = "wechat", window: bool = True) -> None:
    csv = "email,openid,sections,channel\n"
    for n in range(1, number + 1):
        csv += f"reader{n}@readers.example,{openid(n)},policy,{channel}\n"
        await station.sandbox.follow(openid(n))
        if window:
            await station.sandbox.say(openid(n), "您好")
    await station.people(csv.encode())
    if window:
        async with station.parts.database.write() as session:
            for n in range(1, number + 1):
                await touched(session, station.parts.clock, openid(n), text=True)


async def tried(station: Station, number: int) -> dict[int, tuple[Delivery, Attempt]]:
    """By reader: the card and its last try, once each has been tried."""
    dispatch = await station.start(await station.publish())
    async with station.worker():
        while True:
            async with station.parts.database.read() as session:
                rows = await session.exec(
                    select(Delivery, Attempt)
                    .join(Attempt, col(Attempt.delivery_id) == col(Delivery.id))
                    .where(Delivery.dispatch_id == dispatch, Delivery.channel == Channel.WECHAT)
                    .order_by(col(Attempt.id))
                )
                found = {delivery.subscriber_id: (delivery, attempt) for delivery, attempt in rows}
            if len(found) >= number:
                return found
            await station.until(dispatch, "planning", "sending", "paused", "finished")


async def suppressed(station: Station) -> set[str]:
    async with station.parts.database.read() as session:
        return set(
            await session.exec(select(Suppression.target).where(Suppression.channel == Channel.WECHAT))
        )


async def test_codes_of_one_user(station: Station) -> None:
    await readers(station, len(USERS))
    for n, code in enumerate(USERS, 1):
        times = 1 if code in TABLE and TABLE[code].action is Action.BACK_OFF else None
        station.sandbox.faults.on_wechat(PlatformFault(CUSTOM, code=code, openid=openid(n), times=times))
    found = await tried(station, len(USERS))
    off = await suppressed(station)
    now = station.parts.clock()
    for n, code in enumerate(USERS, 1):
        action = TABLE[code].action if code in TABLE else Action.REFUSE
        end, (delivery, attempt) = OF_USER[action], found[n]
        told = (code, delivery.state, delivery.mode, delivery.reason, attempt.text)
        assert delivery.state == end.state, told
        assert delivery.mode == end.mode, told
        assert (openid(n) in off) is end.suppressed, told
        if end.mode != "template":
            assert attempt.code == str(code), told
        if action is Action.REFUSE:
            assert "rid" in attempt.text, "the platform's support finds the call by it"
        if end.waits[1]:
            low, high = (timedelta(seconds=seconds) for seconds in end.waits)
            assert low <= delivery.due_at - now <= high, told
    cards = {card.openid: card.mode for card in station.sandbox.cards()}
    assert set(cards.values()) == {"template"}, "what was refused is not there"


async def test_a_foreign_openid_is_given_up_once_the_platform_does_not_know_it(station: Station) -> None:
    """40003 is asked about: of a follower nothing follows (above); who is none is suppressed."""
    await readers(station, 1)
    await station.sandbox.unfollow(openid(1))
    station.sandbox.faults.on_wechat(PlatformFault(CUSTOM, code=40003))
    found = await tried(station, 1)
    assert found[1][0].state == "failed"
    assert await suppressed(station) == {openid(1)}


@pytest.mark.parametrize("code", [code for code, row in TABLE.items() if row.action in CHANNEL])
async def test_codes_of_the_channel(station: Station, code: int) -> None:
    """A person must mend something: the dispatch is paused in words, nobody is lost, and it goes on by `resume`."""
    await readers(station, 2, window=False)
    fault = station.sandbox.faults.on_wechat(PlatformFault(TEMPLATE, code=code, times=None))
    dispatch = await station.start(await station.publish())
    async with station.worker():
        shown = await station.until(dispatch, "paused")
    assert str(code) in shown["note"] or TABLE[code].words in shown["note"]
    assert shown["counts"]["failed"] == shown["counts"]["skipped"] == 0
    assert await suppressed(station) == set()
    assert station.sandbox.cards() == []
    calls = fault.hits
    assert calls <= 4 * 2, "one call each, and one more where the token is renewed"


@pytest.mark.parametrize("code", [code for code, row in TABLE.items() if row.action in LATER])
async def test_codes_of_a_quota(station: Station, code: int) -> None:
    """The channel waits for the next minute or the next day; nobody fails."""
    await readers(station, 2, window=False)
    station.sandbox.faults.on_wechat(PlatformFault(TEMPLATE, code=code, times=None))
    found = await tried(station, 1)
    low, high = (timedelta(seconds=seconds) for seconds in LATER[TABLE[code].action])
    for delivery, _ in found.values():
        assert delivery.state == "deferred"
        assert (
            low
            <= delivery.due_at - station.parts.clock() + timedelta(seconds=5)
            <= high + timedelta(seconds=5)
        )


#: What becomes of four members who chose either: cards sent, mails, or the dispatch paused, or in doubt. Every row is
#: above; here are those of mass sends, and one of each other action.
OF_MASS: Mapping[int, str] = {
    **dict.fromkeys([45028, 40130, 40032, 47003, 43019], "mails"),
    **dict.fromkeys([40125, 53503, 53504, 53505, 48021, 45166, 48001], "paused"),
    **dict.fromkeys([89504, 89505], "in doubt"),
    40007: "cards",
    UNLISTED: "mails",
}


@pytest.mark.parametrize(("code", "end"), OF_MASS.items())
async def test_codes_of_a_mass_send(tmp_path: Path, code: int, end: str) -> None:
    async with open_station(tmp_path, wechat={"modes": ["mass"]}) as station:
        await readers(station, 4, channel="either", window=False)
        station.sandbox.faults.on_wechat(PlatformFault(SEND, code=code, times=1 if end == "cards" else None))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            shown: dict[str, Any] = await station.until(
                dispatch, "paused" if end == "paused" else "finished" if end != "in doubt" else "sending"
            )
            while end == "in doubt" and not shown["counts"]["uncertain"]:
                shown = await station.until(dispatch, "sending")
        assert len(station.sandbox.cards()) == (4 if end == "cards" else 0)
        assert len(station.received()) == (4 if end == "mails" else 0)
        assert shown["counts"]["failed"] == 0
        assert shown["counts"]["uncertain"] == (4 if end == "in doubt" else 0)
        if end == "paused":
            assert TABLE[code].words in shown["note"]
