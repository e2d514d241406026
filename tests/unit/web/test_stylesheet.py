"""The stylesheets are whole: a brace that is missing makes every rule behind it one for print alone."""

import re

import pytest

from bdnews_dispatch.web.pages import ASSETS


@pytest.mark.parametrize("sheet", sorted(path.name for path in ASSETS.glob("*.css")))
def test_every_block_ends_where_the_next_begins(sheet: str) -> None:
    css = re.sub(r"/\*.*?\*/", "", (ASSETS / sheet).read_text(encoding="utf-8"), flags=re.DOTALL)
    depth = 0
    for line in css.splitlines():
        assert not (line[:1].strip() and not line.startswith("}") and depth), (
            f"not closed before: {line[:60]}"
        )
        depth += line.count("{") - line.count("}")
        assert 0 <= depth <= 2, line
    assert depth == 0
