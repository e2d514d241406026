"""What programs do by the JSON API, as the log's page tells it: what was decided, in words, and nobody's address."""

import re
from html import unescape
from typing import Any

import pytest
from sqlmodel import col, select, update
from tests.integration.web.api.conftest import Api, token_for
from tests.integration.web.console.conftest import Desk
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState

RULE = {"field": "sections", "any_of": ["policy"]}
DRAFT = {"title": "系统升级", "body": "今晚。", "sections": ["policy"], "lists": ["会场"]}
#: Method, path, body; what the page says of it: action, subject, changes.
CALLS: list[tuple[str, str, Any, str, str, list[str]]] = [
    ("POST", "/lists", {"name": "会场"}, "保存名单", "名单“会场”", ["公开：否"]),
    ("PATCH", "/lists/会场", {"public": True}, "保存名单", "名单“会场”", ["公开：是"]),
    (
        "POST",
        "/subscribers",
        {"email": "chen@readers.example", "name": "陈薇", "sections": ["policy"], "evidence": "来电"},
        "添加订阅者",
        "订阅者 3",
        ["结果：新增", "刊物：大数据发展动态", "重新订阅：否"],
    ),
    ("GET", "/subscribers/3/copy", None, "取得本人数据的副本", "订阅者 3", []),
    ("PUT", "/subscribers/3/tags/专家", None, "加标签", "订阅者 3", ["标签：专家"]),
    ("DELETE", "/subscribers/3/tags/专家", None, "去掉标签", "订阅者 3", ["标签：专家"]),
    (
        "PUT",
        "/subscribers/3/attributes/单位",
        {"value": "信息中心"},
        "写一项其他信息",
        "订阅者 3",
        ["哪一项信息：单位"],
    ),
    ("PUT", "/lists/会场/members/3", None, "加入名单", "名单“会场”", ["哪位订阅者：3"]),
    ("DELETE", "/lists/会场/members/3", None, "移出名单", "名单“会场”", ["哪位订阅者：3"]),
    (
        "POST",
        "/subscribers/3/unsubscribe",
        {"reason": "来电"},
        "替人退订",
        "订阅者 3",
        ["刊物：大数据发展动态"],
    ),
    (
        "POST",
        "/suppressions",
        {"target": "x@readers.example", "note": "来电"},
        "停发一个地址",
        "",
        ["渠道：邮件"],
    ),
    (
        "PUT",
        "/segments/读政策的",
        {"rule": RULE},
        "保存细分",
        "细分“读政策的”",
        ["规则：下面每一条都符合：读栏目：其中之一 国策要论"],
    ),
    (
        "POST",
        "/webhooks",
        {"url": "https://hooks.example.com/geheim", "names": ["issue.published"]},
        "添加推送",
        "推送 1",
        ["事件：issue.published"],
    ),
    ("POST", "/webhooks/1/switch", {"on": False}, "启用或停用推送", "推送 1", ["是否启用：否"]),
    (
        "POST",
        "/deliveries/{uncertain}/resolve",
        {"decision": "resend"},
        "决定存疑的投递",
        "投递 {uncertain}",
        ["决定：重发一次"],
    ),
    (
        "POST",
        "/dispatches/1/resolve",
        {"decision": "failed"},
        "决定存疑的投递",
        "总第112期《大数据发展动态》",
        ["决定：视为失败", "份数：1"],
    ),
    ("POST", "/issues/dsj/112/withdraw", None, "撤回一期", "总第112期", []),
    (
        "POST",
        "/drafts",
        DRAFT,
        "写一则快讯",
        "系统升级",
        [
            "标题：系统升级",
            "正文字数：3",
            "紧急：否",
            "广告：否",
            "栏目：国策要论",
            "发给： 名单：会场",
            "版本：1",
        ],
    ),
    (
        "PUT",
        "/drafts/1",
        {**DRAFT, "ad": True, "version": 1},
        "改快讯",
        "系统升级",
        ["广告：否 → 是", "版本：1 → 2"],
    ),
    ("POST", "/drafts/1/ask", None, "送审", "系统升级", []),
    ("POST", "/drafts/1/return", {"words": "写明几点"}, "退回快讯", "系统升级", ["说明：写明几点"]),
    ("POST", "/drafts/1/send", None, "发送快讯", "系统升级", ["版本：2", "发送任务的编号：2", "开始：…"]),
    (
        "POST",
        "/bulletins",
        {"title": "通知", "body": "一句话。"},
        "发送快讯",
        "通知",
        [
            "标题：通知",
            "正文字数：4",
            "紧急：否",
            "广告：否",
            "发给：全部订阅者",
            "发送任务的编号：3",
        ],
    ),
]


def told(page: str) -> list[tuple[str, str, list[str]]]:
    """Action, subject and changes, the oldest first."""
    rows = []
    for row in re.findall(r"<tr><td>.*?</tr>", page):
        _, actor, action, subject, change, _ = re.findall(r"<td>(.*?)</td>", row)
        if "测试" in actor:
            changes = [_plain(one) for one in re.findall(r"<li>(.*?)</li>", change)]
            rows.append((_plain(action), _plain(subject), changes))
    return rows[::-1]


def _plain(html: str) -> str:
    """Words alone, and no time."""
    words = unescape(re.sub(r"<[^>]+>", "", html))
    return re.sub(r"(开始：).+", r"\1…", words)


@pytest.fixture
async def uncertain(sent: list[Delivery], site: Site) -> int:
    """One of two that nobody knows of."""
    ids = [delivery.id for delivery in sent[:2]]
    async with site.database.write() as session:
        await session.exec(
            update(Delivery).where(col(Delivery.id).in_(ids)).values(state=DeliveryState.UNCERTAIN)
        )
    return ids[0] or 0


async def test_the_page_says_what_a_program_decided(desk: Desk, site: Site, uncertain: int) -> None:
    api = Api(site, await token_for(site, list(Right)))
    expected = []
    for method, path, body, action, subject, changes in CALLS:
        status, answer = await api.call(method, path.format(uncertain=uncertain), body)
        assert status < 300, (path, answer)
        expected.append((action, subject.format(uncertain=uncertain), changes))
    page = await desk.page("/console/audit")
    assert told(page) == expected
    async with site.database.read() as session:
        entries = await session.exec(select(AuditEntry).where(col(AuditEntry.action).startswith("api.")))
        kept = "".join(entry.model_dump_json() for entry in entries)
    for hush in ("readers.example", "陈薇", "信息中心", "geheim", "今晚"):
        assert hush not in kept
        assert hush not in page


async def test_it_says_so_in_english(desk: Desk, site: Site, uncertain: int) -> None:
    api = Api(site, await token_for(site, list(Right)))
    for method, path, body, *_ in CALLS:
        await api.call(method, path.format(uncertain=uncertain), body)
    page = await desk.page("/console/audit?lang=en")
    rows = told(page)
    assert len(rows) == len(CALLS)
    assert (rows[7][0], rows[7][2]) == ("Add to a list", ["Subscriber: 3"])
    ours = {
        "国策要论",
        "《大数据发展动态》",
        "会场",
        "专家",
        "单位",
        "读政策的",
        "系统升级",
        "写明几点",
        "通知",
        "总第112期",
    }
    for action, subject, changes in rows:
        left = " ".join([action, subject, *changes])
        for word in ours:
            left = left.replace(word, "")
        assert not re.search(r"[\u4e00-\u9fff]", left), (action, subject, changes)


async def test_an_import_tells_how_and_onto_which_list(desk: Desk, site: Site) -> None:
    api = Api(site, await token_for(site, list(Right)))
    headers = {"Content-Type": "application/octet-stream"}
    await api.ask("POST", "/imports?file_name=a.csv", headers=headers, data=b"email\na@readers.example\n")
    start = {"mode": "add", "basis": "会场登记", "list_name": "参会者"}
    assert (await api.call("POST", "/imports/1/start", start))[0] == 200
    assert told(await desk.page("/console/audit")) == [
        ("上传名单文件", "a.csv", []),
        ("开始导入", "a.csv", ["方式：只添加新人", "名单：参会者"]),
    ]


async def test_a_draft_of_a_program_names_its_token(desk: Desk, site: Site) -> None:
    api = Api(site, await token_for(site, list(Right)))
    await api.call("POST", "/drafts", {"title": "通知", "body": "一句话。"})
    assert "令牌“测试”" in await desk.page("/console/bulletins")
    assert "令牌“测试”" in await desk.page("/console/bulletins/1")
