"""Files that nobody on this project wrote, parsed whole. Their text is not in the repository: structure is asserted.

The folder is ../shared/samples beside the repository, or BDNEWS_TEST_SAMPLES; without it these tests are left out.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from bdnews_dispatch.issues.document import Article, BlockType, IssueDocument
from bdnews_dispatch.issues.parsing import detect_publication, parse_issue
from bdnews_dispatch.issues.parsing.folding import fold
from bdnews_dispatch.issues.publications import load_publications

SAMPLES = Path(
    os.environ.get("BDNEWS_TEST_SAMPLES") or Path(__file__).resolve().parents[2].parent / "shared" / "samples"
)
DSJ = SAMPLES / "dsj-104-2022-11-11.md"
WEEKLY = [SAMPLES / f"weekly-{number}.md" for number in ("001", "098", "200", "340")]
PUBLICATIONS = load_publications()

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in (DSJ, *WEEKLY)),
    reason=f"no real samples in {SAMPLES} (BDNEWS_TEST_SAMPLES)",
)


def _dsj(text: str) -> IssueDocument:
    return parse_issue(text.encode(), PUBLICATIONS["dsj"])


def _articles(document: IssueDocument) -> list[Article]:
    return [article for _, _, article in document.articles()]


def _contents_and_body(text: str) -> tuple[str, str, str]:
    """The cover, the contents and the rest."""
    contents = text.index("## 本 期 要 目")
    body = text.index("## 编者按")
    return text[:contents], text[contents:body], text[body:]


@pytest.fixture
def text() -> str:
    return DSJ.read_text(encoding="utf-8")


@pytest.fixture
def document(text: str) -> IssueDocument:
    return _dsj(text)


def test_the_cover(document: IssueDocument, text: str) -> None:
    assert (document.number, document.total_number, str(document.date)) == (6, 104, "2022-11-11")
    assert document.title == PUBLICATIONS["dsj"].name
    assert document.tagline == PUBLICATIONS["dsj"].tagline
    sizes = {role: len(names) for role, names in document.masthead.items()}
    assert sizes == {
        "主编": 1,
        "联合主编": 1,
        "学术支持": 4,
        "编委会": 12,
        "总编辑": 1,
        "副总编辑": 2,
        "执行编辑": 1,
        "责任编辑": 8,
        "美术编辑": 2,
    }
    people = {name for role in ("编委会", "副总编辑", "责任编辑") for name in document.masthead[role]}
    assert {len(name) for name in people} == {2, 3}
    assert list(document.contact) == ["咨询电话", "邮箱", "编辑地址"]
    assert all(value in text for value in document.contact.values())
    assert document.notice.endswith("。")
    assert document.notice in text
    assert len(document.notice) > 80


def test_sections_pages_and_titles(document: IssueDocument, text: str) -> None:
    sizes = [(section.key, len(section.articles)) for section in document.sections]
    assert sizes == [("policy", 5), ("local", 4), ("industry", 2), ("frontier", 1), ("company", 1)]
    assert [article.page for article in _articles(document)] == [
        1,
        3,
        5,
        8,
        12,
        14,
        18,
        21,
        23,
        25,
        28,
        31,
        32,
    ]
    listed = re.findall(r"^- \d\d (.+)$", _contents_and_body(text)[1], flags=re.MULTILINE)
    assert [fold(article.title) for article in _articles(document)] == [fold(title) for title in listed]
    lines = text.splitlines()
    for article in _articles(document):
        assert lines[article.line - 1].startswith("#")
        assert fold(article.title).startswith(fold(lines[article.line - 1]))


def test_sources_and_notes(document: IssueDocument, text: str) -> None:
    printed = re.findall(r"[（(]来源[：:](.+?)[）)]", text)
    assert [article.source for article in _articles(document)] == printed
    assert len(printed) == 13
    assert [bool(article.editor_note) for article in _articles(document)] == [True] * 10 + [False] * 3
    notes = [article.editor_note.count("\n") + 1 for article in _articles(document)[:10]]
    assert notes == [1, 3, 2, 1, 2, 1, 1, 1, 2, 1]
    for article in _articles(document):
        assert all("来源" not in b.text for b in article.body if b.type is not BlockType.IMAGE)
        assert all("扫描二维码" not in block.text for block in article.body)


def test_paragraphs_are_whole(document: IssueDocument) -> None:
    unfinished = [
        (block.line, block.text[-10:])
        for article in _articles(document)
        for block in article.body
        if block.type is BlockType.PARAGRAPH
        and len(block.text) > 40
        and block.text[-1] not in "。！？：；”）)"
    ]
    assert not unfinished
    cut = {257, 301, 343, 427, 459, 537, 614, 669}
    starts = {block.line for article in _articles(document) for block in article.body}
    assert cut <= starts
    assert not {line + 2 for line in cut} & starts


def test_pictures_and_qr_codes(document: IssueDocument, text: str) -> None:
    articles = _articles(document)
    codes = sum(block.type is BlockType.QR_CODE for article in articles for block in article.body)
    assert codes == text.count("扫描二维码阅读全文") == 12
    captions = {
        block.line: block.text
        for a in articles
        for block in a.body
        if block.type is BlockType.IMAGE and block.text
    }
    assert sorted(captions) == [624, 630, 703]
    assert "来源" in captions[703]
    stranded = articles[10].body
    assert [block.type for block in stranded[-2:]] == [BlockType.QR_CODE, BlockType.PARAGRAPH]
    assert articles[9].line == 597  # not the photographed cover further down
    assert not [warning for warning in document.warnings if warning.code != "text.unplaced"]


def test_no_letter_of_the_file_is_lost(document: IssueDocument, text: str) -> None:
    kept: Counter[str] = Counter()
    for block in (*document.preface, *(b for a in _articles(document) for b in a.body)):
        kept.update(fold(block.text))
    for article in _articles(document):
        kept.update(fold(f"{article.title}{article.editor_note}{article.source}"))
    _, _, body = _contents_and_body(text)
    furniture = re.sub(
        r"^#* ?编者按$|^扫描二维码阅读全文$|(?<=[（(])来源(?=[：:])", "", body, flags=re.MULTILINE
    )
    assert not Counter(fold(furniture)) - kept


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_change_nothing(
    document: IssueDocument, text: str, encoding: str, end: str
) -> None:
    data = text.replace("\n", end).encode(encoding)
    assert parse_issue(data, PUBLICATIONS["dsj"]) == document


def test_without_contents_the_same_articles_are_found(document: IssueDocument, text: str) -> None:
    cover, _, body = _contents_and_body(text)
    for plain in (cover + body, re.sub(r"^#+ ", "", cover + body, flags=re.MULTILINE)):
        found = _dsj(plain)
        assert [fold(a.title) for a in _articles(found)] == [fold(a.title) for a in _articles(document)]
        assert [a.source for a in _articles(found)] == [a.source for a in _articles(document)]
        assert [a.editor_note for a in _articles(found)] == [a.editor_note for a in _articles(document)]
        codes = {warning.code for warning in found.warnings}
        assert {"contents.missing", "sections.missing"} <= codes


def test_contents_and_body_that_disagree(document: IssueDocument, text: str) -> None:
    first, second = _articles(document)[3], _articles(document)[11]
    unlisted = _dsj(re.sub(rf"^- 08 {first.title}\n", "", text, flags=re.MULTILINE))
    assert [len(section.articles) for section in unlisted.sections] == [5, 4, 2, 1, 1]
    assert _articles(unlisted)[3].body[0].text == first.body[0].text
    assert _articles(unlisted)[3].page is None
    assert "article.not_in_contents" in {warning.code for warning in unlisted.warnings}

    lines = text.splitlines(keepends=True)
    missing = _dsj("".join(lines[: second.line - 1] + lines[_articles(document)[12].line - 1 :]))
    assert (_articles(missing)[11].line, _articles(missing)[11].body) == (0, ())
    assert _articles(missing)[11].page == 31
    assert "article.not_in_body" in {warning.code for warning in missing.warnings}


def test_a_half_written_file_keeps_what_it_has(document: IssueDocument, text: str) -> None:
    half = parse_issue(text.encode()[:50_001], PUBLICATIONS["dsj"])
    assert [a.source for a in _articles(half)][:6] == [a.source for a in _articles(document)][:6]
    codes = Counter(warning.code for warning in half.warnings)
    assert codes["article.not_in_body"] == 6
    assert codes["encoding.damaged"] == 1


WEEKLY_SECTIONS = {
    "001": {
        "topic": 1,
        "tech": 4,
        "articles": 9,
        "excerpts": 4,
        "tools": 7,
        "pictures": 4,
        "quotes": 1,
        "subscribe": 1,
    },
    "098": {
        "topic": 2,
        "tech": 6,
        "articles": 10,
        "tools": 10,
        "resources": 5,
        "pictures": 2,
        "excerpts": 2,
        "quotes": 6,
        "review": 1,
        "subscribe": 1,
    },
    "200": {
        "cover": 1,
        "topic": 2,
        "tech": 5,
        "articles": 8,
        "tools": 10,
        "resources": 5,
        "pictures": 2,
        "excerpts": 2,
        "quotes": 4,
        "review": 1,
        "subscribe": 1,
    },
    "340": {
        "cover": 1,
        "topic": 3,
        "tech": 5,
        "articles": 7,
        "tools": 10,
        "ai": 5,
        "resources": 4,
        "pictures": 2,
        "excerpts": 1,
        "quotes": 5,
        "review": 1,
    },
}


@pytest.mark.parametrize("path", WEEKLY, ids=lambda path: str(path.stem))
def test_the_weekly_is_a_matter_of_configuration(path: Path) -> None:
    data = path.read_bytes()
    publication = detect_publication(data, PUBLICATIONS)
    assert publication is PUBLICATIONS["weekly"]
    document = parse_issue(data, publication)
    number = path.stem.removeprefix("weekly-")
    assert document.number == document.total_number == int(number)
    assert document.date is None
    assert document.preface
    assert not document.warnings
    assert {section.key: len(section.articles) for section in document.sections} == WEEKLY_SECTIONS[number]
    by_key = {section.key: section.articles for section in document.sections}
    assert all(article.url.startswith("http") for key in ("tools", "articles") for article in by_key[key])
    assert all(article.title for article in _articles(document))
    if number != "001":
        assert all(article.source and article.url and article.body for article in by_key["quotes"])
    assert "（完）" not in document.model_dump_json()


@pytest.mark.parametrize("path", WEEKLY, ids=lambda path: str(path.stem))
def test_no_word_of_the_weekly_is_lost(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    document = parse_issue(text.encode(), PUBLICATIONS["weekly"])
    kept = fold(document.model_dump_json())
    lost = [
        word
        for line in text.splitlines()[1:]
        for word in re.findall(r"[\u4e00-\u9fff]{2,}|[A-Za-z]{3,}", line)
        if fold(word) not in kept and line.strip() != "（完）"
    ]
    # What a heading adds to an article's own title.
    assert set(lost) <= {"本周话题"}


def test_the_publication_is_told_by_the_file() -> None:
    assert detect_publication(DSJ.read_bytes(), PUBLICATIONS) is PUBLICATIONS["dsj"]
    assert (
        detect_publication(DSJ.read_text(encoding="utf-8").encode("utf-16"), PUBLICATIONS)
        is PUBLICATIONS["dsj"]
    )
    assert detect_publication(b"# Minutes\n\nNothing here.", PUBLICATIONS) is None
    assert detect_publication(b"\x00\x01\x02\x03" * 100, PUBLICATIONS) is None
