"""What everybody may read."""

import datetime as dt
from typing import Any

import pytest
from tests.integration.web.readers_site import Site, words
from tests.making import document
from tests.zipping import issue_with_picture

from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import load_publications


def golden() -> IssueDocument:
    """An issue that holds every kind of block, and words that mean harm."""
    kinds: dict[BlockType, dict[str, Any]] = {
        BlockType.HEADING: {"text": "一、小标题", "level": 2},
        BlockType.PARAGRAPH: {
            "text": "**要点**见[附件](https://source.example/a?b=1&c=2)<script>alert(1)</script>"
        },
        BlockType.LIST: {"text": "- 甲\n- 乙", "items": ("甲项", "乙项")},
        BlockType.TABLE: {"text": "", "rows": (("项目", "数值"), ("甲", "1"))},
        BlockType.QUOTE: {"text": "引文第一行\n引文第二行"},
        BlockType.CODE: {"text": "if a < b: pass"},
        BlockType.IMAGE: {"text": "图 1", "url": "https://pictures.example/1.png"},
        BlockType.QR_CODE: {"text": ""},
    }
    assert set(kinds) == set(BlockType), "a new kind of block wants to be looked at here"
    body = tuple(Block(type=kind, line=1, **values) for kind, values in kinds.items())
    hostile = '"><img src=x onerror=alert(1)>'
    return IssueDocument(
        publication="dsj",
        number=1,
        total_number=7,
        date=dt.date(2026, 1, 9),
        title="大数据发展动态",
        masthead={"主 编": ("甲研究院",)},
        contact={"咨询电话": "0000-000"},
        notice="声明一句。" + hostile,
        sections=(
            Section(
                key="policy",
                name="国策要论",
                articles=(
                    Article(
                        title="首篇" + hostile,
                        editor_note="按语。" + hostile,
                        source="来源甲",
                        page=3,
                        body=body,
                        line=1,
                    ),
                    Article(title="次篇", url="javascript:alert(1)", source="来源乙", line=1),
                    Article(title="末篇", url="https://source.example/last", source="来源丙", line=1),
                ),
            ),
        ),
    )


async def test_every_public_page_leads_to_the_form(site: Site) -> None:
    """Nobody finds an address that no page names."""
    assert 'href="/subscribe/dsj"' in await (await site.get("/")).text(), "before there is an issue, too"
    await site.publish(golden())
    for path in ("/", "/issues/dsj", "/issues/dsj/7", "/issues/dsj/7/1"):
        assert 'href="/subscribe/dsj"' in await (await site.get(path)).text(), path
    assert 'href="/subscribe/dsj?lang=en"' in await (await site.get("/issues/dsj/7?lang=en")).text()


async def test_home_archive_issue_article(site: Site) -> None:
    await site.publish(golden())
    home = await (await site.get("/")).text()
    assert "第1期 · 总第7期 · 2026年1月9日" in home
    assert 'href="/issues/dsj/7"' in await (await site.get("/issues/dsj")).text()
    issue = words(await (await site.get("/issues/dsj/7")).text())
    assert "第1期（总第7期）" in issue
    assert "次篇" in issue
    assert "主编 甲研究院" in issue
    article = await (await site.get("/issues/dsj/7/1")).text()
    for expected in (
        "国策要论",
        "编者按",
        "<h2>一、小标题</h2>",
        "<strong>要点</strong>",
        "<li>甲项</li>",
        "引文第二行",
    ):
        assert expected in article, expected
    assert '<th scope="col">项目</th>' in article
    assert "if a &lt; b: pass" in article
    assert "第3页" in article
    assert 'rel="next"' in article
    assert 'rel="prev"' not in article
    assert '<svg viewBox="' in article


async def test_an_issue_file_can_do_no_harm(site: Site) -> None:
    await site.publish(golden())
    for path in ("/issues/dsj/7", "/issues/dsj/7/1", "/issues/dsj/7/2", "/issues/dsj"):
        text = await (await site.get(path)).text()
        assert "<script" not in text, path
        assert "<img" not in text, path
        assert "javascript:" not in text, path
    article = await (await site.get("/issues/dsj/7/1")).text()
    assert 'href="https://pictures.example/1.png" rel="noopener noreferrer nofollow"' in article
    assert 'src="https://pictures.example' not in article
    assert 'href="https://source.example/a?b=1&amp;c=2"' in article
    assert 'href="https://source.example/last"' in await (await site.get("/issues/dsj/7/3")).text()


async def test_the_qr_code_is_a_picture_that_may_be_kept(site: Site) -> None:
    await site.publish(golden())
    answer = await site.get("/issues/dsj/7/1/qr.png")
    assert (answer.status, answer.content_type) == (200, "image/png")
    assert (await answer.read()).startswith(b"\x89PNG")
    assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "/issues/nobody",
        "/issues/dsj/8",
        "/issues/dsj/x",
        "/issues/dsj/7/0",
        "/issues/dsj/7/4",
        "/issues/dsj/7/4/qr.png",
        "/issues/dsj/99999999999999999999",
        "/issues/dsj/7/x/qr.png",
        "/issues/dsj?before=x",
        "/assets/app.py",
        "/assets/..%2fapp.py",
        "/nothing",
        "/issues/dsj/%00",
    ],
)
async def test_what_is_not_there_is_a_page_in_plain_words(site: Site, path: str) -> None:
    await site.publish(golden())
    answer = await site.get(path)
    assert answer.status == 404
    text = words(await answer.text())
    assert "没有找到这一页" in text
    assert "没有更改任何内容" in text
    assert "回到首页" in text


async def test_what_waits_for_review_is_not_shown(site: Site) -> None:
    await site.publish(document(113), now=False)
    assert (await site.get("/issues/dsj/113")).status == 404
    assert (await site.get("/issues/dsj/113/1")).status == 404
    assert "113" not in words(await (await site.get("/issues/dsj")).text())
    assert "还没有发布过" in await (await site.get("/")).text()


async def test_many_issues_come_in_pages(site: Site) -> None:
    for total in range(1, 54):
        await site.publish(document(total, sections=["policy"], articles=1))
    first = await (await site.get("/issues/dsj")).text()
    assert "总第53期" in first
    assert "总第3期" not in first
    older = await (await site.get("/issues/dsj?before=4")).text()
    assert "总第3期" in older
    assert "更早的各期" not in older


async def test_pictures_that_came_with_an_issue_are_shown_and_kept_by_browsers(site: Site) -> None:
    found = parse_detected(issue_with_picture(), load_publications(), None, max_bytes=10**6)
    (picture,) = found.pictures.values()
    async with site.database.write() as session:
        await take(
            session,
            site.clock,
            found.document,
            source_name="t.zip",
            source=b"",
            publish_now=True,
            pictures=[picture],
        )
    page = await (await site.client.get("/issues/dsj/112/1")).text()
    assert f'<img src="/pictures/{picture.digest}" width="1200" height="675" alt="图1各地的数量"' in page
    answer = await site.client.get(f"/pictures/{picture.digest}")
    assert (answer.status, answer.content_type) == (200, "image/png")
    assert "immutable" in answer.headers["Cache-Control"]
    assert await answer.read() == picture.content
    for wrong in ("0" * 64, "0" * 63, picture.digest.upper(), "..%2f" + picture.digest):
        assert (await site.client.get(f"/pictures/{wrong}")).status == 404
