"""**Bold** as Chinese authors write it.

CommonMark does not close `**…。**` in front of a Han character, since neither side is a space;
readers would see the asterisks.

In: a MarkdownIt. Out: the same with one rule more. Callers: inline, markdown_body.
"""

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_MARK = "**"


def with_chinese_strong(markdown: MarkdownIt) -> MarkdownIt:
    """Let `**…**` be bold wherever both marks touch what they enclose, on one line."""
    markdown.inline.ruler.before("emphasis", "chinese_strong", _strong)
    return markdown


def _strong(state: StateInline, silent: bool) -> bool:
    start = state.pos + len(_MARK)
    if not state.src.startswith(_MARK, state.pos) or state.src.startswith("*", start):
        return False
    end = state.src.find(_MARK, start, state.posMax)
    inside = state.src[start:end]
    if (
        end <= start
        or "\n" in inside
        or inside != inside.strip()
        or state.src.startswith("*", end + len(_MARK))
    ):
        return False
    if not silent:
        outer_end = state.posMax
        state.push("strong_open", "strong", 1).markup = _MARK
        state.pos, state.posMax = start, end
        state.md.inline.tokenize(state)
        state.push("strong_close", "strong", -1).markup = _MARK
        state.posMax = outer_end
    state.pos = end + len(_MARK)
    return True
