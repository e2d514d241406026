"""Mass messages of a dispatch over the stand-in, on both databases: a draft and a send for each set of sections; the
ledger and the platform count the same; whatever goes wrong, nobody is lost and nobody gets it twice.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from tests.making import FULL, SETS, Station, open_station, readers
from tests.zipping import issue_with_picture

from bdnews_dispatch.dispatch.control import cancel, pause, resume
from bdnews_dispatch.dispatch.mass.drafting import Drafting
from bdnews_dispatch.dispatch.mass.job import MassJob
from bdnews_dispatch.dispatch.mass.models import MassSend
from bdnews_dispatch.dispatch.mass.reports import take_report
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch
from bdnews_dispatch.issues.intake import Taken, take
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.official_account.takings import month_of
from bdnews_dispatch.sandbox import SANDBOX_APPID, PlatformFault
from bdnews_dispatch.subscribers.models import Channel, Subscription

SEND, DRAFT, PICTURE = "message/mass/send", "draft/add", "media/uploadimg"
READERS = 1000 if FULL else 186


def openid(number: int) -> str:
    return f"oReader{number:021d}"


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path, wechat={"modes": ["custom", "mass"]}) as station:
        yield station


async def followers(station: Station, number: int, channel: str = "wechat", *, sets: int = 31) -> None:
    """Args: sets: how many different ones, in turn."""
    lines = readers(number, channel=channel).decode().splitlines()
    if sets != 31:
        lines = [lines[0]] + [
            line.replace("|".join(SETS[n % 31]), "|".join(SETS[n % sets]))
            for n, line in enumerate(lines[1:], 1)
        ]
    await station.people("\n".join(lines).encode())
    for n in range(1, number + 1):
        await station.sandbox.follow(openid(n))


async def start(station: Station) -> int:
    return await station.start(await station.publish())


async def finished(station: Station, **settings: Any) -> dict[str, Any]:
    dispatch = await start(station)
    async with station.worker(**settings):
        return await station.until(dispatch)


async def sends(station: Station) -> list[MassSend]:
    async with station.parts.database.read() as session:
        return list(await session.exec(select(MassSend).order_by(col(MassSend.id))))


async def months(station: Station) -> Counter[str]:
    """How many mass messages our ledger counts for each follower."""
    async with station.parts.database.read() as session:
        rows = await session.exec(select(WeChatQuota).where(col(WeChatQuota.name).startswith("mass:")))
        return Counter({row.holder: row.used for row in rows})


async def test_all_31_sets_get_their_own_article(station: Station) -> None:
    await followers(station, READERS)
    shown = await finished(station)
    assert shown["channels"]["wechat"]["sent"] == READERS
    cards = station.sandbox.cards()
    assert sorted(card.openid for card in cards) == sorted(openid(n) for n in range(1, READERS + 1))
    jobs = station.sandbox.account.mass.jobs.values()
    assert len(jobs) == 31
    async with station.parts.database.read() as session:
        rows = await session.exec(select(Delivery.subscriber_id, Delivery.sections))
        chosen = {openid(person): tuple(sections) for person, sections in rows}
    for job in jobs:
        (sections,) = {chosen[one] for one in job.sent}
        article = job.draft.articles[0]
        assert article["content"].count("的题目") == 2 * len(sections)
        assert {key for key in SETS[-1] if f">{key}-1" in article["content"]} == set(sections)
        assert article["content_source_url"] == "http://news.example/issues/dsj/112"
        assert len(article["title"]) <= 32
    assert {send.members for send in await sends(station)} == {len(job.sent) for job in jobs}
    assert await months(station) == Counter({openid(n): 1 for n in range(1, READERS + 1)})
    assert station.sandbox.platform.calls["material/add_material"] == 1, "one cover for all"
    assert station.sandbox.platform.calls[DRAFT] == 31


async def publish_with_picture(station: Station) -> Taken:
    """One article with a picture, in one section."""
    found = parse_detected(issue_with_picture(), load_publications(), None, max_bytes=10**6)
    async with station.parts.database.write() as session:
        return await take(
            session,
            station.parts.clock,
            found.document,
            source_name="t.zip",
            source=b"",
            publish_now=True,
            pictures=found.pictures.values(),
        )


async def test_a_picture_is_uploaded_once_and_stands_in_the_article(station: Station) -> None:
    await followers(station, 8, sets=31)
    dispatch = await station.start(await publish_with_picture(station))
    async with station.worker():
        await station.until(dispatch)
    ((url, content),) = station.sandbox.account.materials.pictures.items()
    assert content.startswith(b"\x89PNG")
    articles = [job.draft.articles[0] for job in station.sandbox.account.mass.jobs.values()]
    assert articles
    assert all(f'<img src="{url}" alt="图1各地的数量"' in article["content"] for article in articles)
    assert station.sandbox.platform.calls[PICTURE] == 1


async def test_a_picture_that_the_platform_does_not_take_is_left_out(station: Station) -> None:
    await followers(station, 2, sets=1)
    station.sandbox.faults.on_wechat(PlatformFault(PICTURE, code=40009))
    dispatch = await station.start(await publish_with_picture(station))
    async with station.worker():
        shown = await station.until(dispatch)
    assert shown["channels"]["wechat"]["sent"] == 2
    (job,) = station.sandbox.account.mass.jobs.values()
    assert "<img" not in job.draft.articles[0]["content"]
    assert "数据要素怎样流通" in job.draft.articles[0]["content"]


async def test_the_fifth_of_a_month_goes_by_mail(station: Station) -> None:
    await followers(station, 4, "either", sets=1)
    async with station.parts.database.write() as session:
        month = month_of(station.parts.clock())
        session.add(WeChatQuota(name=f"mass:{SANDBOX_APPID}", holder=openid(1), period=month, used=4))
    shown = await finished(station)
    assert shown["channels"]["wechat"] == {**shown["channels"]["wechat"], "sent": 3, "skipped": 1}
    assert station.received() == ["reader1@readers.example"]
    async with station.parts.database.read() as session:
        why = (await session.exec(select(Attempt.text).where(Attempt.code == "wechat.no_mode"))).one()
    assert "本月的群发条数已用完" in why


async def test_who_is_alone_gets_the_mail_or_a_wider_article(station: Station) -> None:
    """Two share all sections; one with a mail and one without have one section each."""
    keys = "|".join(SETS[-1])
    csv = "email,openid,sections,channel\n"
    for n, (chosen, channel) in enumerate(
        [(keys, "wechat"), (keys, "wechat"), (SETS[0][0], "either"), (SETS[1][0], "wechat")], 1
    ):
        csv += f"reader{n}@readers.example,{openid(n)},{chosen},{channel}\n"
    await station.people(csv.encode())
    for n in range(1, 5):
        await station.sandbox.follow(openid(n))
    shown = await finished(station)
    assert (shown["counts"]["failed"], shown["counts"]["skipped"]) == (0, 1)
    assert sorted(card.openid for card in station.sandbox.cards()) == [openid(1), openid(2), openid(4)]
    assert station.received() == ["reader3@readers.example"]


@pytest.mark.parametrize("silence", ["drop", "code"])
async def test_a_lost_answer_is_asked_for_again_under_the_same_id(station: Station, silence: str) -> None:
    await followers(station, 4, sets=1)
    fault = (
        PlatformFault(SEND, silence="drop", accepted=True)
        if silence == "drop"
        else PlatformFault(SEND, code=-1)
    )
    station.sandbox.faults.on_wechat(fault)
    dispatch = await start(station)
    async with station.worker():
        while not (found := await sends(station)) or not found[0].outcome:
            await station.until(dispatch, "sending")
        # 45066 within a minute; 45065 behind it. The stand-in's clock is the real one, so its memory is made older.
        known = station.sandbox.account.mass._known
        for key, (msgid, at) in known.items():
            known[key] = (msgid, at - timedelta(minutes=2))
        async with station.parts.database.write() as session:
            (send,) = (await session.exec(select(MassSend))).all()
            send.due_at = station.parts.clock()
        shown = await station.until(dispatch)
    assert shown["channels"]["wechat"]["sent"] == 4
    assert len(station.sandbox.cards()) == 4
    (send,) = await sends(station)
    assert (send.state, send.msg_id) == ("sent", str(next(iter(station.sandbox.account.mass.jobs))))
    assert set((await months(station)).values()) == {1}


@pytest.mark.parametrize(
    ("code", "mails"),
    [(45028, True), (40003, True), (40007, False), (40032, True)],
)
async def test_a_refusal_leads_another_way(station: Station, code: int, *, mails: bool) -> None:
    await followers(station, 4, "either", sets=1)
    station.sandbox.faults.on_wechat(PlatformFault(SEND, code=code))
    shown = await finished(station)
    assert len(station.sandbox.cards()) == (0 if mails else 4)
    assert len(station.received()) == (4 if mails else 0)
    assert shown["counts"]["failed"] == 0
    expected = {45028: {4}, 40007: {1}}.get(code, {0})
    assert set((await months(station)).values()) == expected


async def test_the_minutes_calls_are_waited_for(station: Station) -> None:
    await followers(station, 6, sets=3)
    dispatch = await start(station)
    account = station.parts.settings.wechat.model_copy(update={"mass_calls_a_minute": 2})
    async with station.worker(wechat={"mass_calls_a_minute": account.mass_calls_a_minute}):
        while len(await sends(station)) < 3:
            await station.until(dispatch, "sending")
        async with station.parts.database.write() as session:  # the next minute
            for send in await session.exec(select(MassSend)):
                send.due_at = station.parts.clock() - timedelta(seconds=1)
            for quota in await session.exec(select(WeChatQuota).where(col(WeChatQuota.period).contains("T"))):
                quota.used = 0
        shown = await station.until(dispatch)
    assert shown["channels"]["wechat"]["sent"] == 6


REPORTS = [
    ("send success", 4, "delivered"),
    ("send success", 3, "sent"),
    ("err(10001)", 0, "bounced"),
    ("send fail", 0, "bounced"),
]


@pytest.mark.parametrize(("status", "number", "state"), REPORTS)
@pytest.mark.parametrize("early", [True, False])
async def test_the_report_settles_whenever_it_comes(
    station: Station, status: str, number: int, state: str, *, early: bool
) -> None:
    """Early: before our own call has its answer. It comes twice, and an opposite one behind it changes nothing."""
    await followers(station, 4, sets=1)

    async def reports(msg_id: str, told: str, sent: int) -> None:
        async with station.parts.database.write() as session:
            await take_report(session, station.parts.clock(), msg_id, told, {"sent": sent, "error": 4 - sent})

    if early:
        station.sandbox.platform._ids = iter(range(77, 9999))  # type: ignore[assignment]
        for msg_id in range(77, 120):
            await reports(str(msg_id), status, number)
    await finished(station)
    (send,) = await sends(station)
    assert send.msg_id is not None
    for told, sent in [(status, number), (status, number), ("send success", 4)]:
        await reports(send.msg_id, told, sent)
    async with station.parts.database.read() as session:
        states = set(await session.exec(select(Delivery.state).where(Delivery.channel == Channel.WECHAT)))
    assert states == {state}
    (send,) = await sends(station)
    assert (send.sent_count, send.outcome) == (number, status)


async def aside(station: Station) -> list[str]:
    """The states of all cards."""
    async with station.parts.database.read() as session:
        found = await session.exec(select(Delivery.state).where(Delivery.channel == Channel.WECHAT))
        return sorted(found)


async def due_again(station: Station, **values: Any) -> None:
    """Nobody waits for an answer any more, and nothing for its moment."""
    async with station.parts.database.write() as session:
        for send in await session.exec(select(MassSend)):
            send.due_at = send.lease_until = station.parts.clock() - timedelta(seconds=1)
            for name, value in values.items():
                setattr(send, name, value)


@pytest.mark.parametrize("fault", [PlatformFault(DRAFT, code=-1), PlatformFault(DRAFT, http=500)])
async def test_a_draft_that_cannot_be_made_now_is_made_later(station: Station, fault: PlatformFault) -> None:
    await followers(station, 4, sets=1)
    station.sandbox.faults.on_wechat(replace(fault, hits=0))
    dispatch = await start(station)
    async with station.worker():
        while not (found := await sends(station)):
            await station.until(dispatch, "sending")
        assert (found[0].state, found[0].members) == ("refused", 0)
        assert found[0].due_at > station.parts.clock() + timedelta(seconds=20)
        while "群发草稿未能建立" not in (await station.show(dispatch))["note"]:
            await station.until(dispatch, "sending")
        assert station.sandbox.platform.calls[DRAFT] == 1, "not asked again before"
        await due_again(station)
        await station.until(dispatch)
    assert len(station.sandbox.cards()) == 4


@pytest.mark.parametrize("what", ["no right", "cover"])
async def test_a_draft_that_somebody_must_mend_pauses_with_words(station: Station, what: str) -> None:
    await followers(station, 4, sets=1)
    station.sandbox.faults.on_wechat(PlatformFault(DRAFT, code=48001))
    dispatch = await start(station)
    async with station.worker(wechat={"mass_cover": "/nowhere/cover.jpg"} if what == "cover" else {}):
        shown = await station.until(dispatch, "paused")
    assert ("wechat.mass_cover" if what == "cover" else "没有这个接口的权限") in shown["note"]
    assert await aside(station) == ["deferred"] * 4


async def test_stopped_while_the_draft_is_made(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    await followers(station, 4, sets=1)
    real = Drafting.draft

    async def slow(self: Drafting, account: Any, dispatch: Dispatch, sections: tuple[str, ...]) -> str:
        media_id = await real(self, account, dispatch, sections)
        async with station.parts.database.write() as session:
            await pause(session, dispatch.id or 0)
        return media_id

    monkeypatch.setattr(Drafting, "draft", slow)
    dispatch = await start(station)
    async with station.worker():
        await station.until(dispatch, "paused")
    assert (await sends(station), await aside(station)) == ([], ["deferred"] * 4)
    monkeypatch.setattr(Drafting, "draft", real)
    async with station.parts.database.write() as session:
        await resume(session, dispatch)
    async with station.worker():
        await station.until(dispatch)
    assert len(station.sandbox.cards()) == 4


async def test_a_worker_that_died_before_its_call(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its members pass the gate anew: one of them has left meanwhile."""
    await followers(station, 4, sets=1)

    async def dies(self: MassJob, send: MassSend) -> bool:
        return False

    with monkeypatch.context() as context:
        context.setattr(MassJob, "_call", dies)
        dispatch = await start(station)
        async with station.worker():
            while not await sends(station):
                await station.until(dispatch, "sending")
    await due_again(station)
    async with station.parts.database.write() as session:
        left = (await session.exec(select(Subscription).where(Subscription.subscriber_id == 1))).one()
        left.ended_at = station.parts.clock()
    async with station.worker():
        while len(await sends(station)) < 2 or not (await sends(station))[1].msg_id:
            await station.until(dispatch, "sending", "finished")
    assert sorted(card.openid for card in station.sandbox.cards()) == [openid(n) for n in (2, 3, 4)]
    assert (await sends(station))[0].outcome == "wechat.not_called"
    assert await months(station) == Counter({openid(1): 0, **{openid(n): 1 for n in (2, 3, 4)}})


@pytest.mark.parametrize("why", ["cancelled", "a day later"])
async def test_a_lost_answer_that_must_not_be_asked_for_again(station: Station, why: str) -> None:
    """While the dispatch is paused nothing is asked; then the platform might not know the id any more."""
    await followers(station, 4, sets=1)
    station.sandbox.faults.on_wechat(PlatformFault(SEND, silence="drop", accepted=True))
    dispatch = await start(station)
    async with station.worker():
        while "同一编号" not in (await station.show(dispatch))["note"]:
            await station.until(dispatch, "sending")
        async with station.parts.database.write() as session:
            await pause(session, dispatch)
        day = station.parts.clock() - timedelta(hours=23, minutes=1)
        await due_again(station, **({"created_at": day} if why == "a day later" else {}))
        async with station.parts.database.write() as session:
            if why == "cancelled":
                await cancel(session, station.parts.clock, dispatch)
            else:
                await resume(session, dispatch)
        while await aside(station) != ["uncertain"] * 4:
            await station.until(dispatch, "sending", "cancelled")
    assert station.sandbox.platform.calls[SEND] == 1
    assert len(station.sandbox.cards()) == 4
