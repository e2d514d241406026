"""The rooms of settings: no secret on any page, what is tried says what went wrong, who may do what."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, open_site, words
from tests.making import DSJ, HandClock, import_csv, readers, test_settings
from tests.ports import free_port

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.letters.models import Letter, LetterKind, LetterState
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.privacy import sweeping
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.scheduling.models import ScheduledRun
from bdnews_dispatch.service.letters import open_letterbox
from bdnews_dispatch.settings import read_settings
from bdnews_dispatch.web.console.settings import mail as mail_room
from bdnews_dispatch.web.console.settings import trying
from bdnews_dispatch.web.keys import SETTINGS

ROOM = "/console/settings"
ROOMS = (
    "",
    "/all",
    "/all?only=changed",
    "/publications",
    "/mail",
    "/wechat",
    "/templates",
    "/templates?form=text",
    "/templates/frame",
    "/retention",
)
TESTS = (
    ("/mail/test", {"which": "relay"}),
    ("/mail/test", {"which": "sandbox"}),
    ("/wechat/test", {"which": "account"}),
    ("/wechat/test", {"which": "sandbox"}),
)


@asynccontextmanager
async def a_sandbox(folder: Path, clock: HandClock) -> AsyncIterator[Sandbox]:
    box = Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=folder / "sandbox",
        clock=clock,
    )
    async with box:
        yield box


@asynccontextmanager
async def a_desk(
    database: Database, clock: HandClock, folder: Path, role: Role = Role.ADMIN, **others: dict[str, Any]
) -> AsyncIterator[Desk]:
    """Somebody at the console of a service with these settings, by group."""
    async with open_site(database, clock, folder, others=others) as site:
        yield await somebody(site, role)


def at(box: Sandbox) -> dict[str, Any]:
    """The relay's settings that lead to the sandbox."""
    host, port = box.smtp_address
    return {"host": host, "port": port, "security": "none"}


def account(box: Sandbox, folder: Path, **changes: Any) -> dict[str, Any]:
    """The account's settings that lead to the stand-in."""
    whole = with_sandbox_account(test_settings(folder)).wechat.model_dump()
    names = ("appid", "template_id", "long_term_template_id", "one_time_template_id", "template_fields")
    secrets = {name: whole[name].get_secret_value() for name in ("secret", "token", "aes_key")}
    return {**{name: whole[name] for name in names}, **secrets, "api_base": box.api_base, **changes}


async def test_no_secret_is_on_any_page(database: Database, clock: HandClock, tmp_path: Path) -> None:
    hush = "Hush7Hush"
    key = f"{hush}{'k' * 34}"
    read = read_settings(
        {},
        overrides={
            "service": {"data_folder": str(tmp_path)},
            "database": {"url": f"postgresql://me:{hush}@127.0.0.1/news?sslpassword={hush}"},
            "security": {"signing_keys": [f"a:{hush}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]},
            "email": {"password": hush, "username": "me", "port": free_port()},
            "mailbox": {"host": "imap.example", "username": "me", "password": hush},
            "operations": {"traces": f"http://me:{hush}@collector.example:4318"},
            "wechat": {
                "appid": "wx0123456789abcdef",
                "secret": hush,
                "token": hush,
                "aes_key": key,
                "aes_key_previous": key,
                "api_base": f"http://127.0.0.1:{free_port()}",
            },
        },
    )
    async with open_site(database, clock, tmp_path, read=read) as site:
        desk = await somebody(site, Role.ADMIN)
        for language in ("", "lang=en"):
            for room in ROOMS:
                path = f"{ROOM}{room}{'&' if '?' in room else '?'}{language}"
                assert hush not in await desk.page(path), path
        for path, form in TESTS:
            answer = await desk.post(f"{ROOM}{path}", form)
            assert (answer.status, hush in await answer.text()) == (200, False), (path, form)
        assert hush not in await desk.page("/console/audit")
        shown = words(await desk.page(f"{ROOM}/all"))
    assert "postgresql://me:***@127.0.0.1/news?sslpassword=***" in shown
    assert "signing_keys" in shown
    assert shown.count("已设置") == 7


async def test_each_setting_says_where_it_comes_from_and_what_to_write(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    own = tmp_path / "bdnews.toml"
    own.write_text("[console]\nundo_seconds = 5\n[imports]\nkeep_days = 3\n", encoding="utf-8")
    environment = {"BDNEWS_CONSOLE__UNDO_SECONDS": "7", "BDNEWS_SERVICE__DATA_FOLDER": str(tmp_path)}
    async with open_site(database, clock, tmp_path, read=read_settings(environment, file=own)) as site:
        desk = await somebody(site, Role.ADMIN)
        page = words(await desk.page(f"{ROOM}/all?only=changed"))
        english = words(await desk.page(f"{ROOM}/all?only=changed&lang=en"))
        found = words(await desk.page(f"{ROOM}/all?q=HOST"))
        nothing = words(await desk.page(f"{ROOM}/all?q=nosuchword"))
        overview = words(await desk.page(ROOM))
    assert re.search(
        r"undo_seconds 在控制台里开始的发送.*可以撤回。 7 环境变量 BDNEWS_CONSOLE__UNDO_SECONDS", page
    )
    assert re.search(r"undo_seconds a dispatch started there, .* 7 Environment BDNEWS_CONSOLE__UNDO", english)
    assert "改这个变量，或去掉它" in page
    assert (
        "写进 bdnews.toml： [console] undo_seconds = 7 或设环境变量： BDNEWS_CONSOLE__UNDO_SECONDS=7" in page
    )
    assert f"keep_days 未导入的行保留多少天，可以下载。 3 文件 {own}" in page
    assert "max_rows" not in page
    assert "smtp_host" in found
    assert "undo_seconds" not in found
    assert "没有这样的设置" in nothing
    assert "控制台 开始发送后多久可以撤回 1/1" in overview
    assert str(own) in overview


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_reads_and_only_admins_try(site: Site, role: Role) -> None:
    desk = await somebody(site, role)
    for room in ROOMS:
        await desk.page(f"{ROOM}{room}")
    may = role is Role.ADMIN
    for room in ("/mail", "/wechat"):
        page = await desk.page(f"{ROOM}{room}")
        assert ("/test" in page, "测试要由管理员来做" in page) == (may, not may)
    if not may:
        for path, form in (*TESTS, ("/mail/letter", {})):
            assert (await desk.post(f"{ROOM}{path}", form)).status == 403
        async with site.database.read() as session:
            assert (await session.exec(select(Letter))).all() == []


async def test_a_relay_that_works_passes_every_step(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    async with a_sandbox(tmp_path, clock) as box, a_desk(database, clock, tmp_path, email=at(box)) as desk:
        page = words(await (await desk.post(f"{ROOM}/mail/test", {"which": "relay"})).text())
        assert "全部通过" in page
        assert re.search(r"✓ 通过 连接 ✓ 通过 问候（EHLO） ✓ 通过 应答（NOOP）", page)
        assert f"127.0.0.1:{box.smtp_address[1]}，明文，未登录" in page
        assert box.mails() == []
        async with desk.site.database.read() as session:
            (entry,) = (
                await session.exec(select(AuditEntry).where(AuditEntry.action == "settings.test_mail"))
            ).all()
        assert (entry.subject, entry.change) == ("mail:relay", {"failed": []})


async def test_a_relay_that_refuses_is_named_with_what_to_do(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    port = free_port()
    async with a_desk(
        database, clock, tmp_path, email={"port": port, "username": "me", "security": "tls"}
    ) as desk:
        page = words(await (await desk.post(f"{ROOM}/mail/test", {"which": "relay"})).text())
        assert (await desk.post(f"{ROOM}/mail/test", {"which": "another"})).status == 400
    assert f"✕ 失败 连接 连不上邮件中继 127.0.0.1:{port} 请检查中继是否在运行" in page
    assert page.count("… 没有做到这一步") == 4
    assert "Traceback" not in page


@pytest.mark.parametrize(
    ("security", "steps"),
    [
        ("starttls", "✓ 通过 连接 ✓ 通过 问候（EHLO） ✕ 失败 加密（TLS）"),
        ("tls", "✓ 通过 连接 ✕ 失败 加密（TLS）"),
    ],
)
async def test_a_step_that_fails_leaves_those_before_it_done(
    database: Database, clock: HandClock, tmp_path: Path, security: str, steps: str
) -> None:
    async with (
        a_sandbox(tmp_path, clock) as box,
        a_desk(database, clock, tmp_path, email=at(box) | {"security": security}) as desk,
    ):
        page = words(await (await desk.post(f"{ROOM}/mail/test", {"which": "relay"})).text())
    assert steps in page
    assert "没有发出任何邮件" in page


async def test_a_relay_that_says_nothing_does_not_hold_the_page(
    database: Database, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_room, "ANSWER_SECONDS", 0.1)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with a_desk(database, clock, tmp_path, email={"port": port}) as desk:
            page = words(await (await desk.post(f"{ROOM}/mail/test", {"which": "relay"})).text())
            monkeypatch.setattr(mail_room, "ANSWER_SECONDS", 60.0)
            monkeypatch.setattr(trying, "PATIENCE_SECONDS", 0.1)
            outwaited = words(await (await desk.post(f"{ROOM}/mail/test", {"which": "relay"})).text())
        for writer in held:
            writer.close()
    assert "✕ 失败 连接 连接邮件中继" in page
    assert "超时" in page
    assert "✕ 失败 连接 0 秒内没有等到答复" in outwaited


async def test_a_letter_to_oneself_goes_the_way_of_letters(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    async with a_sandbox(tmp_path, clock) as box:
        host, port = box.smtp_address
        there = {"smtp_host": host, "smtp_port": port}
        async with a_desk(database, clock, tmp_path, sandbox=there) as desk:
            site = desk.site
            assert "不在发送范围内，会寄到沙箱里" in await desk.page(f"{ROOM}/mail")
            page = words(await desk.done(f"{ROOM}/mail/letter"))
            assert "测试邮件已交给发送进程" in page
            assert "等候寄出" in page
            parts = Parts(site.app[SETTINGS], clock, database, load_publications(), site.links)
            async with open_letterbox(parts) as letterbox:
                assert await letterbox.send_due() == 1
            (mail,) = box.mails()
            assert list(mail.recipients) == ["admin@example.cn"]
            assert mail.subject == "测试信"
            assert "已寄出" in words(await desk.page(f"{ROOM}/mail"))
    async with database.read() as session:
        (letter,) = (await session.exec(select(Letter))).all()
    assert (letter.kind, letter.state) == (LetterKind.NOTICE, LetterState.SENT)


async def test_records_for_dns_hold_the_public_halves(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    files = {}
    for name, key in (
        ("dkim_key", rsa.generate_private_key(65537, 2048)),
        ("dkim_ed25519_key", ed25519.Ed25519PrivateKey.generate()),
    ):
        file = tmp_path / f"{name}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        files[name] = str(file)
    email = {"host": "smtp.example.cn", "from_address": "digest@news.example.cn", **files}
    async with a_desk(database, clock, tmp_path, email=email, returns={"port": 2525}) as desk:
        page = await desk.page(f"{ROOM}/mail")
        Path(files["dkim_key"]).unlink()  # noqa: ASYNC240  # a test
        broken = words(await desk.page(f"{ROOM}/mail"))
    shown = words(page)
    assert "TXT news.example.cn v=spf1 a:smtp.example.cn ~all" in shown
    assert re.search(
        r"TXT bdnews\._domainkey\.news\.example\.cn v=DKIM1; k=rsa; p=MIIB[\w+/=]+ 域名管理", shown
    )
    assert re.search(
        r"TXT bdnews-ed\._domainkey\.news\.example\.cn v=DKIM1; k=ed25519; p=[\w+/]{43}= ", shown
    )
    assert "TXT _dmarc.news.example.cn v=DMARC1; p=none" in shown
    assert "MX news.example.cn 10 news.example." in shown
    assert "PRIVATE" not in page
    assert "读不到 DKIM 私钥文件" in broken
    assert "v=spf1" in broken


async def test_the_account_is_tried_at_the_stand_in(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    async with (
        a_sandbox(tmp_path, clock) as box,
        a_desk(database, clock, tmp_path, wechat=account(box, tmp_path)) as desk,
    ):
        page = words(await (await desk.post(f"{ROOM}/wechat/test", {"which": "account"})).text())
        assert "全部通过" in page
        assert "access_token 正常" in page
        assert re.search(r"message/template/send \d+ \d+", page)
        assert "access_token 有效 至" in page
        assert (await desk.post(f"{ROOM}/wechat/test", {"which": "x"})).status == 400
        assert "<td>试连公众号</td>" in await desk.page("/console/audit")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"secret": "wrong-secret"},
            r"✕ 失败 取得令牌 微信返回 40125.*AppSecret.*… 没有做到这一步 用令牌问一次",
        ),
        ({"appid": "wx0000000000000000"}, r"✕ 失败 取得令牌 微信返回 40013.*wechat\.appid 不对"),
        (
            {"template_id": ""},
            r"✓ 通过 用令牌问一次.*✕ 失败 核对模板消息的模板 没有设置模板编号 请填写 wechat\.template_id",
        ),
        (
            {"api_base": "http://127.0.0.1:9"},
            r"✕ 失败 取得令牌 连不上微信的服务器 请检查网络与 wechat\.api_base",
        ),
    ],
)
async def test_what_is_wrong_with_the_account_is_said_in_words(
    database: Database, clock: HandClock, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    async with (
        a_sandbox(tmp_path, clock) as box,
        a_desk(database, clock, tmp_path, wechat=account(box, tmp_path, **changes)) as desk,
    ):
        text = await (await desk.post(f"{ROOM}/wechat/test", {"which": "account"})).text()
    assert re.search(said, words(text)), words(text)
    assert "wrong-secret" not in text


async def test_modes_say_what_they_need(database: Database, clock: HandClock, tmp_path: Path) -> None:
    wechat = {"appid": "wx0123456789abcdef", "modes": ["subscribe_once", "custom"]}
    async with a_desk(database, clock, tmp_path, wechat=wechat) as desk:
        page = words(await desk.page(f"{ROOM}/wechat"))
    assert re.search(
        r"1 一次性订阅通知 subscribe_once .* 不可用 没有设置 wechat\.one_time_template_id 2 客服消息", page
    )
    assert re.search(r"客服消息 custom [^。]* 就绪", page)
    assert "群发 mass 前几种都不可用的关注者；用掉每人每月四条之一 没有选用" in page
    assert "access_token 还没有取过" in page
    assert "最新一期 → “最新”" in page


async def test_without_an_account_only_the_sandbox_can_be_tried(site: Site) -> None:
    desk = await somebody(site, Role.ADMIN)
    assert 'value="account"' not in await desk.page(f"{ROOM}/wechat")
    assert (await desk.post(f"{ROOM}/wechat/test", {"which": "account"})).status == 400


async def test_readers_of_each_section_are_counted(desk: Desk) -> None:
    site = desk.site
    csv = readers(31) + b"whole@readers.example,,,*,email,issue\n"
    await import_csv(site.database, site.clock, DSJ, csv)
    page = words(await desk.page(f"{ROOM}/publications"))
    assert "读整期的 1 人" in page or "读整期的 2 人" in page
    assert re.search(r"国策要论 National Policy policy [^ ]+ 1[56]", page)
    assert "10 篇文章" in page
    assert "weekly" in page
    assert "layout.cover.title_pattern 大数据发展动态" in page


async def test_every_template_is_shown_as_readers_would_see_it(desk: Desk) -> None:
    room = f"{ROOM}/templates"
    page = await desk.page(room)
    assert 'sandbox=""' in page
    assert "frame-src 'self'" in (await desk.get(room)).headers["Content-Security-Policy"]
    framed = await desk.get(f"{room}/frame?scheme=dark")
    assert "sandbox allow-popups" in framed.headers["Content-Security-Policy"]
    digest = await framed.text()
    assert "国策要论" in digest
    assert "@media all" in digest
    assert "data:image/png;base64," in digest
    assert "qr.png" not in digest
    assert "prefers-color-scheme" not in digest
    assert "National Policy" in await desk.page(f"{room}/frame?language=en")
    assert "风险提示" in await desk.page(f"{room}/frame?template=bulletin")
    assert "会议通知" in await desk.page(f"{room}/frame?template=bulletin&sample=meeting")
    seen = set()
    for kind in ("subscribe", "subscribe_again", "new_address", "old_address", "export", "erase", "notice"):
        seen.add(await desk.page(f"{room}/frame?template=letter&sample={kind}"))
        assert "测试" not in await desk.page(f"{room}?template=letter&sample={kind}&form=text")
    assert len(seen) == 7
    assert "templates/email/letter/body.html" in await desk.page(f"{room}?template=letter")
    assert "国策要论" in await desk.page(f"{room}/frame?template=%3Cscript%3E&sample=x&width=9")


async def test_retention_says_what_is_due_without_reading_it_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, now = desk.site, desk.site.clock()
    old = now - timedelta(days=200)
    async with site.database.write() as session:
        for n in range(3):
            key = f"old:{n}"
            session.add(Event(name="x.y", key=key, payload={}, created_at=old, handled_at=old))
        for n, at in enumerate((now, old, old, now)):
            letter: dict[str, Any] = {
                "kind": LetterKind.NOTICE,
                "publication": "dsj",
                "email": "a@example.cn",
            }
            session.add(
                Letter(**letter, key=f"k{n}", state=LetterState.SENT, due_at=at, created_at=at, sent_at=at)
            )
            await session.flush()
    page = words(await desk.page(f"{ROOM}/retention"))
    assert re.search(r"处理完的事件 90 天 3 ", page)
    assert re.search(r"已寄出或未能寄出的信 90 天 2 ", page)
    assert re.search(r"打开与点击 400 天 0 ", page)
    assert "上次清理 还没有过" in page
    for glance, events, letters in ((2, "至少 2", "至少 2"), (3, "3", "至少 2"), (1, "至少 1", "至少 1")):
        monkeypatch.setattr(sweeping, "GLANCE", glance)
        page = words(await desk.page(f"{ROOM}/retention"))
        assert f"处理完的事件 90 天 {events} " in page
        assert f"已寄出或未能寄出的信 90 天 {letters} " in page
    async with site.database.write() as session:
        session.add(ScheduledRun(timetable="retention", due_at=old, ran_at=old))
    assert "错过了一次" in await desk.page(f"{ROOM}/retention")
    async with site.database.read() as session:
        assert len((await session.exec(select(Event).where(Event.name == "x.y"))).all()) == 3
