"""A PDF that a real Chromium printed parses to the same as its Markdown; what can't be read is said."""

import io
from pathlib import Path

import pypdfium2
import pytest
from tests.acceptance.test_main_job import REAL, SAMPLE
from tests.browser.printed_issue import STYLES, printed

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import load_publications

PUBLICATIONS = load_publications()
MOST = 8_000_000


def parse(data: bytes) -> IssueDocument:
    return parse_detected(data, PUBLICATIONS, None, max_bytes=MOST).document


def bare(text: str) -> str:
    return "".join(text.split())


def said(document: IssueDocument) -> str:
    """The words of all bodies; cells of tables are words as well."""
    blocks = [block for _, _, article in document.articles() for block in article.body]
    cells = ("".join(cell for row in block.rows for cell in row) for block in blocks)
    words = ("".join(block.items) or cell or block.text for block, cell in zip(blocks, cells, strict=True))
    return bare("".join(words))


@pytest.mark.browser
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sample", [SAMPLE, REAL], ids=["own", "real"])
def test_a_printed_issue_parses_as_its_markdown(tmp_path: Path, sample: Path, style: str) -> None:
    if not sample.exists():
        pytest.skip(f"no {sample.name} here")
    markdown = sample.read_text(encoding="utf-8")
    expected, found = parse(markdown.encode()), parse(printed(markdown, style, tmp_path))
    for name in ("publication", "number", "total_number", "date", "title", "masthead"):
        assert getattr(found, name) == getattr(expected, name), name
    assert [
        (section.key, bare(article.title), article.page, article.source, bare(article.editor_note))
        for _, section, article in found.articles()
    ] == [
        (section.key, bare(article.title), article.page, article.source, bare(article.editor_note))
        for _, section, article in expected.articles()
    ]
    lost = len(said(expected)) - len(said(found))
    assert abs(lost) < 0.01 * len(said(expected)), "but for marks of emphasis and words over pictures"
    assert "决策参考" not in said(found), "running heads are gone"


def blank(pages: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(100, 100)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


LOCKED = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + b"41" * 32 + b"> /U <" + b"42" * 32 + b"> >>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7\n" + b"\x00\xff" * 500, "已损坏"),
        (blank(2), "没有文字"),
        (blank(301), "超过 300 页"),
        (
            blank(1).replace(b"/Root", b"/ID [<41> <41>] /Encrypt " + LOCKED + b" /Root", 1),
            "加了密码",
        ),
    ],
    ids=["broken", "no text", "too long", "locked"],
)
def test_what_cannot_be_read_is_said(data: bytes, words: str) -> None:
    with pytest.raises(IssueError, match=words) as caught:
        parse(data)
    assert caught.value.code == "issue.pdf"
    assert caught.value.hint
