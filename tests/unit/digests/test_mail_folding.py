"""Folded lines look the same to a reader."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bdnews_dispatch.digests.folding import fold_html, fold_text, weight

pieces = st.lists(
    st.one_of(
        st.sampled_from(
            ["<b>", "</b>", '<a href="https://x.example/?a=1&amp;b=2" class="x y">', "</a>", "<br>", "&amp;"]
        ),
        st.text(alphabet="水务，。 \nab👨‍👩‍👧", max_size=60).map(lambda text: text * 12),
    ),
    max_size=12,
)


def read(html: str) -> str:
    """As a browser takes it: `<wbr>` shows nothing, white space of any kind is one space."""
    return re.sub(r"\s+", " ", re.sub(r"<wbr\s*>", "", html)).strip()


@settings(deadline=None)
@given(pieces)
def test_html_reads_the_same_in_shorter_lines(parts: list[str]) -> None:
    html = "".join(parts)
    folded = fold_html(html)
    assert read(folded).replace(" ", "") == read(html).replace(" ", "")
    assert max(map(weight, folded.split("\n"))) <= 998
    assert re.findall(r"\w水", read(folded)) == re.findall(r"\w水", read(html))


@settings(deadline=None)
@given(st.text(alphabet="水务，。 ab👨‍👩‍👧\n", max_size=80).map(lambda text: text * 30))
def test_text_keeps_every_character(text: str) -> None:
    folded = fold_text(text)
    assert folded.replace("\n", "") == text.replace("\n", "")
    assert max(map(weight, folded.split("\n"))) <= 998


def test_text_breaks_behind_a_mark_where_it_can() -> None:
    folded = fold_text("一二三四五六七八九，" * 60)
    assert all(line.endswith("，") for line in folded.split("\n"))
