"""The rest of the WeChat stand-in's account by plain HTTP: each endpoint as the documents print it, and its errors."""

import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bdnews_dispatch.sandbox import SANDBOX_APPID, SANDBOX_SECRET, Sandbox
from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID, ONE_TIME_TEMPLATE_ID

ANNA, BEN = "oReader-0000000000000000001x", "oReader-0000000000000000002x"
JPG, PNG = b"\xff\xd8\xff" + b"0" * 100, b"\x89PNG" + b"0" * 100
FIELDS = {
    "thing1": {"value": "大数据发展动态"},
    "character_string2": {"value": "2022-06"},
    "date3": {"value": "2022年11月11日"},
    "thing4": {"value": "国策要论"},
}


class Account:
    """Calls the stand-in as a developer with curl would; its time moves when told."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)
        self.box = Sandbox(
            smtp_host="127.0.0.1",
            smtp_port=0,
            http_host="127.0.0.1",
            http_port=0,
            folder=folder,
            clock=self.time,
        )
        self.http: aiohttp.ClientSession
        self.token = ""

    def time(self) -> datetime:
        return self.now

    async def call(
        self, endpoint: str, data: Mapping[str, Any] | None = None, **query: str
    ) -> dict[str, Any]:
        """GET without data, else POST."""
        method = "GET" if data is None else "POST"
        body = None if data is None else json.dumps(data, ensure_ascii=False).encode()
        url = f"{self.box.api_base}/cgi-bin/{endpoint}"
        params = {"access_token": self.token, **query}
        async with self.http.request(method, url, data=body, params=params) as response:
            return dict(await response.json(content_type=None))

    async def code(self, endpoint: str, data: Mapping[str, Any] | None = None, **query: str) -> int:
        """The errcode of an answer that has to have a rid when it is one."""
        answer = await self.call(endpoint, data, **query)
        number = int(answer.get("errcode", 0))
        assert not number or " rid: " in answer["errmsg"]
        return number

    async def upload(self, endpoint: str, content: bytes, **query: str) -> dict[str, Any]:
        form = aiohttp.FormData()
        form.add_field("media", io.BytesIO(content), filename="cover.jpg", content_type="image/jpeg")
        url = f"{self.box.api_base}/cgi-bin/{endpoint}"
        async with self.http.post(url, data=form, params={"access_token": self.token, **query}) as response:
            return dict(await response.json(content_type=None))

    async def draft(self, **values: Any) -> dict[str, Any]:
        thumb = (await self.upload("material/add_material", JPG, type="thumb"))["media_id"]
        article = {"title": "题", "content": "<p>文</p>", "thumb_media_id": thumb, **values}
        return await self.call("draft/add", {"articles": [article]})

    async def mass(self, touser: list[str], **values: Any) -> dict[str, Any]:
        media = (await self.draft())["media_id"]
        message = {"touser": touser, "msgtype": "mpnews", "mpnews": {"media_id": media}}
        return await self.call("message/mass/send", {**message, **values})


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    given = Account(tmp_path)
    async with given.box, aiohttp.ClientSession() as given.http:
        asked = {"grant_type": "client_credential", "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET}
        given.token = (await given.call("stable_token", asked))["access_token"]
        await given.box.follow(ANNA)
        await given.box.follow(BEN)
        yield given


async def test_uploads(account: Account) -> None:
    thumb = await account.upload("material/add_material", JPG, type="thumb")
    assert thumb["media_id"]
    assert (await account.upload("media/uploadimg", PNG))["url"].startswith("http://mmbiz.qpic.cn/")
    assert (await account.upload("media/upload", JPG, type="image"))["type"] == "image"
    for endpoint, content, kind, code in (
        ("material/add_material", PNG, "thumb", 40005),
        ("material/add_material", JPG, "mystery", 40004),
        ("material/add_material", b"\xff\xd8\xff" + b"0" * 64 * 1024, "thumb", 40006),
        ("media/uploadimg", b"GIF89a", "", 40005),
        ("media/uploadimg", PNG + b"0" * 1024 * 1024, "", 40009),
        ("media/upload", b"", "image", 44001),
    ):
        assert (await account.upload(endpoint, content, type=kind))["errcode"] == code
    assert await account.code("media/uploadimg", {}) == 41005


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"title": "题" * 33}, 45003),
        ({"author": "者" * 17}, 45110),
        ({"digest": "要" * 129}, 45004),
        ({"content": "文" * 20_000}, 45002),
        ({"content": ""}, 44004),
        ({"thumb_media_id": "made-up"}, 40007),
        ({"title": "题" * 32, "author": "者" * 16, "digest": "要" * 128, "content": "文" * 19_999}, 0),
    ],
)
async def test_the_limits_of_a_draft(account: Account, values: dict[str, Any], code: int) -> None:
    assert (await account.draft(**values)).get("errcode", 0) == code


async def test_a_temporary_picture_is_no_cover(account: Account) -> None:
    temporary = (await account.upload("media/upload", JPG, type="thumb"))["media_id"]
    assert (await account.draft(thumb_media_id=temporary))["errcode"] == 40007


async def test_drafts_are_kept_changed_listed_and_deleted(account: Account) -> None:
    good = (await account.upload("media/uploadimg", PNG))["url"]
    content = f'<p>文</p><img src="{good}"><img src="https://x.example/1.png"><script>1</script>'
    media = (await account.draft(content=content))["media_id"]
    (article,) = (await account.call("draft/get", {"media_id": media}))["news_item"]
    assert article["content"] == f'<p>文</p><img src="{good}">'
    new = {"title": "新题", "content": "新", "thumb_media_id": article["thumb_media_id"]}
    update = {"media_id": media, "index": 0, "articles": new}
    assert await account.code("draft/update", update) == 0
    assert await account.code("draft/update", {**update, "index": 1}) == 40114
    listed = await account.call("draft/batchget", {"offset": 0, "count": 20, "no_content": 1})
    assert (listed["total_count"], listed["item_count"]) == (1, 1)
    (item,) = listed["item"][0]["content"]["news_item"]
    assert item["title"] == "新题"
    assert "content" not in item
    assert await account.code("draft/batchget", {"offset": 0, "count": 21}) == 40035
    assert await account.call("draft/count") == {"total_count": 1}
    assert await account.code("draft/delete", {"media_id": media}) == 0
    assert await account.code("draft/get", {"media_id": media}) == 40007
    assert await account.code("draft/add", {"articles": [{}] * 9}) == 45008


async def test_a_mass_send_is_four_a_month_for_each_follower(account: Account) -> None:
    third = "oReader-0000000000000000003x"
    await account.box.follow(third)
    for _ in range(4):
        assert (await account.mass([ANNA, BEN]))["errcode"] == 0
    assert (await account.mass([ANNA, BEN]))["errcode"] == 45028
    sent = await account.mass([ANNA, BEN, third])  # only the third is reached, and nobody is told
    job = account.box.account.mass.jobs[sent["msg_id"]]
    assert (job.sent, job.total) == (frozenset({third}), 3)
    assert [card.openid for card in account.box.cards()].count(ANNA) == 4
    account.now = datetime(2022, 11, 30, 15, 59, tzinfo=UTC)  # a minute before December in Beijing
    account.box.platform.tokens.expire()
    asked = {"grant_type": "client_credential", "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET}
    account.token = (await account.call("stable_token", asked))["access_token"]
    assert (await account.mass([ANNA, BEN]))["errcode"] == 45028
    account.now += timedelta(minutes=1)
    assert (await account.mass([ANNA, BEN]))["errcode"] == 0


async def test_the_faults_of_a_mass_send(account: Account) -> None:
    assert (await account.mass([ANNA]))["errcode"] == 40130
    assert (await account.mass([ANNA] * 10_001))["errcode"] == 40032
    assert (await account.mass([ANNA, BEN], msgtype="mystery"))["errcode"] == 40008
    assert (await account.mass([ANNA, BEN], mpnews={"media_id": "x"}))["errcode"] == 40007
    assert (await account.mass([ANNA, BEN], clientmsgid="x" * 33))["errcode"] == 45067
    first = await account.mass([ANNA, BEN], clientmsgid="d1")
    assert first["msg_id"] > 2**53
    assert (await account.mass([ANNA, BEN], clientmsgid="d1"))["errcode"] == 45066
    account.now += timedelta(minutes=1)
    again = await account.mass([ANNA, BEN], clientmsgid="d1")
    assert (again["errcode"], again["msg_id"]) == (45065, first["msg_id"])
    state = await account.call("message/mass/get", {"msg_id": first["msg_id"]})
    assert state == {"msg_id": first["msg_id"], "msg_status": "SEND_SUCCESS"}
    assert await account.code("message/mass/delete", {"msg_id": first["msg_id"]}) == 0
    assert (await account.call("message/mass/get", {"msg_id": first["msg_id"]}))["msg_status"] == "DELETE"
    assert await account.code("message/mass/get", {"msg_id": 1}) == 40059


async def test_quotas_of_a_minute_and_a_day(account: Account) -> None:
    quotas = account.box.account.quotas
    quotas.a_minute["message/mass/send"], quotas.a_day["message/mass/send"] = 1, 2
    send = {"touser": [ANNA, BEN], "msgtype": "text"}
    assert [await account.code("message/mass/send", send) for _ in range(2)] == [40008, 45011]
    account.now += timedelta(minutes=1)
    assert await account.code("message/mass/send", send) == 40008
    account.now += timedelta(minutes=1)
    assert await account.code("message/mass/send", send) == 45009
    asked = {"cgi_path": "/cgi-bin/message/mass/send"}
    told = (await account.call("openapi/quota/get", asked))["quota"]
    assert told == {"daily_limit": 2, "used": 2, "remain": 0}
    assert await account.code("openapi/quota/get", {"cgi_path": "/cgi-bin/none"}) == 76021
    assert await account.code("clear_quota", {"appid": "x"}) == 40013
    assert [await account.code("clear_quota", {"appid": SANDBOX_APPID}) for _ in range(11)] == [0] * 10 + [
        48006
    ]
    assert await account.code("message/mass/send", send) == 40008


async def test_tags(account: Account) -> None:
    tag = (await account.call("tags/create", {"tag": {"name": "国策要论"}}))["tag"]["id"]
    assert await account.code("tags/create", {"tag": {"name": "国策要论"}}) == 45157
    assert await account.code("tags/create", {"tag": {"name": "x" * 31}}) == 45158
    both = {"openid_list": [ANNA, BEN], "tagid": tag}
    assert await account.code("tags/members/batchtagging", both) == 0
    assert (await account.call("user/info", openid=ANNA))["tagid_list"] == [tag]
    assert (await account.call("tags/getidlist", {"openid": ANNA}))["tagid_list"] == [tag]
    media = (await account.draft())["media_id"]
    to_tag = {"filter": {"tag_id": tag}, "msgtype": "mpnews", "mpnews": {"media_id": media}}
    assert await account.code("message/mass/sendall", to_tag) == 0
    assert await account.code("message/mass/sendall", {**to_tag, "filter": {"tag_id": 7}}) == 45159
    account.box.account.tags.refused.add(BEN)
    refused = await account.call("tags/members/batchuntagging", both)
    assert (refused["errcode"], refused["fail_openid_list"]) == (45171, [BEN])
    carriers = await account.call("user/tag/get", {"tagid": tag, "next_openid": ""})
    assert carriers["data"]["openid"] == [BEN]
    assert await account.code("tags/members/batchtagging", {**both, "openid_list": [ANNA] * 51}) == 40032
    assert await account.code("tags/update", {"tag": {"id": tag, "name": "新"}}) == 0
    assert await account.code("tags/update", {"tag": {"id": 2, "name": "星标"}}) == 45058
    others = [(await account.call("tags/create", {"tag": {"name": f"t{n}"}}))["tag"]["id"] for n in range(99)]
    assert await account.code("tags/create", {"tag": {"name": "101"}}) == 45056
    codes = [
        await account.code("tags/members/batchtagging", {"openid_list": [ANNA], "tagid": one})
        for one in others[:21]
    ]
    assert codes == [0] * 20 + [45059]
    assert await account.code("tags/delete", {"tag": {"id": tag}}) == 0
    assert len((await account.call("tags/get"))["tags"]) == 99


async def test_followers_come_in_pages(account: Account) -> None:
    account.box.account.tags.page = 1
    first = await account.call("user/get", next_openid="")
    second = await account.call("user/get", next_openid=first["next_openid"])
    last = await account.call("user/get", next_openid=second["next_openid"])
    assert (first["data"]["openid"], second["data"]["openid"]) == ([ANNA], [BEN])
    assert last == {"total": 2, "count": 0, "next_openid": ""}
    infos = await account.call("user/info/batchget", {"user_list": [{"openid": ANNA}, {"openid": BEN}]})
    assert [info["openid"] for info in infos["user_info_list"]] == [ANNA, BEN]
    assert await account.code("user/info/batchget", {"user_list": [{"openid": ANNA}] * 101}) == 40032


async def test_a_consent_is_used_up_or_lasts(account: Account) -> None:
    notice = {"touser": ANNA, "template_id": ONE_TIME_TEMPLATE_ID, "data": FIELDS}
    send = "message/subscribe/bizsend"
    assert await account.code(send, notice) == 43101
    account.box.account.consents.accept(ANNA, ONE_TIME_TEMPLATE_ID)
    assert [await account.code(send, notice) for _ in range(2)] == [0, 43101]
    account.box.account.consents.accept(ANNA, LONG_TERM_TEMPLATE_ID)
    assert [await account.code(send, {**notice, "template_id": LONG_TERM_TEMPLATE_ID}) for _ in range(2)] == [
        0,
        0,
    ]
    assert await account.code(send, {**notice, "template_id": "x"}) == 40037
    assert await account.code(send, {**notice, "data": {**FIELDS, "thing1": {"value": "x" * 21}}}) == 47003


async def test_publishing(account: Account) -> None:
    media = (await account.draft())["media_id"]
    publish_id = (await account.call("freepublish/submit", {"media_id": media}))["publish_id"]
    state = await account.call("freepublish/get", {"publish_id": publish_id})
    assert (state["publish_status"], state["article_detail"]["count"]) == (0, 1)
    article = {"article_id": state["article_id"]}
    assert (await account.call("freepublish/getarticle", article))["news_item"][0]["title"] == "题"
    assert (await account.call("freepublish/batchget", {"offset": 0, "count": 1}))["total_count"] == 1
    assert await account.code("freepublish/delete", article) == 0
    assert await account.code("freepublish/getarticle", article) == 53600
    assert await account.code("freepublish/submit", {"media_id": media}) == 40007


async def test_menus_and_tickets(account: Account) -> None:
    assert await account.code("menu/get") == 46003
    view = {"type": "view", "name": "我的", "url": "https://x.example/"}
    assert await account.code("menu/create", {"button": [view] * 4}) == 40016
    assert (
        await account.code("menu/create", {"button": [{"name": "更多", "sub_button": [view] * 6}]}) == 40023
    )
    assert await account.code("menu/create", {"button": [{**view, "name": "六个汉字太长"}]}) == 40018
    assert await account.code("menu/create", {"button": [{**view, "type": "x"}]}) == 40017
    assert (await account.call("ticket/getticket", type="jsapi"))["expires_in"] == 7200
    assert await account.code("ticket/getticket", type="x") == 40097


async def test_a_code_of_the_browser_is_good_once_for_five_minutes(account: Account) -> None:
    asked = {"appid": SANDBOX_APPID, "response_type": "code", "scope": "snsapi_base", "state": "s1"}
    url = f"{account.box.api_base}/connect/oauth2/authorize"
    query = {**asked, "redirect_uri": "https://x.example/back?a=1", "openid": ANNA}
    async with account.http.get(url, params=query, allow_redirects=False) as response:
        assert response.status == 302
        target = response.headers["Location"]
    assert target.startswith("https://x.example/back?a=1&code=")
    assert target.endswith("&state=s1")
    code = target.split("code=")[1].split("&", maxsplit=1)[0]
    sns = "../sns/oauth2/access_token"
    given = {"appid": SANDBOX_APPID, "secret": SANDBOX_SECRET, "grant_type": "authorization_code"}
    answer = await account.call(sns, None, **given, code=code)
    assert answer["openid"] == ANNA
    assert "is_snapshotuser" not in answer
    assert await account.code(sns, None, **given, code=code) == 40163
    assert await account.code(sns, None, **given, code="made-up") == 40029
    account.box.account.oauth.snapshot = True
    late, virtual = account.box.account.oauth.code(ANNA), account.box.account.oauth.code(ANNA)
    assert (await account.call(sns, None, **given, code=virtual))["is_snapshotuser"] == 1
    account.now += timedelta(minutes=5)
    assert await account.code(sns, None, **given, code=late) == 40029


async def test_reports_of_jobs_come_late_twice_and_out_of_order(account: Account) -> None:
    bodies: list[str] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.text())
        return web.Response(text="success")

    app = web.Application()
    app.router.add_post("/callback", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        account.box.set_callback(f"http://127.0.0.1:{runner.addresses[0][1]}/callback", "token")
        account.box.reports.hold, account.box.reports.times = True, 2
        account.box.reports.statuses.append("err(10001)")
        failed, good = await account.mass([ANNA, BEN]), await account.mass([ANNA, BEN])
        await account.box.settled()
        assert bodies == []
        assert account.box.reports.release(backwards=True) == 4
        await account.box.settled()
    finally:
        await runner.cleanup()
    assert sum(f"<MsgID>{failed['msg_id']}</MsgID>" in body for body in bodies) == 2
    assert (
        sum("<![CDATA[err(10001)]]>" in body and "<SentCount><![CDATA[0]]>" in body for body in bodies) == 2
    )
    assert sum(f"<MsgID>{good['msg_id']}</MsgID>" in body for body in bodies) == 2
