"""The WeChat channel against the strict stand-in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bdnews_dispatch.channels.outcome import OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat import Chances, OutgoingCard, WeChatChannel
from bdnews_dispatch.channels.wechat.outcomes import seconds_to_midnight
from bdnews_dispatch.errors import ChannelError
from bdnews_dispatch.sandbox import SANDBOX_APPID, SANDBOX_SECRET, SANDBOX_TEMPLATE_ID, PlatformFault, Sandbox
from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID, ONE_TIME_TEMPLATE_ID
from bdnews_dispatch.settings import WeChatSettings, load_settings

READER = "oReader-0000000000000000001x"
FIELDS = {
    "title": "大数据发展动态",
    "number": "2022-06",
    "date": "2022-11-11",
    "sections": "国策要论、地方新政、产业镜像、前沿观察、企业动向",
    "summary": "本期要目",
}
CUSTOM, TEMPLATE = "message/custom/send", "message/template/send"


class Clock:
    """A time that moves when it is told to: 2022-11-11 09:00:15 in Shanghai at first."""

    def __init__(self) -> None:
        self.now = datetime(2022, 11, 11, 1, 0, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


def settings(api_base: str, **values: Any) -> WeChatSettings:
    given = {
        "api_base": api_base,
        "appid": SANDBOX_APPID,
        "secret": SANDBOX_SECRET,
        "template_id": SANDBOX_TEMPLATE_ID,
        "timeout_seconds": 5.0,
    }
    return load_settings({}, overrides={"wechat": {**given, **values}}).wechat


def card(number: int = 1, *, window_open: bool = False, openid: str = READER, **values: Any) -> OutgoingCard:
    given: dict[str, Any] = {
        "title": "大数据发展动态 第6期",
        "description": "国策要论等 5 个栏目",
        "url": f"https://news.example.cn/d/{number}",
        "picture_url": "",
        "fields": FIELDS,
    }
    return OutgoingCard(
        number, openid, chances=Chances(window=window_open), client_msg_id=f"d{number}", **{**given, **values}
    )


async def opened() -> bool:
    return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def box(tmp_path: Path, clock: Clock) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1", smtp_port=0, http_host="127.0.0.1", http_port=0, folder=tmp_path, clock=clock
    ) as sandbox:
        await sandbox.follow(READER)
        clock.pass_(minutes=5)  # the window that following opens is over
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
def channel(box: Sandbox, session: aiohttp.ClientSession, clock: Clock) -> WeChatChannel:
    return WeChatChannel(settings(box.api_base), session, clock=clock)


async def test_a_card_goes_out_by_template(box: Sandbox, channel: WeChatChannel) -> None:
    outcome = await channel.send(card(), opened)
    assert (outcome.kind, outcome.mode) == (OutcomeKind.ACCEPTED, "template")
    (kept,) = box.cards()
    assert outcome.reference == str(kept.msgid)
    assert kept.url == "https://news.example.cn/d/1"
    assert kept.data == {
        "thing1": "大数据发展动态",
        "character_string2": "2022-06",
        "date3": "2022年11月11日",
        "thing4": "国策要论、地方新政、产业镜像、前沿观察…",
    }


async def test_in_an_open_window_a_card_goes_out_as_a_service_message(
    box: Sandbox, channel: WeChatChannel
) -> None:
    await box.say(READER, "最新")
    outcome = await channel.send(card(window_open=True), opened)
    assert (outcome.kind, outcome.mode) == (OutcomeKind.ACCEPTED, "custom")
    assert [kept.mode for kept in box.cards()] == ["custom"]
    assert box.cards()[0].title == "大数据发展动态 第6期"


async def test_a_window_that_is_closed_or_used_up_leads_to_the_next_mode(
    box: Sandbox, channel: WeChatChannel
) -> None:
    outcome = await channel.send(card(1, window_open=True), opened)  # the ledger is wrong: 45015
    assert (outcome.kind, outcome.mode) == (OutcomeKind.ACCEPTED, "template")
    await box.say(READER, "最新")
    modes = [(await channel.send(card(n, window_open=True), opened)).mode for n in range(2, 8)]
    assert modes == ["custom"] * 5 + ["template"]  # 45047


async def test_no_mode_says_why_for_each(box: Sandbox, session: aiohttp.ClientSession) -> None:
    only_custom = WeChatChannel(settings(box.api_base, modes=["custom"]), session)
    outcome = await only_custom.send(card(), opened)
    assert (outcome.kind, outcome.code) == (OutcomeKind.REFUSED, "wechat.no_mode")
    assert "客服窗口没有打开" in outcome.text
    assert box.cards() == []
    both = WeChatChannel(settings(box.api_base), session)
    unfit = await both.send(card(fields={**FIELDS, "date": "近日"}), opened)
    assert (unfit.kind, unfit.code) == (OutcomeKind.REFUSED, "wechat.no_mode")
    assert "客服消息：" in unfit.text
    assert "模板消息：模板字段 date3" in unfit.text


async def test_a_closed_gate_sends_nothing(box: Sandbox, channel: WeChatChannel) -> None:
    async def closed() -> bool:
        return False

    assert (await channel.send(card(), closed)).kind is OutcomeKind.GATE_CLOSED
    assert box.cards() == []


async def test_the_gate_is_asked_once_for_two_modes(channel: WeChatChannel) -> None:
    asked = 0

    async def gate() -> bool:
        nonlocal asked
        asked += 1
        return True

    assert (await channel.send(card(window_open=True), gate)).mode == "template"
    assert asked == 1


@pytest.mark.fault(14)
@pytest.mark.parametrize("stale", ["revoked", "expired"])
async def test_fifty_calls_on_a_stale_token_renew_it_once(
    box: Sandbox, channel: WeChatChannel, stale: str
) -> None:
    await channel.send(card(0), opened)
    if stale == "revoked":
        box.platform.tokens.revoke()
    else:
        box.platform.tokens.expire()
    box.platform.calls.clear()
    outcomes = await asyncio.gather(*(channel.send(card(n), opened) for n in range(1, 51)))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    assert box.platform.calls["stable_token"] == 1
    assert sorted(kept.client_msg_id for kept in box.cards()) == sorted(f"d{n}" for n in range(51))


async def test_fifty_calls_without_a_token_ask_for_one_once(box: Sandbox, channel: WeChatChannel) -> None:
    await asyncio.gather(*(channel.send(card(n), opened) for n in range(50)))
    assert box.platform.calls["stable_token"] == 1


async def test_a_token_refused_although_it_is_the_newest_is_forced_once(
    box: Sandbox, channel: WeChatChannel
) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=40001, times=1))
    assert (await channel.send(card(), opened)).kind is OutcomeKind.ACCEPTED
    # The first token, the same again, and one by force.
    assert box.platform.calls["stable_token"] == 3


async def test_a_token_refused_for_ever_ends_in_an_alarm(box: Sandbox, channel: WeChatChannel) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=40001, times=None))
    outcomes = await asyncio.gather(*(channel.send(card(n), opened) for n in range(20)))
    assert {(o.kind, o.code, o.remedy) for o in outcomes} == {
        (OutcomeKind.UNAVAILABLE, "40001", Remedy.STOP_CHANNEL)
    }
    assert box.platform.calls[TEMPLATE] <= 40
    assert box.platform.calls["stable_token"] <= 24
    assert box.cards() == []


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (-1, OutcomeKind.DEFERRED, Remedy.NONE),
        (43004, OutcomeKind.REFUSED, Remedy.SUPPRESS),
        (43019, OutcomeKind.REFUSED, Remedy.SUPPRESS),
        (48002, OutcomeKind.REFUSED, Remedy.SUPPRESS),
        (43117, OutcomeKind.DEFERRED, Remedy.NONE),
        (47003, OutcomeKind.REFUSED, Remedy.NONE),
        (40037, OutcomeKind.UNAVAILABLE, Remedy.STOP_CHANNEL),
        (48001, OutcomeKind.UNAVAILABLE, Remedy.STOP_CHANNEL),
        (40164, OutcomeKind.UNAVAILABLE, Remedy.STOP_CHANNEL),
        (43101, OutcomeKind.REFUSED, Remedy.OTHER_CHANNEL),
        (45065, OutcomeKind.ACCEPTED, Remedy.NONE),
        (45066, OutcomeKind.DEFERRED, Remedy.NONE),
        (99999, OutcomeKind.REFUSED, Remedy.NONE),
    ],
)
async def test_codes(
    box: Sandbox, channel: WeChatChannel, code: int, kind: OutcomeKind, remedy: Remedy
) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=code, message=f"about {READER}"))
    outcome = await channel.send(card(), opened)
    assert (outcome.kind, outcome.remedy) == (kind, remedy)
    assert READER not in outcome.text


async def test_an_unknown_code_keeps_its_rid(box: Sandbox, channel: WeChatChannel) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=99999, message="strange"))
    outcome = await channel.send(card(), opened)
    assert outcome.code == "99999"
    assert "strange" in outcome.text
    assert "rid: " in outcome.text


@pytest.mark.fault(15)
async def test_quotas_wait_to_their_reset(box: Sandbox, channel: WeChatChannel, clock: Clock) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=45009))
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=45011))
    day, minute = await channel.send(card(), opened), await channel.send(card(), opened)
    assert (day.kind, day.scope, minute.scope) == (OutcomeKind.DEFERRED, "channel", "channel")
    assert day.retry_after is not None
    assert clock() + timedelta(seconds=day.retry_after) == datetime(2022, 11, 11, 16, tzinfo=UTC)
    assert minute.retry_after == 45.0


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (datetime(2022, 11, 11, 15, 59, 59, tzinfo=UTC), 1),
        (datetime(2022, 11, 11, 16, 0, tzinfo=UTC), 86400),
        (datetime(2022, 11, 11, 4, 0, tzinfo=UTC), 12 * 3600),
    ],
)
def test_the_day_ends_in_shanghai(now: datetime, seconds: float) -> None:
    assert seconds_to_midnight(now) == seconds


@pytest.mark.fault(15)
async def test_a_template_that_got_no_answer_is_sent_again_and_received_once(
    box: Sandbox, session: aiohttp.ClientSession
) -> None:
    channel = WeChatChannel(settings(box.api_base, timeout_seconds=0.3), session)
    await channel.client.token()
    box.faults.on_wechat(PlatformFault(TEMPLATE, silence="hang", accepted=True))
    first = await channel.send(card(), opened)
    assert (first.kind, first.code) == (OutcomeKind.DEFERRED, "timeout")
    assert first.retry_after is not None
    assert first.retry_after < 600
    second = await channel.send(card(), opened)
    assert second.kind is OutcomeKind.ACCEPTED
    assert len(box.cards()) == 1


@pytest.mark.parametrize("silence", ["hang", "drop"])
async def test_a_service_message_that_got_no_answer_is_in_doubt(
    box: Sandbox, session: aiohttp.ClientSession, clock: Clock, silence: Any
) -> None:
    channel = WeChatChannel(settings(box.api_base, timeout_seconds=0.3), session, clock=clock)
    await channel.client.token()
    await box.say(READER, "最新")
    box.faults.on_wechat(PlatformFault(CUSTOM, silence=silence, accepted=True))
    outcome = await channel.send(card(window_open=True), opened)
    assert (outcome.kind, outcome.mode) == (OutcomeKind.UNCERTAIN, "custom")
    assert len(box.cards()) == 1


@pytest.mark.parametrize(
    ("status", "custom"),
    [(500, OutcomeKind.UNCERTAIN), (502, OutcomeKind.UNCERTAIN), (503, OutcomeKind.DEFERRED)],
)
async def test_http_errors(box: Sandbox, channel: WeChatChannel, status: int, custom: OutcomeKind) -> None:
    box.faults.on_wechat(PlatformFault("*", http=status, times=1))
    assert (await channel.send(card(1), opened)).kind is OutcomeKind.UNAVAILABLE  # it hit the token
    box.faults.on_wechat(PlatformFault(TEMPLATE, http=status))
    assert (await channel.send(card(2), opened)).kind is OutcomeKind.DEFERRED
    await box.say(READER, "最新")
    box.faults.on_wechat(PlatformFault(CUSTOM, http=status))
    assert (await channel.send(card(3, window_open=True), opened)).kind is custom


async def test_a_platform_that_is_away(box: Sandbox, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with Sandbox(
        smtp_host="127.0.0.1", smtp_port=0, http_host="127.0.0.1", http_port=0, folder=tmp_path, clock=Clock()
    ) as other:
        gone = other.api_base
    asked = False

    async def gate() -> bool:
        nonlocal asked
        asked = True
        return True

    outcome = await WeChatChannel(settings(gone), session).send(card(), gate)
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "connect.refused")
    assert not asked


@pytest.mark.parametrize(
    ("values", "code"), [({"secret": "wrong"}, "40125"), ({"appid": "wx0000000000000000"}, "40013")]
)
async def test_wrong_credentials_stop_the_channel(
    box: Sandbox, session: aiohttp.ClientSession, values: Mapping[str, str], code: str
) -> None:
    channel = WeChatChannel(settings(box.api_base, **values), session)
    outcome = await channel.send(card(), opened)
    assert (outcome.kind, outcome.code, outcome.remedy) == (
        OutcomeKind.UNAVAILABLE,
        code,
        Remedy.STOP_CHANNEL,
    )
    with pytest.raises(ChannelError, match=code):
        await channel.check()


async def test_a_refused_openid_is_asked_about_before_it_is_given_up(
    box: Sandbox, channel: WeChatChannel
) -> None:
    box.faults.on_wechat(PlatformFault(TEMPLATE, code=40003))
    ours = await channel.send(card(1), opened)
    assert (ours.kind, ours.remedy) == (OutcomeKind.REFUSED, Remedy.NONE)
    malformed = await channel.send(card(2, openid="short"), opened)
    assert (malformed.kind, malformed.code, malformed.remedy) == (
        OutcomeKind.REFUSED,
        "40003",
        Remedy.SUPPRESS,
    )


async def test_who_left_is_not_written_to(box: Sandbox, channel: WeChatChannel) -> None:
    await box.unfollow(READER)
    outcome = await channel.send(card(window_open=True), opened)
    assert (outcome.kind, outcome.code, outcome.remedy) == (OutcomeKind.REFUSED, "43004", Remedy.SUPPRESS)


async def test_check(box: Sandbox, session: aiohttp.ClientSession, channel: WeChatChannel) -> None:
    assert "access_token 正常" in await channel.check()
    with pytest.raises(ChannelError, match="template_id"):
        await WeChatChannel(settings(box.api_base, template_id="x" * 43), session).check()


FIELDS_OF_NOTICE = {"thing1": "title", "character_string2": "number", "date3": "date", "thing4": "sections"}


@pytest.mark.parametrize(
    ("mode", "values", "wrong"),
    [
        ("subscribe_long", {"long_term_template_id": LONG_TERM_TEMPLATE_ID}, ""),
        ("subscribe_once", {"one_time_template_id": ONE_TIME_TEMPLATE_ID}, ""),
        ("subscribe_once", {}, "没有设置模板编号"),
        ("subscribe_once", {"one_time_template_id": LONG_TERM_TEMPLATE_ID}, "wechat.one_time_template_id"),
        (
            "subscribe_long",
            {
                "long_term_template_id": LONG_TERM_TEMPLATE_ID,
                "long_term_fields": {**FIELDS_OF_NOTICE, "thing9": "title"},
            },
            "wechat.long_term_fields.*thing9 不在模板里",
        ),
    ],
)
async def test_templates_of_notices_are_compared(
    box: Sandbox, session: aiohttp.ClientSession, mode: str, values: Mapping[str, Any], wrong: str
) -> None:
    fields = {"long_term_fields": FIELDS_OF_NOTICE, "one_time_fields": FIELDS_OF_NOTICE}
    channel = WeChatChannel(settings(box.api_base, modes=[mode], **{**fields, **values}), session)
    if not wrong:
        assert "订阅通知模板可用" in await channel.check()
        return
    with pytest.raises(ChannelError, match=wrong):
        await channel.check()


async def test_wechatpys_other_calls_come_to_the_same_place(box: Sandbox, channel: WeChatChannel) -> None:
    answer = await channel.client.user.get(READER)
    assert answer["subscribe"] == 1
    made = await channel.client.qrcode.create(
        {"action_name": "QR_STR_SCENE", "expire_seconds": 60, "action_info": {"scene": {"scene_str": "n1"}}}
    )
    assert made["ticket"]
    await channel.client.menu.create({"button": [{"type": "click", "name": "最新", "key": "latest"}]})
    with pytest.raises(ChannelError, match="evil"):
        await channel.client.get("https://evil.example/cgi-bin/x")


async def test_no_token_secret_or_openid_reaches_a_log_or_an_error(
    box: Sandbox, channel: WeChatChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bdnews_dispatch")
    token = await channel.client.token()
    box.faults.on_wechat(PlatformFault(TEMPLATE, http=500))
    box.faults.on_wechat(PlatformFault(TEMPLATE, silence="drop"))
    texts = [str(await channel.send(card(n), opened)) for n in range(3)]
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    for secret in (token, SANDBOX_SECRET, READER):
        assert secret not in logged + " ".join(texts)
