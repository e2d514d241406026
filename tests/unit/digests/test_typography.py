"""Chinese text as a typographer would leave it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.digests.typography import cut, cut_inside, first_graphemes, sentences, typeset


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("11月1日,规划印发,全市落实", "11月1日，规划印发，全市落实"),
        ("清源: 水表是起点", "清源：水表是起点"),
        ("合格率在 96% 左右", "合格率在96%左右"),
        ("建成 12 座", "建成12座"),
        ("水表 (试行) 办法", "水表（试行）办法"),
        ("管网(GIS)建档", "管网（GIS）建档"),
        ("好，，好。。", "好，好。"),
        ("节水惜水 从我做起", "节水惜水 从我做起"),
        ("使用 Firefox 浏览器", "使用 Firefox 浏览器"),
        ("He said “yes”, and left: at 11:30.", "He said “yes”, and left: at 11:30."),
        ("1,200 items, 3:2", "1,200 items, 3:2"),
    ],
)
def test_marks_and_spaces(typed: str, printed: str) -> None:
    assert typeset(typed) == printed


def test_a_sentence_keeps_what_closes_behind_its_mark() -> None:
    assert list(sentences("他说：“好。”众人点头。完了")) == ["他说：“好。”", "众人点头。", "完了"]


def test_no_sentence_ends_inside_a_quotation_or_bracket() -> None:
    assert list(sentences("“一是快。二是稳。”会议认为可行（见表一。略）。")) == [
        "“一是快。二是稳。”",
        "会议认为可行（见表一。略）。",
    ]


def test_a_quotation_that_never_closes_does_not_swallow_the_article() -> None:
    assert len(list(sentences("“" + "这一句没有收尾。" * 80))) > 1


def test_latin_full_stops_end_sentences_but_numbers_do_not() -> None:
    assert list(sentences("It rose by 2.4 points. Then it fell.")) == [
        "It rose by 2.4 points.",
        "Then it fell.",
    ]


def test_a_cut_stands_at_a_sentence_end() -> None:
    assert cut("第一句。第二句很长很长。", 8) == "第一句。"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("甲乙丙，丁戊己庚辛壬癸", 5, "甲乙丙…"),
        ("《甲乙丙丁戊己庚》辛壬癸", 7, "《甲乙丙丁…》"),
        ("甲乙丙丁戊己《庚辛壬》癸", 9, "甲乙丙丁戊己…"),
        ("好👨‍👩‍👧‍👦好好好", 4, "好…"),
    ],
)
def test_a_cut_inside_a_sentence_leaves_nothing_dangling(text: str, limit: int, shown: str) -> None:
    assert cut_inside(text, limit) == shown


@given(
    st.text(alphabet="甲乙丙，。、《》（）“”ab 1👨‍👩‍👧", max_size=80), st.integers(min_value=4, max_value=60)
)
def test_a_cut_never_exceeds_its_limit(text: str, limit: int) -> None:
    assert len(cut(text, limit)) <= limit


@given(st.text(max_size=300))
def test_a_name_is_bounded_as_memory_counts(text: str) -> None:
    assert len(first_graphemes(text, 64, 80)) <= 80
    assert text.startswith(first_graphemes(text, 64, 80))
