"""WeChat's callback: proven, acknowledged, once; and what pushes do."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from sqlmodel import col, select
from tests.integration.web.readers_site import Site, open_site
from tests.making import HandClock

from bdnews_dispatch.channels.wechat.callback import seal, signature
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.official_account.models import WeChatCredit
from bdnews_dispatch.privacy.copying import copy_of
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice, Follower, Subscription, Suppression
from bdnews_dispatch.subscribers.suppressions import is_suppressed, suppress
from bdnews_dispatch.web import keys

TOKEN = "callback-token-of-the-test"
JING = "oReaderHeJing0000000000001"
AES_KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")


@pytest.fixture(params=["plain", "safe"])
async def wechat(
    request: pytest.FixtureRequest, database: Database, clock: HandClock, tmp_path: Path
) -> AsyncIterator[Site]:
    settings = {
        "appid": "wx0123456789abcdef",
        "token": TOKEN,
        "aes_key": AES_KEY if request.param == "safe" else "",
    }
    async with open_site(database, clock, tmp_path, wechat=settings) as site:
        yield site


async def push(
    site: Site, fields: dict[str, Any], *, query: dict[str, str] | None = None, raw: str = ""
) -> ClientResponse:
    stamp, nonce = str(int(site.clock().timestamp())), "nonce"
    base = {"ToUserName": "gh_account", "FromUserName": JING, "CreateTime": stamp}
    inside = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in (base | fields).items())
    xml = f"<xml>{inside}{raw}</xml>".encode()
    asked = {"timestamp": stamp, "nonce": nonce, "signature": signature(TOKEN, stamp, nonce)}
    wechat = site.app[keys.SETTINGS].wechat
    if wechat.aes_key.get_secret_value():
        sealed = seal(wechat, xml.decode(), timestamp=stamp, nonce=nonce, key=AES_KEY)
        encrypted = sealed.decode().partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]
        asked["msg_signature"] = signature(TOKEN, stamp, nonce, encrypted)
        xml = f"<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
    return await site.post("/wechat/callback", params=query or asked, data=xml)


async def said(site: Site, answer: ClientResponse) -> str:
    """The reply as the user reads it; sealed replies are opened as the platform opens them."""
    body = await answer.read()
    if b"<Encrypt>" in body:
        text = body.decode()

        def between(name: str) -> str:
            return (
                text.partition(f"<{name}>")[2]
                .partition(f"</{name}>")[0]
                .removeprefix("<![CDATA[")
                .removesuffix("]]>")
            )

        from wechatpy.crypto import PrpCrypto  # noqa: PLC0415

        key = base64.b64decode(AES_KEY + "=")
        body = PrpCrypto(key).decrypt(between("Encrypt"), "wx0123456789abcdef")
        body = body.encode() if isinstance(body, str) else body
    return body.decode()


async def text(site: Site, words: str, msg_id: str = "1") -> str:
    answer = await push(site, {"MsgType": "text", "Content": words, "MsgId": msg_id})
    assert answer.status == 200
    reply = await said(site, answer)
    await site.handle_events()
    return reply


async def interest(site: Site) -> Subscription | None:
    async with site.database.read() as session:
        person = await people.find_by_openid(session, JING)
        assert person is not None
        assert person.id is not None
        return await agreements.current(session, person.id, "dsj")


async def test_echo(wechat: Site) -> None:
    stamp = str(int(wechat.clock().timestamp()))
    query = {"timestamp": stamp, "nonce": "n", "signature": signature(TOKEN, stamp, "n"), "echostr": "4711"}
    answer = await wechat.get("/wechat/callback", params=query)
    assert (answer.status, await answer.text()) == (200, "4711")
    assert (await wechat.get("/wechat/callback", params=query | {"signature": "0" * 40})).status == 403
    assert (await wechat.get("/wechat/callback")).status == 403


@pytest.mark.parametrize(
    "body", [b"", b"<xml", b"\xff\xff", b"<xml><a/></xml>", b"x" * 70_000, b"<!DOCTYPE x []><xml/>"]
)
async def test_what_is_no_push_is_refused(wechat: Site, body: bytes) -> None:
    stamp = str(int(wechat.clock().timestamp()))
    query = {"timestamp": stamp, "nonce": "n", "signature": signature(TOKEN, stamp, "n")}
    answer = await wechat.post("/wechat/callback", params=query, data=body)
    assert 400 <= answer.status < 500
    assert "Traceback" not in await answer.text()
    forged = await push(
        wechat, {"MsgType": "text", "Content": "退订", "MsgId": "1"}, query={"timestamp": stamp}
    )
    assert forged.status == 403
    assert await wechat.events() == []


@pytest.mark.fault(17)
async def test_a_push_told_five_times_is_one(wechat: Site) -> None:
    for _ in range(5):
        assert (
            await push(wechat, {"MsgType": "event", "Event": "subscribe", "EventKey": "qrscene_abc"})
        ).status == 200
    assert await wechat.events() == ["wechat.pushed"]
    assert wechat.woken
    async with wechat.database.read() as session:
        event = (await session.exec(select(Event))).one()
    assert event.payload["scene"] == "abc"
    assert JING not in event.key


async def test_following_opens_a_short_window_and_leaving_closes_it(wechat: Site) -> None:
    answer = await push(wechat, {"MsgType": "event", "Event": "subscribe"})
    assert "欢迎" in await said(wechat, answer)
    await wechat.handle_events()
    async with wechat.database.read() as session:
        follower = await session.get(Follower, JING)
    assert follower is not None
    assert (follower.following, follower.window_left) == (True, 3)
    wechat.clock.move(seconds=5)
    left = await push(wechat, {"MsgType": "event", "Event": "unsubscribe"})
    assert await left.text() == "success"
    await wechat.handle_events()
    async with wechat.database.read() as session:
        follower = await session.get(Follower, JING)
    assert follower is not None
    assert (follower.following, follower.window_left) == (False, 0)


async def test_leaving_by_wechat_leaves_email(wechat: Site) -> None:
    """And lets the WeChat go: who bound it may have scanned somebody else's code. 订阅 is then their own."""
    await wechat.send(await wechat.publish())
    async with wechat.database.write() as session:
        before = await people.find_by_openid(session, JING)
        await suppress(session, wechat.clock, Channel.WECHAT, JING, reason="43004", source="smtp")
    assert before is not None
    assert "绑定也已解除" in await text(wechat, "退订")
    async with wechat.database.read() as session:
        now = await agreements.current(session, before.id or 0, "dsj")
        assert await people.find_by_openid(session, JING) is None
    assert now is not None
    assert (now.channel, now.sections) == (ChannelChoice.EMAIL, ["industry"])
    wechat.clock.move(minutes=1)
    assert "在这里送达" in await text(wechat, "订阅", "2")
    again = await interest(wechat)
    assert again is not None
    assert (again.channel, again.subscriber_id != before.id) == (ChannelChoice.WECHAT, True)
    async with wechat.database.read() as session:
        assert not await is_suppressed(session, Channel.WECHAT, JING)
        copies = [await copy_of(session, wechat.clock, id_) for id_ in (before.id or 0, again.subscriber_id)]
    assert [copy["messages"] for copy in copies] == [[], []], (
        "what was said before it was theirs is not theirs"
    )


async def test_a_no_to_one_question_takes_back_nothing_of_before(wechat: Site) -> None:
    async def left() -> int:
        async with wechat.database.read() as session:
            row = await session.get(WeChatCredit, (JING, "T"))
        return row.granted - row.used if row else 0

    for event, answer, then in (
        ("subscribe_msg_popup_event", "accept", 1),
        ("subscribe_msg_popup_event", "reject", 1),
        ("subscribe_msg_change_event", "reject", 0),
    ):
        wechat.clock.move(seconds=5)
        told = f"<TemplateId>T</TemplateId><SubscribeStatusString>{answer}</SubscribeStatusString>"
        raw = f"<SubscribeMsgEvent><List>{told}</List></SubscribeMsgEvent>"
        assert (await push(wechat, {"MsgType": "event", "Event": event}, raw=raw)).status == 200
        await wechat.handle_events()
        assert await left() == then, (event, answer)


async def test_who_reads_by_wechat_alone_leaves_and_comes_back(wechat: Site) -> None:
    csv = f"openid,sections,channel\n{JING},frontier,wechat\n".encode()
    await wechat.send(await wechat.publish(), csv)
    await text(wechat, "退订")
    assert await interest(wechat) is None
    await text(wechat, "订阅", "2")
    now = await interest(wechat)
    assert now is not None
    assert (now.channel, now.sections) == (ChannelChoice.WECHAT, ["frontier"])


async def test_somebody_new_who_asks_for_it_gets_the_whole_issue(wechat: Site) -> None:
    await text(wechat, "订阅")
    now = await interest(wechat)
    assert now is not None
    assert (now.whole_issue, now.channel, now.origin) == (True, ChannelChoice.WECHAT, "wechat")


async def test_answers_to_words(wechat: Site) -> None:
    assert "还没有发布过" in await text(wechat, "最新", "1")
    assert "还没有在微信里订阅" in await text(wechat, "我的", "2")
    await wechat.send(await wechat.publish())
    assert "/issues/dsj/112" in await text(wechat, "最新", "3")
    mine = await text(wechat, "我的", "4")
    assert "您订阅了产业镜像" in mine
    assert JING not in mine.partition("<ToUserName>")[0], "the openid stands in no link"
    section = await text(wechat, "产业镜像", "5")
    assert "/issues/dsj/112/" in section
    assert "您已订阅“产业镜像”" in section
    assert "在这里选上它" in await text(wechat, "前沿观察", "6")
    for word, expected in (("帮助", "退订：停止微信推送"), ("你好", "没有看懂"), ("<a>&退订", "没有看懂")):
        assert expected in await text(wechat, word, word)


async def test_a_template_message_reached_its_end(wechat: Site) -> None:
    sent = await wechat.send(await wechat.publish())
    async with wechat.database.write() as session:
        for delivery in sent[2:]:
            session.add(
                Attempt(
                    delivery_id=delivery.id or 0,
                    at=wechat.clock(),
                    outcome="accepted",
                    mode="template",
                    reference="200163836",
                )
            )
    fields = {"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "MsgID": "200163836"}
    await push(wechat, fields | {"Status": "success"})
    await wechat.handle_events()
    assert [d.state for d in await wechat.deliveries()] == [DeliveryState.SENT] * 2 + [
        DeliveryState.DELIVERED
    ]
    wechat.clock.move(seconds=1)
    await push(wechat, fields | {"Status": "failed:user block"})
    await wechat.handle_events()
    async with wechat.database.read() as session:
        suppressed = (await session.exec(select(Suppression))).one()
        states = (await session.exec(select(Delivery.state).order_by(col(Delivery.id)))).all()
    assert (suppressed.target, suppressed.reason) == (JING, "failed:user block")
    assert states[2] is DeliveryState.BOUNCED
