"""The contents page against the articles: what only the contents name is no agreement."""

from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section
from bdnews_dispatch.issues.parsing.comparing import Listed, compare

LISTED = [Listed("国策要论", "数字乡村年度评估", 1, 21), Listed("国策要论", "数据标注产业", 4, 22)]
BODY = (Block(type=BlockType.PARAGRAPH, text="正文。", line=51),)
BARE = Article(title="数字乡村年度评估", page=1, line=0)


def issue(*articles: Article) -> IssueDocument:
    section = Section(key="policy", name="国策要论", articles=articles)
    return IssueDocument(publication="dsj", number=1, total_number=7, title="刊", sections=(section,))


def compared(*articles: Article) -> list[tuple[str, int, str]]:
    return [
        (row.listed.title if row.listed else "", row.place, row.differs)
        for row in compare(LISTED, issue(*articles))
    ]


def test_what_the_contents_alone_gave_is_missing_in_the_text() -> None:
    other = Article(title="另一个题目", body=BODY, line=49)
    found = Article(title="数据标注产业", body=BODY, line=61)
    assert compared(other, BARE, found) == [
        ("数字乡村年度评估", 2, "missing"),
        ("数据标注产业", 3, ""),
        ("", 1, "unlisted"),
    ]


def test_the_article_with_text_that_was_given_the_listed_title_is_the_one_that_is_meant() -> None:
    corrected = Article(title="数字乡村年度评估", body=BODY, line=49)
    found = Article(title="数据标注产业", body=BODY, line=61)
    expected = [("数字乡村年度评估", 2, ""), ("数据标注产业", 3, ""), ("", 1, "missing")]
    assert compared(BARE, corrected, found) == expected
    nearly = corrected.model_copy(update={"title": "数字乡村的年度评估"})
    assert compared(BARE, nearly, found)[0] == ("数字乡村年度评估", 1, "missing"), (
        "word for word before nearly so"
    )
