"""What the stand-in pushes to a service, opened by the service's own code."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from bdnews_dispatch.channels.wechat.callback import open_push, text_reply
from bdnews_dispatch.channels.wechat.push import Push, PushKind
from bdnews_dispatch.sandbox import (
    SANDBOX_AES_KEY,
    SANDBOX_APPID,
    SANDBOX_CALLBACK_TOKEN,
    SANDBOX_SECRET,
    SANDBOX_TEMPLATE_ID,
    Sandbox,
)
from bdnews_dispatch.settings import WeChatSettings, load_settings

READER = "oReader-0000000000000000001x"
AT = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)


@dataclass
class Service:
    """A service as small as can be: opens pushes, greets."""

    settings: WeChatSettings
    pushes: list[Push] = field(default_factory=list)
    failures: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        push = open_push(self.settings, request.query, await request.read(), AT)
        self.pushes.append(push)
        if push.kind is PushKind.TEXT:
            return web.Response(body=text_reply(push, f"收到：{push.text}", self.settings, now=AT))
        return web.Response(text="success")


@pytest.fixture(params=["plain", "safe"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Service, str]]:
    key = SANDBOX_AES_KEY if request.param == "safe" else ""
    values = {"appid": SANDBOX_APPID, "token": SANDBOX_CALLBACK_TOKEN, "aes_key": key}
    running = Service(load_settings({}, overrides={"wechat": values}).wechat)
    app = web.Application()
    app.router.add_post("/wechat/callback", running.handle)
    async with TestServer(app) as server:
        yield running, str(server.make_url("/wechat/callback"))


@pytest.fixture
async def box(tmp_path: Path, service: tuple[Service, str]) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path,
        clock=lambda: AT,
    ) as running:
        key: SecretStr = service[0].settings.aes_key
        running.set_callback(service[1], SANDBOX_CALLBACK_TOKEN, key.get_secret_value())
        yield running


async def test_acts_arrive_and_the_reply_comes_back(box: Sandbox, service: tuple[Service, str]) -> None:
    assert (await box.scan(READER, "nonce1")).delivered
    reply = await box.say(READER, "我的 <&> ]]>")
    await box.click(READER, "latest")
    await box.scan(READER, "nonce2")
    await box.unfollow(READER)
    assert reply.text == "收到：我的 <&> ]]>"
    assert [(push.kind, push.scene or push.event_key) for push in service[0].pushes] == [
        (PushKind.SUBSCRIBE, "nonce1"),
        (PushKind.TEXT, ""),
        (PushKind.CLICK, "latest"),
        (PushKind.SCAN, "nonce2"),
        (PushKind.UNSUBSCRIBE, ""),
    ]
    assert {push.openid for push in service[0].pushes} == {READER}


async def test_a_service_that_fails_is_tried_three_times(box: Sandbox, service: tuple[Service, str]) -> None:
    service[0].failures = 2
    reply = await box.follow(READER)
    assert (reply.delivered, reply.tries) == (True, 3)
    service[0].failures = 5
    reply = await box.say(READER, "x")
    assert (reply.delivered, reply.tries, reply.status) == (False, 3, 503)


async def test_the_end_of_a_template_message_is_reported(box: Sandbox, service: tuple[Service, str]) -> None:
    await box.follow(READER)
    async with aiohttp.ClientSession() as http:
        account = {"grant_type": "client_credential", "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET}
        async with http.post(f"{box.api_base}/cgi-bin/stable_token", json=account) as response:
            token = (await response.json(content_type=None))["access_token"]
        data = {
            "thing1": {"value": "动态"},
            "character_string2": {"value": "6"},
            "date3": {"value": "2022-11-11"},
            "thing4": {"value": "国策要论"},
        }
        message = {"touser": READER, "template_id": SANDBOX_TEMPLATE_ID, "data": data}
        url = f"{box.api_base}/cgi-bin/message/template/send"
        async with http.post(url, params={"access_token": token}, json=message) as response:
            msgid = (await response.json(content_type=None))["msgid"]
    await box.settled()
    finished = service[0].pushes[-1]
    assert (finished.kind, finished.msg_id, finished.status) == (
        PushKind.TEMPLATE_FINISHED,
        str(msgid),
        "success",
    )


async def test_without_a_callback_nothing_is_pushed(tmp_path: Path) -> None:
    async with Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path,
        clock=lambda: AT,
    ) as box:
        reply = await box.follow(READER)
        assert (reply.delivered, reply.tries) == (False, 0)
        with pytest.raises(ValueError, match="没有关注"):
            await box.say("somebody-else", "x")
