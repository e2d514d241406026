"""The sandbox's pages: what is shown, and that a hostile mail or site can do nothing with them."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import aiosmtplib
import pytest

from bdnews_dispatch.sandbox import Sandbox

AT = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
MAIL = (
    "From: =?utf-8?b?5aSn5pWw5o2u?= <d@example.cn>\r\nSubject: =?utf-8?b?PGI+5aSn5pWw5o2u?=\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
    '--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    "--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n纯文本正文\r\n"
    "--a\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    '<html><head><title>x</title></head><body><script>alert(1)</script><img src="cid:pic"><a href="https://x.example">阅读</a></body></html>\r\n'
    "--a--\r\n"
    "--m\r\nContent-Type: image/png\r\nContent-ID: <pic>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    f"{PICTURE}\r\n"
    '--m\r\nContent-Type: text/html; name="evil.html"\r\nContent-Disposition: attachment; filename="evil.html"\r\n\r\n'
    "<script>alert(2)</script>\r\n--m--\r\n"
)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path,
        clock=lambda: AT,
    ) as running:
        yield running


@pytest.fixture
async def http(box: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(box.http_url) as session:
        yield session


async def deliver(box: Sandbox, content: bytes = MAIL.encode(), recipient: str = "reader@example.cn") -> None:
    host, port = box.smtp_address
    async with aiosmtplib.SMTP(hostname=host, port=port, start_tls=False, local_hostname="t.example") as smtp:
        await smtp.sendmail("b+1@bounce.example", [recipient], content, mail_options=["BODY=8BITMIME"])


async def page(http: aiohttp.ClientSession, path: str) -> str:
    async with http.get(path) as response:
        assert response.status == 200, path
        assert "script-src" not in response.headers["Content-Security-Policy"]
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Referrer-Policy"] == "same-origin"
        return await response.text()


async def test_empty_pages_say_what_to_do(http: aiohttp.ClientSession) -> None:
    assert "还没有邮件" in await page(http, "/")
    assert "还没有关注者" in await page(http, "/followers")


async def test_a_mail_is_listed_and_shown(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await deliver(box)
    listed = await page(http, "/")
    assert "&lt;b&gt;大数据" in listed
    assert "<b>大数据" not in listed
    assert "reader@example.cn" in listed
    assert "2022年11月11日 09:00:00" in listed
    shown = await page(http, "/mail/1")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in shown
    assert "b+1@bounce.example" in shown
    assert "纯文本正文" in await page(http, "/mail/1?show=text")
    assert "大数据 &lt;d@example.cn&gt;" in await page(http, "/mail/1?show=headers")
    assert "Content-Type: multipart/mixed" in await page(http, "/mail/1?show=source")
    assert "没有符合" in await page(http, "/?q=nobody")


async def test_the_frame_runs_nothing(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await deliver(box)
    async with http.get("/mail/1/html") as response:
        policy, text = response.headers["Content-Security-Policy"], await response.text()
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert '<base target="_blank">' in text
    assert f'src="{box.http_url}/mail/1/parts/' in text


async def test_attachments_are_pictures_or_downloads(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await deliver(box)
    shown = await page(http, "/mail/1")
    links = [part.split('"')[0] for part in shown.split('href="')[1:] if "/parts/" in part.split('"')[0]]
    kinds = {}
    for link in links:
        async with http.get(link) as response:
            kinds[response.content_type] = response.headers.get("Content-Disposition", "")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert set(kinds) == {"image/png", "application/octet-stream"}
    assert kinds["application/octet-stream"].startswith("attachment")
    async with http.get("/mail/1/eml") as response:
        assert await response.read() == MAIL.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header at all",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        b"Content-Type: text/html; charset=martian\r\n\r\n\xff\xfe\r\n",
        b"Subject: =?utf-8?b?////?=\r\nTo: <<<>>>\r\nContent-Type: ;;;\r\n\r\n\x00\r\n",
        b"Subject: =?x?q?=00?=\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
    ],
)
async def test_a_malformed_mail_is_shown_all_the_same(
    box: Sandbox, http: aiohttp.ClientSession, content: bytes
) -> None:
    await deliver(box, content)
    for path in ("/", "/mail/1", "/mail/1?show=text", "/mail/1?show=headers", "/mail/1?show=source"):
        await page(http, path)
    for path in ("/mail/1/html", "/api/mails/1", "/api/mails"):
        async with http.get(path) as response:
            assert response.status == 200


async def test_json(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await deliver(box)
    await deliver(box, recipient="other@example.cn")
    async with http.get("/api/mails") as response:
        assert [row["id"] for row in await response.json()] == [2, 1]
    async with http.get("/api/mails", params={"to": "other@example.cn"}) as response:
        assert [row["id"] for row in await response.json()] == [2]
    async with http.get("/api/mails/1") as response:
        row = await response.json()
    assert row["text"].strip() == "纯文本正文"
    assert "阅读" in row["html"]
    async with http.post("/api/clear") as response:
        assert await response.json() == {"cleared": True}
    assert box.mails() == []
    async with http.get("/mail/1") as response:
        assert response.status == 404


async def test_acting_as_a_follower(box: Sandbox, http: aiohttp.ClientSession) -> None:
    for form in (
        {"act": "follow", "openid": "reader-001"},
        {"act": "say", "openid": "reader-001", "text": "<i>订阅"},
        {"act": "click", "openid": "reader-001", "text": "latest"},
    ):
        async with http.post("/followers", data=form) as response:
            shown = await response.text()
            assert response.status == 200
    assert "说“&lt;i&gt;订阅”" in shown
    assert "客服窗口还可发 5 条" in shown
    async with http.post("/followers", data={"act": "unfollow", "openid": "reader-001"}) as response:
        assert "已取消" in await response.text()
    async with http.post("/followers", data={"act": "say", "openid": "reader-001", "text": "x"}) as response:
        assert response.status == 409
    async with http.post("/followers", data={"act": "follow", "openid": "<script>"}) as response:
        assert response.status == 400


async def test_a_card_is_shown_as_wechat_would(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await box.follow("reader-001")
    box.platform.send_custom(
        {
            "touser": "reader-001",
            "msgtype": "news",
            "news": {"articles": [{"title": "第6期", "description": "要目", "url": "https://x.example/1"}]},
        }
    )
    assert "第6期" in await page(http, "/")
    shown = await page(http, "/cards/1")
    assert 'href="https://x.example/1"' in shown
    async with http.get("/api/cards") as response:
        (row,) = await response.json()
    assert (row["openid"], row["mode"]) == ("reader-001", "custom")
    assert isinstance(row["msgid"], str)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:2580", "127.0.0.1.evil.example", "192.168.1.5", "["]
)
@pytest.mark.parametrize("path", ["/", "/api/mails", "/wechat/cgi-bin/token"])
async def test_another_host_name_sees_nothing(http: aiohttp.ClientSession, host: str, path: str) -> None:
    async with http.get(path, headers={"Host": host}) as response:
        assert response.status == 421


async def test_another_sites_form_does_nothing(box: Sandbox, http: aiohttp.ClientSession) -> None:
    await deliver(box)
    async with http.post("/api/clear", headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403
    async with http.post("/api/clear", headers={"Origin": "null"}) as response:
        assert response.status == 403
    assert len(box.mails()) == 1
    async with http.post("/api/clear", headers={"Origin": box.http_url}) as response:
        assert response.status == 200
