"""What an admin does in a day: people, lists, segments, suppressions, imports; all of it in the audit log."""

import json
import re
from urllib.parse import urlencode

from aiohttp import FormData
from sqlmodel import select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.models import Subscriber, Subscription
from bdnews_dispatch.web.keys import PUBLICATIONS

CHEN = {"email": "chen@readers.example", "name": "陈薇", "section": ["policy"], "evidence": "来电要求订阅"}


async def test_a_person_added_found_looked_at_and_ended(desk: Desk) -> None:
    assert "还没有订阅者" in words(await desk.page("/console/subscribers"))
    missing = await desk.post("/console/subscribers/new", {**CHEN, "evidence": ""})
    assert missing.status == 422
    assert "请写明依据" in await missing.text()
    assert 'value="陈薇"' in await missing.text(), "nothing that was typed is lost"
    page = words(await desk.done("/console/subscribers/new", CHEN))
    assert "已添加" in page
    assert "国策要论" in page
    assert "来电要求订阅" in page
    for query in ("q=chen@", "q=陈", "q=1", "q=CHEN@readers.example"):
        assert "陈薇" in await desk.page(f"/console/subscribers?{query}"), query
    assert "没有符合的订阅者" in words(await desk.page("/console/subscribers?q=nobody"))
    assert "标签已更改" in words(await desk.done("/console/subscribers/1/tag", {"tag": "专家"}))
    assert "陈薇" in await desk.page("/console/subscribers?tag=专家")
    assert "标签已更改" in words(await desk.done("/console/subscribers/1/untag", {"tag": "专家"}))
    await desk.done("/console/lists", {"name": "会场", "description": "登记的人", "public": "1"})
    assert "已加入名单" in words(await desk.done("/console/subscribers/1/join", {"list": "会场"}))
    assert "陈薇" in await desk.page("/console/subscribers?list=会场")
    assert "已移出名单" in words(await desk.done("/console/subscribers/1/leave", {"list": "会场"}))
    refused = await desk.post("/console/subscribers/1/suppress", {"channel": "email", "note": ""})
    assert refused.status == 422
    stopped = words(await desk.done("/console/subscribers/1/suppress", {"channel": "email", "note": "来电"}))
    assert "解除停发" in stopped
    assert "chen@readers.example" in await desk.page("/console/suppressions")
    assert "已解除停发" in words(
        await desk.done("/console/subscribers/1/lift", {"channel": "email", "note": "弄错了"})
    )
    left = words(
        await desk.done("/console/subscribers/1/unsubscribe", {"publication": "dsj", "reason": "来电要求"})
    )
    assert "没有订阅" in left
    again = await desk.post("/console/subscribers/new", CHEN)
    assert again.status == 422, "who has left stays away"
    assert "已退订" in await again.text()
    assert "已添加" in words(await desk.done("/console/subscribers/new", {**CHEN, "resubscribe": "1"}))


async def test_their_own_data(desk: Desk) -> None:
    await desk.done("/console/subscribers/new", CHEN)
    copy = await desk.post("/console/subscribers/1/copy")
    assert json.loads(await copy.text())["person"]["name"] == "陈薇"
    assert "attachment" in copy.headers["Content-Disposition"]
    assert copy.headers["Cache-Control"] == "no-store"
    careless = await desk.post("/console/subscribers/1/erase", {"confirm": "好"})
    assert careless.status == 422
    assert "没有删除任何内容" in await careless.text()
    assert "陈薇" in await desk.page("/console/subscribers/1")
    gone = await desk.done("/console/subscribers/1/erase", {"confirm": "删除"})
    assert "陈薇" not in gone
    assert "chen@readers.example" not in gone
    log = await desk.page("/console/audit")
    assert "<td>删除本人的数据</td>" in log
    assert "chen@" not in log


async def test_what_was_sent_to_a_person_is_seen(desk: Desk, sent: list[Delivery]) -> None:
    page = words(await desk.page(f"/console/subscribers/{sent[0].subscriber_id}"))
    assert "共 1 份" in page
    assert "已发出" in page
    assert "总第" in page


async def test_segments_are_counted_saved_and_removed(desk: Desk) -> None:
    await desk.done("/console/subscribers/new", CHEN)
    form = {"name": "读政策的", "rule": '{"field": "sections", "any_of": ["policy"]}'}
    counted = await desk.post("/console/segments", {**form, "do": "count"})
    assert counted.status == 200
    assert "现在有 1 人符合" in words(await counted.text())
    assert "读政策的" not in await desk.page("/console/segments")
    assert "读政策的" in await desk.done("/console/segments", {**form, "do": "save"})
    assert "policy" in await desk.page("/console/segments?name=读政策的")
    for rule in ("nonsense", '{"field": "sql", "any_of": ["1"]}', "[" * 30_000):
        bad = await desk.post("/console/segments", {"name": "坏", "rule": rule, "do": "save"})
        assert bad.status in {413, 422}, rule[:20]
    assert "已删除" in words(await desk.done("/console/segments/remove", {"name": "读政策的"}))


async def test_an_import_is_checked_corrected_and_run(desk: Desk, site: Site) -> None:
    upload = FormData(quote_fields=False)  # as browsers do
    upload.add_field("csrf", await desk.csrf())
    file = "邮箱地址,称呼,备注\nlin@readers.example,林,甲\nnonsense,错,乙\n".encode("gb18030")
    upload.add_field("file", file, filename="参会者.csv")
    brought = await desk.client.post("/console/imports", data=upload, allow_redirects=False)
    assert brought.status == 303
    path = brought.headers["Location"]
    page = await desk.page(path)
    assert "参会者.csv" in page
    assert '<option value="email" selected>' in page
    form = {"column:邮箱地址": "email", "column:称呼": "name", "column:备注": "attr:备注", "mode": "update"}
    checked = await desk.post(f"{path}/start", {**form, "do": "check"})
    said = words(await checked.text())
    assert "将新增 1" in said
    assert "第 3 行" in said
    refused = await desk.post(f"{path}/start", {**form, "do": "start"})
    assert refused.status == 422
    assert "没有写明依据" in await refused.text()
    begun = await desk.post(f"{path}/start", {**form, "do": "start", "basis": "会场登记", "list": "参会者"})
    assert begun.status == 303
    going = await desk.get(path)
    assert going.headers["Refresh"]
    assert "<progress" in await going.text()
    importer = Importer(site.database, site.clock, site.app[PUBLICATIONS], site.links.signer)
    while await importer.run_slice(1):
        pass
    done = await desk.get(path)
    assert "Refresh" not in done.headers
    assert "新增 1" in words(await done.text())
    result = await desk.get(f"{path}/result")
    assert "nonsense,错,乙,3," in (await result.read()).decode("utf-8-sig")
    assert "import.result" in await desk.page("/console/audit"), "who took names and addresses away"
    async with site.database.read() as session:
        assert (await session.exec(select(Subscriber.email))).all() == ["lin@readers.example"]
        assert (await session.exec(select(Subscription.consent))).all() != [""]
    assert "备注" in await desk.page("/console/subscribers/1")
    empty = FormData()
    empty.add_field("csrf", await desk.csrf())
    empty.add_field("other", "x")
    empty.add_field("file", b"", filename="")
    nothing = await desk.client.post("/console/imports", data=empty, allow_redirects=False)
    assert nothing.status == 422
    assert "没有选文件" in await nothing.text()


async def test_pages_of_many(desk: Desk, site: Site) -> None:
    async with site.database.write() as session:
        session.add_all(
            Subscriber(
                email=f"r{n}@readers.example", email_key=f"r{n}@readers.example", created_at=site.clock()
            )
            for n in range(120)
        )
    seen, path = 0, "/console/subscribers?q=r"
    while path:
        page = await desk.page(path)
        seen += page.count("@readers.example</a>")
        path = (
            page.partition('<p><a href="')[2].partition('"')[0].replace("&amp;", "&")
            if "下一页" in page
            else ""
        )
    assert seen == 120


async def test_who_only_reads_sees_no_buttons(site: Site) -> None:
    editor = await somebody(site, Role.EDITOR)
    async with site.database.write() as session:
        session.add(
            Subscriber(email="a@readers.example", email_key="a@readers.example", created_at=site.clock())
        )
    for path in (
        "/console/subscribers",
        "/console/subscribers/1",
        "/console/lists",
        "/console/segments",
        "/console/imports",
        "/console/suppressions",
    ):
        page = await editor.page(path)
        assert page.count('method="post"') == 2, (path, "language and signing out alone")
        assert "/console/audit" not in page


async def test_the_log_holds(desk: Desk) -> None:
    await desk.done("/console/subscribers/new", CHEN)
    await desk.done("/console/suppressions", {"target": "x@readers.example", "note": "来电", "do": "add"})
    await desk.done("/console/suppressions", {"target": "x@readers.example", "note": "弄错", "do": "lift"})
    page = await desk.page("/console/audit")
    for words_ in ("添加订阅者", "停发一个地址", "解除一个地址的停发", "登录"):
        assert f"<td>{words_}</td>" in page
    assert "readers.example" not in page
    async with desk.site.database.read() as session:
        _, broken, _ = await audit.verify(session)
    assert broken is None


async def test_it_speaks_english(desk: Desk) -> None:
    page = await desk.page("/console/subscribers?lang=en")
    assert "Subscribers" in page
    assert 'lang="en"' in page


async def test_what_is_refused_is_told_in_the_pages_language(desk: Desk) -> None:
    """With the values of the message; no hint begins with a command."""
    for language, said in (
        ("", ["名单的名称应为 1–100 个字"]),
        ("?lang=en", ["A list’s name has 1–100 characters"]),
    ):
        answer = await desk.post(f"/console/lists{language}", {"name": "a/b"})
        page = words(await answer.text())
        assert all(one in page for one in said), page
    form = {"name": "x", "do": "count", "g0": "all", "r0.group": "0", "r0.kind": "joined:within_days"}
    answer = await desk.post("/console/segments?lang=en", {**form, "r0.value": "<b>soon"})
    page = await answer.text()
    assert "Row 1: “&lt;b&gt;soon” is no number of days" in page
    assert "Write a number from 1 to 3660." in page
    answer = await desk.post(
        "/console/bulletins/new?lang=en", {"title": "", "body": "", "publication": "dsj"}
    )
    assert "A bulletin needs a headline and a text" in await answer.text()


async def test_the_search_says_who_may_be_meant(desk: Desk) -> None:
    rows = "".join(f"r{n:02}@readers.example,林{n:02},oReader{n:02}\n" for n in range(12))
    await import_csv(
        desk.site.database,
        desk.site.clock,
        DSJ,
        f"email,name,openid\n{rows}100%@readers.example,%,\n".encode(),
        list_name=None,
        origin_name="t.csv",
    )

    async def found(words: str) -> list[str]:
        part = await desk.page(f"/console/subscribers/find?{urlencode({'q': words})}")
        assert "<html" not in part
        return re.findall(r"<b>([^<]+)</b>", part)

    assert await found("R0") == [f"林{n:02}" for n in range(8)], "eight at most, by letter, in any case"
    assert await found("林1") == ["林10", "林11"]
    assert await found("oReader03") == ["林03"]
    assert await found("2") == ["林01"], "by number"
    assert await found("100%") == ["%"]
    assert await found("%") == ["%"], "a sign, no pattern"
    assert await found("_") == await found("  ") == await found("nobody") == []
