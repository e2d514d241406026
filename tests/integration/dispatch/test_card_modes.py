"""A dispatch by each single mode, over the stand-in: what the cards hold, what was used up, why the others were not
possible. On both databases.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from tests.making import DSJ, FULL, Station, document, open_station, readers

from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.words import of_cards
from bdnews_dispatch.official_account.credits import grant
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatQuota
from bdnews_dispatch.official_account.takings import mass_taking
from bdnews_dispatch.sandbox import PlatformFault
from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID, ONE_TIME_TEMPLATE_ID
from bdnews_dispatch.subscribers.followers import touched
from bdnews_dispatch.subscribers.models import Channel, Follower

ALL = ["custom", "subscribe_long", "subscribe_once", "template"]
READERS = 6
TEMPLATE = "message/template/send"
SETS_READERS = 1000 if FULL else 31


def openid(number: int) -> str:
    return f"oReader{number:021d}"


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path, wechat={"modes": ALL}) as station:
        yield station


async def followers(station: Station, channel: str = "wechat", number: int = READERS) -> None:
    await station.people(readers(number, channel=channel))
    for n in range(1, number + 1):
        await station.sandbox.follow(openid(n))


async def writes(station: Station, n: int) -> None:
    """A user writes to the account, and our ledger hears of it."""
    await station.sandbox.say(openid(n), "您好")
    async with station.parts.database.write() as session:
        await touched(session, station.parts.clock, openid(n), text=True)


async def agrees(station: Station, n: int, template_id: str, *, told: bool = True) -> None:
    station.sandbox.account.consents.accept(openid(n), template_id)
    if told:
        async with station.parts.database.write() as session:
            await grant(
                session,
                station.parts.clock,
                openid(n),
                template_id,
                key=f"{n}-{template_id}",
                lasting=template_id == LONG_TERM_TEMPLATE_ID,
            )


async def sent(station: Station, seconds: float = 60) -> dict[str, Any]:
    dispatch = await station.start(await station.publish())
    async with station.worker():
        return await station.until(dispatch, seconds=seconds)


async def tries(station: Station) -> dict[int, Attempt]:
    """The last try of each reader's card."""
    async with station.parts.database.read() as session:
        found = await session.exec(
            select(Delivery.subscriber_id, Attempt)
            .join(Attempt, col(Attempt.delivery_id) == col(Delivery.id))
            .where(Delivery.channel == Channel.WECHAT)
            .order_by(col(Attempt.id))
        )
        return dict(found.all())


async def test_each_gets_it_by_the_first_mode_that_is_open(station: Station) -> None:
    await followers(station)
    await writes(station, 1)
    await agrees(station, 2, LONG_TERM_TEMPLATE_ID)
    await agrees(station, 3, ONE_TIME_TEMPLATE_ID)
    shown = await sent(station)
    assert shown["channels"]["wechat"]["sent"] == READERS
    modes = {card.openid: card.mode for card in station.sandbox.cards()}
    assert [modes[openid(n)] for n in range(1, READERS + 1)] == [
        "custom",
        "subscribe",
        "subscribe",
        "template",
        "template",
        "template",
    ]
    last = await tries(station)
    assert [last[n].mode for n in range(1, READERS + 1)] == [*ALL, "template", "template"]
    assert last[1].text == ""
    assert "客服窗口没有打开" in last[2].text
    assert "没有同意长期订阅通知" in last[3].text
    assert "没有剩余的一次性订阅" in last[4].text
    async with station.parts.database.read() as session:
        credit = await session.get(WeChatCredit, (openid(3), ONE_TIME_TEMPLATE_ID))
        lasting = await session.get(WeChatCredit, (openid(2), LONG_TERM_TEMPLATE_ID))
        follower = await session.get(Follower, openid(1))
        (quota,) = (await session.exec(select(WeChatQuota))).all()
    assert credit is not None
    assert (credit.granted, credit.used) == (1, 1)
    assert lasting is not None
    assert lasting.granted == 1
    assert follower is not None
    assert follower.window_left == 4
    assert quota.used == 3
    assert quota.name.startswith("template:")


async def test_a_consent_that_was_taken_back_leads_to_the_next_mode(station: Station) -> None:
    """43101: the ledger believed in it; from then on it does not."""
    await followers(station, number=1)
    await agrees(station, 1, ONE_TIME_TEMPLATE_ID)
    station.sandbox.account.consents.reject(openid(1), ONE_TIME_TEMPLATE_ID)
    await sent(station)
    assert [card.mode for card in station.sandbox.cards()] == ["template"]
    last = await tries(station)
    assert "43101" not in last[1].code
    assert "用户没有同意或同意已用完" in last[1].text
    async with station.parts.database.read() as session:
        credit = await session.get(WeChatCredit, (openid(1), ONE_TIME_TEMPLATE_ID))
    assert credit is not None
    assert credit.used == credit.granted == 1


async def test_a_busy_platform_uses_nothing_up(station: Station) -> None:
    await followers(station, number=1)
    await agrees(station, 1, ONE_TIME_TEMPLATE_ID)
    station.sandbox.faults.on_wechat(PlatformFault("message/subscribe/bizsend", code=-1, times=None))
    dispatch = await station.start(await station.publish())
    async with station.worker():
        while not await tries(station):
            await station.until(dispatch, "sending")
    async with station.parts.database.read() as session:
        credit = await session.get(WeChatCredit, (openid(1), ONE_TIME_TEMPLATE_ID))
    assert credit is not None
    assert (credit.granted, credit.used) == (1, 0)


async def test_what_cards_will_do_is_said_before(tmp_path: Path) -> None:
    """A window; a consent; three who had their four masses, one of them without a mail; two; one who is alone."""
    async with open_station(tmp_path, wechat={"modes": ["custom", "subscribe_once", "mass"]}) as station:
        csv = "email,openid,sections,channel\n"
        for n in range(1, 9):
            csv += f"reader{n}@readers.example,{openid(n)},{'local' if n == 7 else 'policy'},"
            csv += "wechat\n" if n == 8 else "either\n"
            await station.sandbox.follow(openid(n))
        await station.people(csv.encode())
        await writes(station, 1)
        await agrees(station, 2, ONE_TIME_TEMPLATE_ID)
        now, account = station.parts.clock(), station.accounts.sandbox
        async with station.parts.database.write() as session:
            for n in (3, 4, 8):
                taking = mass_taking(openid(n), account, now)
                session.add(WeChatQuota(name=taking.name, holder=openid(n), period=taking.period, used=4))
        taken = await station.publish()
        told = (await station.forecast(taken))["wechat"]
        assert told["modes"] == {"custom": 1, "subscribe_once": 1, "mass": 2}
        assert (told["by_email"], told["nobody"], told["masses_used_up"]) == (3, 1, 3)
        assert told["closed"]["mass:wechat.quota"] == 3
        assert told["closed"]["mass:wechat.mass_alone"] == 1
        said = "\n".join(" ".join(map(str, row)) for row in of_cards(told))
        assert "本月群发条数已满，本期不再以群发送达 3 人" in said
        dispatch = await station.start(taken)
        async with station.worker():
            shown = await station.until(dispatch)
        assert shown["modes"] == {"custom": 1, "subscribe_once": 1, "mass": 2, "smtp": 3}
        assert shown["reasons"] == {"wechat.by_email": 3, "wechat.no_mode": 1}


@pytest.mark.parametrize("mode", ALL)
async def test_all_31_sets_by_each_single_mode(tmp_path: Path, mode: str) -> None:
    """What each card says is what its reader chose; ledger, platform and quotas count the same."""
    async with open_station(tmp_path, wechat={"modes": [mode]}) as station:
        await followers(station, number=SETS_READERS)
        async with station.parts.database.write() as session:
            for n in range(1, SETS_READERS + 1):
                if mode == "custom":
                    station.sandbox.platform.act(openid(n), message=True)
                    await touched(session, station.parts.clock, openid(n), text=True)
                elif mode != "template":
                    template = LONG_TERM_TEMPLATE_ID if mode == "subscribe_long" else ONE_TIME_TEMPLATE_ID
                    station.sandbox.account.consents.accept(openid(n), template)
                    await grant(
                        session,
                        station.parts.clock,
                        openid(n),
                        template,
                        key=str(n),
                        lasting=mode == "subscribe_long",
                    )
        shown = await sent(station, 600)
        assert shown["modes"] == {mode: SETS_READERS}
        names = {section.key: section.name for section in DSJ.sections}
        async with station.parts.database.read() as session:
            rows = await session.exec(select(Delivery.subscriber_id, Delivery.sections, Delivery.key))
            chosen = {openid(person): (tuple(sections), key) for person, sections, key in rows}
        cards = {card.openid: card for card in station.sandbox.cards()}
        assert len(cards) == len(station.sandbox.cards()) == SETS_READERS
        assert len({sections for sections, _ in chosen.values()}) == 31
        for who, (sections, key) in chosen.items():
            in_order = [names[key] for key in DSJ.section_keys if key in sections]
            card, words = cards[who], "、".join(in_order)
            assert card.url == station.parts.links.web_copy(key)
            if mode != "custom":
                told = card.data["thing4"]
                assert told == words or (told.endswith("…") and words.startswith(told[:-1])), (told, words)
                assert len(told) <= 20
            else:
                first = next(key for key in DSJ.section_keys if key in sections)
                assert card.description.startswith(f"{first}-1"), card.description
                assert not [key for key in names if key not in sections and f"{key}-" in card.description]


async def test_who_is_reached_by_no_mode_gets_the_mail(tmp_path: Path) -> None:
    async with open_station(
        tmp_path, wechat={"modes": ["custom", "template"], "templates_a_day": 2}
    ) as station:
        await followers(station, "either")
        shown = await sent(station)
        assert shown["state"] == "finished"
        assert shown["channels"]["wechat"]["sent"] == 2
        assert shown["channels"]["wechat"]["skipped"] == READERS - 2
        assert shown["reasons"] == {"wechat.by_email": READERS - 2}
        assert shown["channels"]["email"]["sent"] == READERS - 2
        assert len(station.sandbox.cards()) == 2
        reached = {card.openid for card in station.sandbox.cards()}
        by_mail = {f"reader{n}@readers.example" for n in range(1, READERS + 1) if openid(n) not in reached}
        assert set(station.received()) == by_mail
        assert "今日的模板消息已用完" in next(
            one.text for one in (await tries(station)).values() if one.code == "wechat.no_mode"
        )


async def lost(station: Station, **account: Any) -> int:
    """A template message that arrives, and whose answer does not; it is due again. Returns: the dispatch."""
    await followers(station, number=1)
    station.sandbox.faults.on_wechat(PlatformFault(TEMPLATE, silence="drop", accepted=True))
    dispatch = await station.start(await station.publish(document()))
    async with station.worker(wechat=account):
        while not await tries(station):
            await station.until(dispatch, "sending")
    async with station.parts.database.write() as session:
        delivery = (await session.exec(select(Delivery))).one()
        assert (delivery.mode, delivery.state) == ("template", "deferred")
        delivery.due_at = station.parts.clock() - timedelta(seconds=1)
    return dispatch


async def test_an_answer_that_was_lost_is_asked_for_again_by_the_same_mode(station: Station) -> None:
    """Meanwhile the user has written: 客服 would be a second message. And the platform is busy at first, and away."""
    dispatch = await lost(station, templates_a_day=1)
    await writes(station, 1)
    station.sandbox.faults.on_wechat(PlatformFault(TEMPLATE, code=-1))
    async with station.worker(wechat={"templates_a_day": 1}):
        while (await tries(station))[1].code != "-1":
            await station.until(dispatch, "sending")
    async with station.parts.database.write() as session:
        (await session.exec(select(Delivery))).one().due_at = station.parts.clock() - timedelta(seconds=1)
    async with station.worker(wechat={"templates_a_day": 1}):
        await station.until(dispatch)
    assert [card.mode for card in station.sandbox.cards()] == ["template"]
    async with station.parts.database.read() as session:
        (quota,) = (await session.exec(select(WeChatQuota))).all()
    assert quota.used == 1, "the last one of the day, once"


@pytest.mark.parametrize("why", ["too late", "mode taken out"])
async def test_an_answer_that_was_lost_and_cannot_be_asked_for_is_in_doubt(
    station: Station, why: str
) -> None:
    dispatch = await lost(station)
    await writes(station, 1)
    if why == "too late":
        async with station.parts.database.write() as session:
            delivery = (await session.exec(select(Delivery))).one()
            delivery.called_at = station.parts.clock() - timedelta(minutes=9)
    async with station.worker(wechat={"modes": ["custom"]} if why == "mode taken out" else {}):
        while (await tries(station))[1].code != "wechat.same_key":
            await station.until(dispatch, "sending")
    async with station.parts.database.read() as session:
        delivery = (await session.exec(select(Delivery))).one()
    assert (delivery.state, delivery.mode) == ("uncertain", "")
    last = (await tries(station))[1]
    assert (last.mode, last.code) == ("template", "wechat.same_key")
    assert len(station.sandbox.cards()) == 1


async def test_a_card_in_flight_says_by_which_mode_it_goes_now(station: Station) -> None:
    """Behind a mode that was closed: whoever finds it in flight must know whether the call may be made again."""
    await followers(station, number=1)
    await agrees(station, 1, ONE_TIME_TEMPLATE_ID)
    station.sandbox.account.consents.reject(openid(1), ONE_TIME_TEMPLATE_ID)
    station.sandbox.faults.on_wechat(PlatformFault(TEMPLATE, silence="hang", accepted=True))
    await station.start(await station.publish())
    async with station.worker(wechat={"timeout_seconds": 2}), asyncio.timeout(20):
        while not station.sandbox.cards():
            await asyncio.sleep(0.02)
        async with station.parts.database.read() as session:
            delivery = (await session.exec(select(Delivery))).one()
            quota = (await session.exec(select(WeChatQuota))).one()
    assert (delivery.state, delivery.mode, quota.used) == ("in_flight", "template", 1)
    assert delivery.called_at is not None


async def test_a_worker_says_at_its_start_what_the_account_has_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_station(tmp_path) as station:
        account = station.accounts.sandbox.model_dump() | {"template_fields": {"thing7": "title"}}
        async with station.worker(wechat=account):
            while not (said := [r for r in caplog.records if r.message == "wechat.check_failed"]):
                await asyncio.sleep(0.01)
    assert "thing7 不在模板里" in said[0].__dict__["error"]
