"""What must hold for every file: random issues come back as they were, and no word of any text is lost."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.issues.issue_rendering import STYLES, ArticleModel, IssueModel, Style, issues, render

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import Article, IssueDocument
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.issues.parsing.folding import fold
from bdnews_dispatch.issues.publications import load_publications

PUBLICATIONS = load_publications()
DSJ = PUBLICATIONS["dsj"]

_relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _expected_body(article: ArticleModel) -> list[tuple[str, str]]:
    body = [(block.type, block.text or "\n".join(block.items)) for block in article.body]
    if article.qr:
        body.append(("qr_code", ""))
        if article.stranded:
            body.append(("paragraph", article.stranded))
    return body


def _facts(issue: IssueModel) -> list[Any]:
    return [
        (
            name,
            [(fold(a.title), a.page, "\n".join(a.note), a.source, _expected_body(a)) for a in share],
        )
        for name, share in issue.sections
    ]


def _parsed_facts(document: IssueDocument) -> list[Any]:
    def facts(article: Article) -> Any:
        body = [(block.type.value, block.text) for block in article.body]
        return fold(article.title), article.page, article.editor_note, article.source, body

    return [(section.name, [facts(article) for article in section.articles]) for section in document.sections]


@settings(_relaxed, max_examples=150)
@given(issues(), STYLES)
def test_a_rendered_issue_comes_back(issue: IssueModel, style: Style) -> None:
    document = parse_issue(render(issue, style), DSJ)
    assert (document.number, document.total_number) == (issue.number, issue.total_number)
    assert document.date is not None
    assert (document.date.year, document.date.month, document.date.day) == issue.date
    assert document.tagline == "以战略的视角解读数字中国"
    assert document.masthead == issue.masthead
    assert document.notice == issue.notice
    assert _parsed_facts(document) == _facts(issue)
    assert not document.preface


@settings(_relaxed, max_examples=40)
@given(issues())
def test_line_ends_and_encodings_change_nothing(issue: IssueModel) -> None:
    plain = parse_issue(render(issue, Style()), DSJ)
    for style in (
        Style(end="\r\n"),
        Style(end="\r"),
        Style(encoding="utf-8-sig"),
        Style(encoding="gb18030"),
        Style(encoding="utf-16"),
        Style(encoding="utf-16-le"),
        Style(end="\r\n", encoding="gb18030"),
    ):
        assert parse_issue(render(issue, style), DSJ) == plain


def _kept(value: Any) -> Iterator[str]:
    """Every word of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_kept(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _kept(inner)


#: What the layout knows as furniture: labels, section names, titles of the publication, QR lines.
_FURNITURE = re.compile(
    r"编者按|本期要目|目\s*录|扫描二维码阅读全文|大数据发展动态|来源|声明|国策要论|企业动向|科技爱好者周刊|年|月|日|第|期|总|完|言论|工具"
)


def _letters(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"[^\W\d_]+", _FURNITURE.sub(" ", folded))


_word = st.integers(0, 999).map(
    lambda number: "词" + "".join(chr(0x4E30 + int(digit) * 37) for digit in str(number))
)
_templates = st.sampled_from(
    [
        "{0}",
        "{0}，{1}。",
        "# {0}",
        "## {0}{1}",
        "#### {0}",
        "编者按",
        "## 编者按",
        "编者按：{0}",
        "{0}。（来源：{1}）",
        "(来源:{0}",
        "来源：{0}",
        "数据来源：{0}",
        "扫描二维码阅读全文",
        "{0}。扫描二维码阅读全文",
        "本期要目",
        "## 目 录",
        "### 国策要论",
        "企业动向",
        "- 01 {0}",
        "02 {0}{1}",
        "{0} …… 3",
        "- {0}",
        "  {0}",
        "**主 编** {0} {1}",
        "**{0}** {1}",
        "责任编辑：{0}、{1}",
        "咨询电话 {0}",
        "新媒体",
        "**声明:** {0}",
        "# 大数据发展动态",
        "2026年1月2日 第6期 总第104期",
        "第7期 {0}",
        "2026年13月2日",
        "# 科技爱好者周刊（第 9 期）：{0}",
        "## 言论",
        "## 工具",
        "1、[{0}](https://example.com/{1})",
        "1、",
        "2、{0}",
        "-- [{0}](https://example.com/{1})",
        "> {0}",
        "> - {0}",
        "```",
        "| {0} | {1} |",
        "| --- | --- |",
        "![{0}](https://example.com/{1})",
        "[![{0}](https://example.com/{1})](https://example.com/)",
        "（完）",
        "---",
        " ",
        "",
        "",
        "",
    ]
)


@st.composite
def _messy_texts(draw: st.DrawFn) -> str:
    lines = draw(
        st.lists(
            st.one_of(
                st.tuples(_templates, _word, _word).map(lambda parts: parts[0].format(parts[1], parts[2])),
                st.text(
                    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]),
                    max_size=20,
                ),
            ),
            max_size=25,
        )
    )
    return "\n".join(lines)


def _parse(data: bytes, key: str) -> tuple[IssueDocument | None, str]:
    """The document, or the code of a refusal that has a sentence for people."""
    try:
        return parse_issue(data, PUBLICATIONS[key]), ""
    except IssueError as error:
        return None, error.code if re.search(r"[\u4e00-\u9fff]", error.message) else ""


@pytest.mark.parametrize("key", ["dsj", "weekly"])
@settings(_relaxed, max_examples=250)
@given(text=_messy_texts())
@example(text="# 大数据发展动态\n\n## 编者按\n\n词甲\n\n## 编者按\n\n词乙")
@example(text="# 目录\n\n- 01 词甲\n\n# 词乙\n\n词丙\n\n扫描二维码阅读全文\n\n词丁")
def test_no_word_is_lost(key: str, text: str) -> None:
    document, refused = _parse(text.encode(), key)
    if document is None:
        assert refused in {"issue.empty", "issue.no_articles", "issue.binary", "issue.encoding"}
        return
    kept = unicodedata.normalize("NFKC", "\n".join(_kept(document.model_dump(mode="json")))).casefold()
    dense = "".join(filter(str.isalpha, kept))
    lost = [
        letters
        for line in text.splitlines()
        for letters in _letters(line)
        if letters not in kept and letters not in dense
    ]
    assert not lost


@settings(_relaxed, max_examples=200)
@given(
    st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)),
    st.sampled_from(["dsj", "weekly"]),
)
def test_any_bytes_are_parsed_or_refused_with_a_reason(data: bytes, key: str) -> None:
    document, refused = _parse(data, key)
    if document is None:
        assert refused.startswith("issue.")
    else:
        assert IssueDocument.model_validate_json(document.model_dump_json()) == document
        assert list(document.articles())
