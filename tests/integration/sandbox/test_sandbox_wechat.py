"""The WeChat stand-in's rules, one by one, by plain HTTP: what the documents say, not what our client does."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bdnews_dispatch.sandbox import (
    SANDBOX_APPID,
    SANDBOX_SECRET,
    SANDBOX_TEMPLATE_ID,
    PlatformFault,
    Sandbox,
)

READER = "oReader-0000000000000000001x"
GOOD = {
    "thing1": {"value": "大数据发展动态"},
    "character_string2": {"value": "2022-06"},
    "date3": {"value": "2022年11月11日"},
    "thing4": {"value": "国策要论"},
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


class Caller:
    """Calls the stand-in as a developer with curl would."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self._http = http
        self._base = base

    async def get(self, endpoint: str, **query: str) -> dict[str, Any]:
        async with self._http.get(f"{self._base}/cgi-bin/{endpoint}", params=query) as response:
            assert response.status == 200
            return dict(await response.json(content_type=None))

    async def post(self, endpoint: str, data: Mapping[str, Any] | bytes, **query: str) -> dict[str, Any]:
        body: dict[str, Any] = {"data": data} if isinstance(data, bytes) else {"json": data}
        async with self._http.post(f"{self._base}/cgi-bin/{endpoint}", params=query, **body) as response:
            assert response.status == 200
            return dict(await response.json(content_type=None))

    async def stable(self, *, force: bool = False, **values: str) -> dict[str, Any]:
        account = {"grant_type": "client_credential", "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET}
        return await self.post("stable_token", {**account, "force_refresh": force, **values})

    async def token(self) -> str:
        return str((await self.stable())["access_token"])

    async def template(self, **values: Any) -> dict[str, Any]:
        message = {
            "touser": READER,
            "template_id": SANDBOX_TEMPLATE_ID,
            "url": "https://x.example/1",
            "data": GOOD,
        }
        return await self.post(
            "message/template/send", {**message, **values}, access_token=await self.token()
        )

    async def custom(self, **values: Any) -> dict[str, Any]:
        article = {"title": "题", "description": "述", "url": "https://x.example/1", "picurl": ""}
        message = {"touser": READER, "msgtype": "news", "news": {"articles": [article]}}
        return await self.post("message/custom/send", {**message, **values}, access_token=await self.token())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def box(tmp_path: Path, clock: Clock) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1", smtp_port=0, http_host="127.0.0.1", http_port=0, folder=tmp_path, clock=clock
    ) as running:
        yield running


@pytest.fixture
async def call(box: Sandbox) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as http:
        yield Caller(http, box.api_base)


async def test_the_stable_token_is_repeated_then_rotated_with_an_overlap(call: Caller, clock: Clock) -> None:
    first = await call.stable()
    clock.pass_(seconds=100)
    again = await call.stable()
    assert again["access_token"] == first["access_token"]
    assert (first["expires_in"], again["expires_in"]) == (7200, 7100)
    clock.pass_(seconds=7200 - 100 - 299)  # in the last five minutes
    second = await call.stable()
    assert second["access_token"] != first["access_token"]
    for token in (first, second):
        assert "errcode" not in await call.get("user/info", access_token=token["access_token"], openid=READER)
    clock.pass_(seconds=299)
    over = await call.get("user/info", access_token=first["access_token"], openid=READER)
    assert over["errcode"] == 42001


async def test_a_forced_token_ends_the_last_and_is_limited(call: Caller, clock: Clock) -> None:
    first = await call.stable()
    forced = await call.stable(force=True)
    assert forced["access_token"] != first["access_token"]
    assert (await call.get("user/info", access_token=first["access_token"], openid=READER))[
        "errcode"
    ] == 40001
    assert (await call.stable(force=True))["errcode"] == 45011
    for _ in range(19):
        clock.pass_(seconds=30)
        assert "access_token" in await call.stable(force=True)
    clock.pass_(seconds=30)
    assert (await call.stable(force=True))["errcode"] == 45009
    clock.pass_(days=1)
    assert "access_token" in await call.stable(force=True)


async def test_the_older_token_is_new_each_time_and_the_last_lives_five_minutes(
    call: Caller, clock: Clock
) -> None:
    account = {"grant_type": "client_credential", "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET}
    first, second = await call.get("token", **account), await call.get("token", **account)
    assert first["access_token"] != second["access_token"]
    assert "errcode" not in await call.get("user/info", access_token=first["access_token"], openid=READER)
    clock.pass_(minutes=5)
    assert (await call.get("user/info", access_token=first["access_token"], openid=READER))[
        "errcode"
    ] == 42001


async def test_credentials(call: Caller) -> None:
    assert (await call.stable(appid="wx1"))["errcode"] == 40013
    assert (await call.stable(secret="no"))["errcode"] == 40125
    assert (await call.stable(grant_type="no"))["errcode"] == 40002
    assert (await call.get("stable_token"))["errcode"] == 43002
    assert (await call.get("user/info", openid=READER))["errcode"] == 41001
    bad = await call.get("user/info", openid=READER, access_token="made-up")
    assert bad["errcode"] == 40001
    assert " rid: " in bad["errmsg"]
    assert (await call.get("no/such", access_token=await call.token()))["errcode"] == 40066
    assert (await call.post("message/template/send", b"{", access_token=await call.token()))[
        "errcode"
    ] == 47001


async def test_a_message_of_the_users_allows_five_in_48_hours(
    box: Sandbox, call: Caller, clock: Clock
) -> None:
    await box.follow(READER)
    clock.pass_(minutes=2)
    assert (await call.custom())["errcode"] == 45015
    await box.say(READER, "最新")
    assert [(await call.custom())["errcode"] for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    await box.say(READER, "最新")
    clock.pass_(hours=47, minutes=59)
    assert (await call.custom())["errcode"] == 0
    clock.pass_(minutes=1)
    assert (await call.custom())["errcode"] == 45015


@pytest.mark.parametrize("act", ["follow", "click", "scan"])
async def test_an_act_allows_three_in_a_minute(box: Sandbox, call: Caller, clock: Clock, act: str) -> None:
    await box.follow(READER)
    if act != "follow":
        clock.pass_(minutes=2)
        await (box.click(READER, "k") if act == "click" else box.scan(READER, "s"))
    assert [(await call.custom())["errcode"] for _ in range(4)] == [0, 0, 0, 45047]
    await box.click(READER, "k")
    clock.pass_(seconds=60)
    assert (await call.custom())["errcode"] == 45015


async def test_service_messages(box: Sandbox, call: Caller) -> None:
    await box.follow(READER)
    article = {"title": "题", "description": "", "url": "https://x.example", "picurl": ""}
    assert (await call.custom(news={"articles": [article, article]}))["errcode"] == 45008
    assert (await call.custom(news={"articles": []}))["errcode"] == 44003
    assert (await call.custom(msgtype="mystery"))["errcode"] == 40008
    assert (await call.custom(msgtype="text", text={"content": ""}))["errcode"] == 44004
    assert (await call.custom(touser="short"))["errcode"] == 40003
    assert (await call.custom(msgtype="text", text={"content": "您好"}))["errcode"] == 0
    await box.unfollow(READER)
    assert (await call.custom())["errcode"] == 45015
    assert [(card.mode, card.description) for card in box.cards()] == [("custom", "您好")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thing1", "一二三四五六七八九十一二三四五六七八九十一"),
        ("thing1", "新刊🎉"),
        ("thing1", "两\n行"),
        ("thing1", ""),
        ("character_string2", "第6期"),
        ("character_string2", "x" * 33),
        ("date3", "近日"),
        ("date3", "20221111"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(
    box: Sandbox, call: Caller, field: str, value: str
) -> None:
    await box.follow(READER)
    answer = await call.template(data={**GOOD, field: {"value": value}})
    assert answer["errcode"] == 47003
    assert f"data.{field}.value" in answer["errmsg"]
    assert box.cards() == []


async def test_who_has_followed_long_ago_gets_templates_and_has_no_window(box: Sandbox, call: Caller) -> None:
    box.platform.known([READER])
    assert (await call.template())["errcode"] == 0
    follower = box.platform.followers[READER]
    assert (follower.since, follower.action_until, follower.message_until) == (None, None, None)


async def test_other_faults_of_a_template(box: Sandbox, call: Caller) -> None:
    assert (await call.template())["errcode"] == 43004
    await box.follow(READER)
    assert (await call.template(template_id="x" * 43))["errcode"] == 40037
    assert (await call.template(touser="short"))["errcode"] == 40003
    assert (await call.template(data={k: v for k, v in GOOD.items() if k != "thing4"}))["errcode"] == 47003
    assert (await call.template(data={**GOOD, "first": {"value": "您好"}}))["errcode"] == 47003
    coloured = {**GOOD, "thing1": {"value": "x", "color": "#173177"}}
    assert "color" in (await call.template(data=coloured))["errmsg"]
    assert (await call.template(client_msg_id="x" * 33))["errcode"] == 40035
    sent = await call.template()
    assert sent["errcode"] == 0
    assert sent["msgid"] > 2**53
    await box.unfollow(READER)
    assert (await call.template())["errcode"] == 43004
    assert len(box.cards()) == 1


async def test_the_same_client_msg_id_is_sent_once_in_ten_minutes(
    box: Sandbox, call: Caller, clock: Clock
) -> None:
    await box.follow(READER)
    first, again = await call.template(client_msg_id="d1"), await call.template(client_msg_id="d1")
    assert first["msgid"] == again["msgid"]
    assert len(box.cards()) == 1
    assert (await call.template(client_msg_id="d2"))["msgid"] != first["msgid"]
    clock.pass_(minutes=10)
    assert (await call.template(client_msg_id="d1"))["msgid"] != first["msgid"]
    assert len(box.cards()) == 3


async def test_user_info(box: Sandbox, call: Caller) -> None:
    token = await call.token()
    assert (await call.get("user/info", access_token=token, openid="short"))["errcode"] == 40003
    assert (await call.get("user/info", access_token=token, openid=READER))["subscribe"] == 0
    await box.follow(READER)
    assert (await call.get("user/info", access_token=token, openid=READER))["subscribe"] == 1
    await box.unfollow(READER)
    assert (await call.get("user/info", access_token=token, openid=READER))["subscribe"] == 0


async def test_templates_menus_and_codes(call: Caller) -> None:
    token = await call.token()
    (template,) = (await call.get("template/get_all_private_template", access_token=token))["template_list"]
    assert template["template_id"] == SANDBOX_TEMPLATE_ID
    assert "{{thing1.DATA}}" in template["content"]
    escaped = b'{"button":[{"type":"click","name":"\\u6700\\u65b0","key":"k"}]}'
    assert (await call.post("menu/create", escaped, access_token=token))["errcode"] == 40033
    code = {
        "action_name": "QR_STR_SCENE",
        "expire_seconds": 60,
        "action_info": {"scene": {"scene_str": "n1"}},
    }
    assert (await call.post("qrcode/create", code, access_token=token))["ticket"]
    assert (await call.post("qrcode/create", {"action_name": "x"}, access_token=token))["errcode"] == 40053


async def test_injected_faults(box: Sandbox, call: Caller) -> None:
    await box.follow(READER)
    box.faults.on_wechat(PlatformFault("message/template/send", code=45009, times=2))
    assert [(await call.template())["errcode"] for _ in range(3)] == [45009, 45009, 0]
    box.faults.on_wechat(PlatformFault("message/template/send", silence="drop", accepted=True))
    with pytest.raises(aiohttp.ClientError):
        await call.template()
    assert len(box.cards()) == 2


async def test_followers_and_cards_are_there_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    def again() -> Sandbox:
        return Sandbox(
            smtp_host="127.0.0.1",
            smtp_port=0,
            http_host="127.0.0.1",
            http_port=0,
            folder=tmp_path,
            clock=clock,
        )

    async with again() as box, aiohttp.ClientSession() as http:
        await box.follow(READER)
        await box.say(READER, "您好")
        await Caller(http, box.api_base).template()
    async with again() as box, aiohttp.ClientSession() as http:
        assert [card.openid for card in box.cards()] == [READER]
        assert (await Caller(http, box.api_base).custom())["errcode"] == 0
