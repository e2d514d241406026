"""What of an article stands in the mail."""

from tests.unit.digests.digest_samples import article, heading, paragraph

from bdnews_dispatch.digests.excerpt import excerpt
from bdnews_dispatch.issues.document import Block, BlockType

LONG = "这是一句用来占位置的话，它有三十多个字那么长，读者读到这里就知道该停了。"


def test_it_is_two_or_three_sentences_cut_at_a_sentence_end() -> None:
    shown = excerpt(article("题", LONG * 10))
    assert shown.endswith("。")
    assert 100 <= len(shown) <= 180
    assert shown == LONG * 3


def test_headings_pictures_tables_codes_and_bylines_are_passed_over() -> None:
    body = (
        heading("一、背景"),
        Block(type=BlockType.IMAGE, text="图一。", url="https://x.example/1.png", line=1),
        paragraph("研究院院长 王五"),
        paragraph("（2022年11月7日 东湖）"),
        Block(type=BlockType.TABLE, text="", rows=(("甲。", "乙。"),), line=1),
        Block(type=BlockType.QR_CODE, text="", line=1),
        paragraph("正文从这里开始。"),
    )
    assert excerpt(article("题", *body)) == "正文从这里开始。"


def test_markdown_is_its_words() -> None:
    shown = excerpt(article("题", "**第一，**看[报告](https://x.example/a)与`代码`。<b>不是</b>标签。"))
    assert shown == "第一，看报告与代码。<b>不是</b>标签。"


def test_bold_closes_before_a_han_character() -> None:
    assert excerpt(article("题", "**水位全线回落。**各站恢复巡查。")) == "水位全线回落。各站恢复巡查。"


def test_a_source_line_at_the_end_is_no_part_of_it() -> None:
    assert excerpt(article("题", "水厂投产。（来源：东湖日报）")) == "水厂投产。"
    assert excerpt(article("题", "水厂投产。(来源:东湖日报")) == "水厂投产。"


def test_what_the_note_has_said_is_not_said_again() -> None:
    note = "十一日，市政府印发《节水规划》，提出到明年建成一百座节水工厂。"
    body = "十一日，市政府印发《节水规划》，提出到明年建成一百座节水工厂。规划还要求各区每月公布漏损率。"
    assert excerpt(article("题", body, note=note)) == "规划还要求各区每月公布漏损率。"


def test_all_said_already_is_still_better_than_nothing() -> None:
    assert excerpt(article("题", "水厂投产。", note="水厂投产。")) == "水厂投产。"


def test_a_title_that_is_the_first_sentence_is_not_repeated() -> None:
    assert excerpt(article("水厂投产", "水厂投产。日供水十万吨。")) == "日供水十万吨。"


def test_one_sentence_longer_than_the_limit_is_cut_with_dots() -> None:
    shown = excerpt(article("题", "水" * 500 + "。"))
    assert len(shown) <= 180
    assert shown.endswith("水…")


def test_lists_speak_where_nothing_else_does() -> None:
    points = Block(type=BlockType.LIST, text="", items=("建成十座水厂", "降低漏损"), line=1)
    assert excerpt(article("题", points)).startswith("建成十座水厂")


def test_no_body_no_excerpt() -> None:
    assert excerpt(article("题")) == ""
