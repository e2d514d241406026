"""The stylesheet is whole: a brace that is missing makes every rule behind it one for print alone."""

import re

from bdnews_dispatch.web.pages import ASSETS


def test_every_block_ends_where_the_next_begins() -> None:
    css = re.sub(r"/\*.*?\*/", "", (ASSETS / "pages.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    depth = 0
    for line in css.splitlines():
        assert not (line[:1].strip() and not line.startswith("}") and depth), (
            f"not closed before: {line[:60]}"
        )
        depth += line.count("{") - line.count("}")
        assert 0 <= depth <= 2, line
    assert depth == 0
