"""Messages of errors on pages: each can be told in English, with its values; hints help who sits at a page."""

import ast
import copy
import re

import pytest
from tests.unit.web import error_words

from bdnews_dispatch.dispatch import words
from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.web.console.desk import DOORS
from bdnews_dispatch.web.language import load_translations, said_by
from bdnews_dispatch.web.pages import Pages

ENGLISH = load_translations()["en"].gettext


def test_a_message_with_values_is_a_phrase() -> None:
    """An f-string can't be told in English: write `Phrase("… %(name)s …", name=value)`, and its English text."""
    found = list(error_words.said())
    assert len(found) > 300, "the walk has lost its way"
    assert [
        where
        for where, given in found
        if any(isinstance(node, ast.JoinedStr) for node in ast.walk(given))
        and not (isinstance(given, ast.Call) and getattr(given.func, "id", "") == "Phrase")
    ] == []


def test_a_hint_helps_at_the_page_before_it_names_a_command() -> None:
    for text in error_words.words():
        page, named, _ = text.partition("bdnews ")
        if named and "命令行：" not in page:
            assert "或运行" in page, text


def test_a_phrase_is_its_chinese_text() -> None:
    phrase = Phrase("没有编号为 %(id)s 的来源", id=7)
    assert phrase == "没有编号为 7 的来源"
    assert str(BdnewsError(phrase, hint="请再写一次。")) == "没有编号为 7 的来源\n请再写一次。"
    assert Phrase(phrase) is phrase
    assert copy.deepcopy(phrase) == phrase
    assert Phrase("100%") == "100%"
    assert Phrase("现有：%(keys)s。", keys=["甲", "100%", 3]) == "现有：甲、100%、3。"


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("请再写一次。", "Write it once more."),
        (Phrase("没有编号为 %(id)s 的来源", id=7), "There is no source 7"),
        (Phrase("现有：%(keys)s。", keys=["policy", "邮件"]), "There are: policy, 邮件."),
        (Phrase("现有名单：%(there)s。", there=Phrase("（无）")), "The lists are: (none)."),
        (
            Phrase("第 %(row)s 行：%(problem)s", row=2, problem=Phrase("“%(value)s”不是天数", value="%(x)s")),
            "Row 2: “%(x)s” is no number of days",
        ),
        ("没有译文的话", "没有译文的话"),
        (Phrase("没有译文的 %(thing)s", thing="话"), "没有译文的 话"),
        ("", ""),
    ],
)
def test_what_an_english_page_says(text: str, english: str) -> None:
    assert said_by(ENGLISH, text) == english


def test_words_for_codes_are_told_with_their_code() -> None:
    assert said_by(ENGLISH, words.reason("lost_answer")) == "there was no answer (lost_answer)"
    assert words.reason("lost_answer") == "没有得到答复（lost_answer）"
    assert said_by(ENGLISH, words.reason("retry_limit:450")) == (
        "tried many times: the other side does not take it just now (retry_limit:450)"
    )


def test_the_navigation_speaks_of_many() -> None:
    pages = Pages()
    doors = [one for door in DOORS for one in (door, *door.beside)]
    assert [one.name for one in doors if re.search("[\u4e00-\u9fff]", pages.room_name(one.name, "en"))] == []
    assert [pages.room_name(name, "en") for name in ("快讯", "发送", "来源")] == [
        "Bulletins",
        "Dispatches",
        "Sources",
    ]
    assert pages.room_name("发送", "zh") == "发送"


def test_values_of_others_are_only_words() -> None:
    """Hostile values; and what has no English says that it is Chinese."""
    said = Pages().said
    for language in ("zh", "en"):
        hostile = said(Phrase("没有名为“%(name)s”的名单", name="<script>{{ 1 }}%s"), language)
        assert "<script>" not in hostile
        assert "&lt;script&gt;{{ 1 }}%s" in hostile
    assert said("没有译文<b>", "en") == '<span lang="zh-CN">没有译文&lt;b&gt;</span>'
    assert not re.search("[\u4e00-\u9fff]", said("请再写一次。", "en"))
