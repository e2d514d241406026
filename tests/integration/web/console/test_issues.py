"""An issue in the console: warnings beside the source, corrections in place and undone, previews, a test to oneself."""

import re
from typing import Any

import pytest
from sqlmodel import select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import PEOPLE, Site, words
from tests.making import DSJ, document, import_csv

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.digests.inline import plain
from bdnews_dispatch.digests.link_check import wrong_with
from bdnews_dispatch.issues.document import IssueDocument, Warning_
from bdnews_dispatch.issues.intake import current_revision, take
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.web.keys import SETTINGS

ROOM = "/console/issues"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def warned() -> IssueDocument:
    one = Warning_(line=3, code="contents.not_found", message="目录中有而正文中没有")
    return document().model_copy(update={"warnings": (one,)})


@pytest.fixture
async def issue(site: Site) -> Issue:
    async with site.database.write() as session:
        taken = await take(
            session,
            site.clock,
            warned(),
            source_name="t.md",
            source="一\n二\n第三行 <b>原文</b>\n四\n".encode(),
            publish_now=False,
        )
    return taken.issue


async def now(site: Site) -> IssueDocument:
    async with site.database.read() as session:
        found = (await session.exec(select(Issue))).one()
        return IssueDocument.model_validate((await current_revision(session, found)).document)


def titles(read: IssueDocument) -> list[list[str]]:
    return [[article.title for article in section.articles] for section in read.sections]


async def test_corrected_in_place_and_undone_one_by_one(desk: Desk, issue: Issue) -> None:
    site, came = desk.site, titles(warned())
    page = await desk.page(f"{ROOM}/{issue.id}")
    assert "第三行 &lt;b&gt;原文" in page
    assert "contents.not_found" in page
    first: dict[str, Any] = {
        "revision": 1,
        "title": "改过的题目",
        "source": "新华社",
        "note": "编者按的一句话。",
        "section": "policy",
        "before": "stay",
    }
    assert "已更改" in words(await desk.done(f"{ROOM}/{issue.id}/articles/1", first))
    assert "没有需要更改的" in words(await desk.done(f"{ROOM}/{issue.id}/articles/1", first))
    assert (await now(site)).sections[0].articles[0].source == "新华社"
    moved = {**first, "section": "local", "before": "4"}
    await desk.done(f"{ROOM}/{issue.id}/articles/1", moved)
    assert titles(await now(site))[1] == [came[1][0], "改过的题目", came[1][1]]
    async with site.database.write() as session:
        again = await take(session, site.clock, warned(), source_name="t.md", source=b"", publish_now=False)
    assert again.intake == "same", "the same file takes no correction back"
    page = words(await desk.done(f"{ROOM}/{issue.id}/undo", {"edit": 1}))
    assert "其余更改保留" in page
    read = await now(site)
    assert titles(read)[1] == [came[1][0], came[0][0], came[1][1]]
    assert read.sections[1].articles[1].source == "新华社"
    assert (await desk.post(f"{ROOM}/{issue.id}/undo", {"edit": 1})).status == 409
    for edit in (2, 3):
        await desk.done(f"{ROOM}/{issue.id}/undo", {"edit": edit})
    assert titles(await now(site)) == came
    log = await desk.page("/console/audit")
    assert "<td>更正一期</td>" in log
    assert "<td>撤销一处更正</td>" in log


async def heading(site: Site, path: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", await (await site.client.get(path)).text())
    return found[1] if found else ""


async def test_what_is_left_out_is_gone_and_the_others_keep_their_addresses(desk: Desk) -> None:
    """Mails that are out name an article by its number."""
    site, came = desk.site, titles(document())
    issue = await site.publish()
    path, form = f"{ROOM}/{issue.id}", {"revision": 1, "title": "", "source": "", "note": ""}
    page = words(await desk.done(f"{path}/articles/1", {**form, "do": "omit"}))
    assert "本期不收" in page
    assert titles(await now(site))[0] == came[0][1:]
    await desk.done(f"{path}/articles/4", {**form, "title": came[1][1], "section": "policy", "before": "2"})
    assert titles(await now(site))[0] == [came[1][1], came[0][1]]
    public = "/issues/dsj/112"
    assert (await site.client.get(f"{public}/1")).status == 404
    assert (await site.client.get(f"{public}/1/qr.png")).status == 404
    for place, title in ((2, came[0][1]), (3, came[1][0]), (4, came[1][1])):
        assert await heading(site, f"{public}/{place}") == plain(title)
        assert (await site.client.get(f"{public}/{place}/qr.png")).status == 200
    assert f'rel="next" href="{public}/2"' in await (await site.client.get(f"{public}/4")).text()
    await desk.done(f"{path}/undo", {"edit": 1})
    assert await heading(site, f"{public}/1") == plain(came[0][0])


async def test_one_article_stays(desk: Desk, issue: Issue) -> None:
    form = {"revision": 1, "title": "", "source": "", "note": "", "do": "omit"}
    all_places = range(1, sum(len(section) for section in titles(warned())) + 1)
    for place in all_places[:-1]:
        await desk.done(f"{ROOM}/{issue.id}/articles/{place}", form)
    refused = await desk.post(f"{ROOM}/{issue.id}/articles/{all_places[-1]}", form)
    assert (refused.status, "至少要留一篇文章" in await refused.text()) == (409, True)
    assert sum(len(section) for section in titles(await now(desk.site))) == 1


async def test_a_warning_is_checked_and_what_is_wrong_is_refused(desk: Desk, issue: Issue) -> None:
    form = {"revision": 1, "line": 3, "code": "contents.not_found"}
    assert "没有要核对的" in words(await desk.done(f"{ROOM}/{issue.id}/check", form))
    assert (await desk.post(f"{ROOM}/{issue.id}/check", {**form, "line": 4})).status == 409
    article = {"revision": 1, "title": "", "source": "", "note": "", "section": "policy", "before": "stay"}
    assert "题目不能是空的" in await (await desk.post(f"{ROOM}/{issue.id}/articles/1", article)).text()
    for wrong in ({"section": "none"}, {"before": "99"}, {"before": "1"}, {"revision": 7}):
        refused = await desk.post(f"{ROOM}/{issue.id}/articles/1", {**article, "title": "x", **wrong})
        assert refused.status == 409, wrong
    assert (await desk.post(f"{ROOM}/{issue.id}/articles/99", article)).status == 409
    assert titles(await now(desk.site)) == titles(warned()), "nothing of it was kept"


async def test_a_preview_offers_the_sections_of_its_own_publication(desk: Desk) -> None:
    issue = await desk.site.publish(document(total=7).model_copy(update={"publication": "weekly"}))
    page = await desk.page(f"{ROOM}/{issue.id}/preview?section=cover")
    assert re.findall(r'name="section" value="(\w+)" checked', page) == ["cover"]
    assert 'value="policy"' not in page


async def test_previewed_for_a_set_and_for_a_person_and_sent_to_oneself(desk: Desk, issue: Issue) -> None:
    site = desk.site
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name=None, origin_name="t.csv")
    page = words(await desk.page(f"{ROOM}/{issue.id}/preview?section=policy"))
    assert "不会被 Gmail 折起" in page
    frame = await desk.get(f"{ROOM}/{issue.id}/frame?section=policy&scheme=dark")
    text = await frame.text()
    assert "policy-1" in text
    assert "local-1" not in text
    assert "@media all" in text
    assert "/qr.png" not in text, "an address that answers once it is published"
    assert 'src="data:image/png;base64,' in text
    policy = frame.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    assert "frame-src 'self'" in (await desk.get(f"{ROOM}/{issue.id}")).headers["Content-Security-Policy"]
    theirs = await desk.page(f"{ROOM}/{issue.id}/preview?subscriber=2&form=text")
    assert "industry-1" in theirs
    assert "policy-1" not in theirs
    assert "没有这位订阅者" in await desk.page(f"{ROOM}/{issue.id}/preview?subscriber=99")
    assert "policy-1" in await desk.page(f"{ROOM}/{issue.id}/preview?form=card")
    assert "已交给发送进程" in words(await desk.done(f"{ROOM}/{issue.id}/test", {"section": "policy"}))
    async with site.database.read() as session:
        letter = (await session.exec(select(Letter))).one()
    assert (letter.kind, letter.email) == (LetterKind.TEST, "admin@example.cn")
    assert letter.data["subject"].startswith("【测试】")
    analyst = await somebody(site, Role.ANALYST)
    assert (await analyst.post(f"{ROOM}/{issue.id}/test")).status == 403
    assert "没有这位订阅者" in await analyst.page(f"{ROOM}/{issue.id}/preview?subscriber=2")


async def test_taken_back_and_shown_again(desk: Desk) -> None:
    issue = await desk.site.publish()
    page = words(await desk.done(f"{ROOM}/{issue.id}/state", {"do": "withdraw"}))
    assert "已撤回" in page
    assert "已重新发布" in words(await desk.done(f"{ROOM}/{issue.id}/state", {"do": "publish"}))
    assert (await desk.post(f"{ROOM}/{issue.id}/state", {"do": "publish"})).status == 404


async def test_nothing_that_an_editor_or_a_file_brings_is_run(desk: Desk, issue: Issue) -> None:
    form = {
        "revision": 1, "title": EVIL, "source": EVIL, "note": EVIL, "section": "policy", "before": "stay",
    }  # fmt: skip
    await desk.done(f"{ROOM}/{issue.id}/articles/1", form)
    for path in (
        f"{ROOM}/{issue.id}",
        f"{ROOM}/{issue.id}/frame",
        f"{ROOM}/{issue.id}/preview?form=text",
        f"{ROOM}/{issue.id}/preview?form=card",
        f"/console/dispatches/new?issue={issue.id}",
        "/console/audit",
    ):
        page = await desk.page(path)
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("https://news.example.cn/a?b=1", ""),
        ("http://news.example.cn/", "plain"),
        ("https://news.example.cn/a。", "sentence"),
        ("https://10.0.0.1/", "private"),
        ("https://intranet/", "private"),
        ("ftp://news.example.cn/", "broken"),
        ("https://news.example.cn:x/", "broken"),
        ("https://news.example.cn/" + "a" * 3000, "long"),
    ],
)
def test_what_can_be_said_of_a_link(url: str, wrong: str) -> None:
    assert wrong_with(url) == wrong


async def test_the_page_says_how_an_issue_gets_in(site: Site, desk: Desk) -> None:
    told = words(await desk.page(ROOM))
    assert str(site.app[SETTINGS].issues.folder) in told
    assert "还没有任何一期" in told
    analyst = await somebody(site, Role.ANALYST)
    assert "新的一期" not in await analyst.page(ROOM)
