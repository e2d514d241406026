"""Fields made to fit: whatever comes in, the platform's rules hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.channels.wechat.fields import FieldError, clean, shorten, template_data
from bdnews_dispatch.sandbox.wechat_rules import fault_of_field


@pytest.mark.parametrize(
    ("field", "given_text", "value"),
    [
        ("thing1", "大数据发展动态", "大数据发展动态"),
        (
            "thing4",
            "国策要论、地方新政、产业镜像、前沿观察、企业动向",
            "国策要论、地方新政、产业镜像、前沿观察…",
        ),
        ("thing1", "一二三四五六七八九十一二三四五六七八九十", "一二三四五六七八九十一二三四五六七八九十"),
        ("thing1", "新刊🎉上线\n了👨‍👩‍👧‍👦", "新刊上线 了"),
        ("character_string2", "2022年第6期 No.104", "2022-6 No.104"),
        ("date3", "2022-11-11", "2022年11月11日"),
        ("date3", "2022年11月11日（星期五）", "2022年11月11日"),
        ("number1", "总第104期", "104"),
        ("phrase1", "《国策要论》专刊", "国策要论专"),
        ("name1", "大数据发展动态编辑部的朋友", "大数据发展动态编辑部"),
        ("letter1", "No. 104 Weekly", "NoWeekly"),
        ("time1", "2022-11-11 09:30", "2022年11月11日 09:30"),
    ],
)
def test_by_kind(field: str, given_text: str, value: str) -> None:
    assert template_data({field: "title"}, {"title": given_text}) == {field: {"value": value}}


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ({"thing1": "title"}, {}),
        ({"thing1": "title"}, {"title": "🎉🎉"}),
        ({"date3": "date"}, {"date": "本周"}),
        ({"date3": "date"}, {"date": "2022-13-41"}),
        ({"number1": "number"}, {"number": "创刊号"}),
        ({"mystery9": "title"}, {"title": "x"}),
    ],
)
def test_what_cannot_be_filled_is_named(names: dict[str, str], values: dict[str, str]) -> None:
    with pytest.raises(FieldError, match=next(iter(names))):
        template_data(names, values)


def test_a_cut_never_splits_a_character() -> None:
    family = "e\u0301" * 30  # e with its accent apart
    cut = shorten(family, 20)
    assert len(cut) <= 20
    assert cut.endswith("e\u0301…")


def test_emoji_go_and_digits_stay() -> None:
    assert clean("第6️⃣期 ©2022 🇨🇳 100%") == "第6期 2022 100%"


@pytest.mark.parametrize(
    "kind", ["thing", "character_string", "letter", "number", "phrase", "name", "date", "time"]
)
@given(text=st.text(max_size=60))
def test_the_strict_side_takes_what_was_made(kind: str, text: str) -> None:
    try:
        data = template_data({f"{kind}1": "title"}, {"title": text})
    except FieldError:
        return
    assert fault_of_field(f"{kind}1", data[f"{kind}1"]) == ""
