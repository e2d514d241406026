"""Where an article is from: `（来源：…）` at the end of a paragraph, with whatever became of its brackets,
or on a line alone.

In: an article's drafts. Out: the source, taken out of the text. Callers: bodies.py, articles.py.
`来源：…` under a chart is the chart's; it is told by where it stands: a picture before it and text after it.
"""

import re
from dataclasses import dataclass

_LABEL = re.compile(r"(?:文章|稿件|信息|内容|本文)?来\s{0,3}源\s{0,3}(?:[：:;；﹕︰]|(?=[\u4e00-\u9fff]))\s*")
_CHART_LABEL = re.compile(r"[（(\[【]?(?:资料|数据|图片|图表|图)?来\s{0,3}源\s{0,3}[：:]")
_OTHERS_LABEL = re.compile(r"(?:资料|数据|图片|图表|图)$")
_SENTENCE_END = re.compile(r"[。！？]")
_ANOTHER_BRACKET = re.compile(r"[（(\[【][^（()）\[\]【】]{1,60}[）)\]】]")
_END_MARKS = "。.■□◆ \t\u3000"
_COLONS = "：:;；﹕︰"
_OPENING, _CLOSING = "（(【[〔", "）)】]〕"
#: A source is short; what is farther from the paragraph's end is prose.
_TAIL = 160
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A source: text[begin:end], brackets and label with it."""

    begin: int
    end: int
    words: str
    bracketed: bool


def source_at_end(text: str) -> Source | None:
    """The source at the end of a paragraph.

    Bracketed (either bracket may be lost), or after a sentence's end, or the whole of the text. Another short bracket
    may follow it: `（来源：新华社）（责任编辑：某某）`.
    """
    offset = max(0, len(text) - _TAIL)
    tail = text[offset:].rstrip()
    labels = list(_LABEL.finditer(tail))
    if not labels:
        return None
    label = labels[-1]
    before = tail[: label.start()].rstrip()
    said = tail[label.end() :]
    opened = bool(before) and before[-1] in _OPENING
    close = _closing(said, depth=int(opened))
    words = (said if close is None else said[:close]).strip(_END_MARKS)
    behind = "" if close is None else said[close + 1 :].strip(_END_MARKS)
    if not words or len(words) > _LONGEST or _SENTENCE_END.search(words):
        return None
    if behind and not _ANOTHER_BRACKET.fullmatch(behind):
        return None
    has_colon = label[0].rstrip()[-1] in _COLONS
    alone = not before or before[-1] in "。！？!?”」』…）)"
    if opened:
        if not has_colon and close is None:
            return None
        begin = offset + len(before) - 1
    elif has_colon and (alone or (close is not None and not _OTHERS_LABEL.search(before))):
        begin = offset + label.start()
    else:
        return None
    end = offset + label.end() + close + 1 if close is not None and behind else len(text)
    return Source(begin, end, words, bracketed=opened or close is not None)


def is_chart_source(text: str) -> bool:
    """A line that is nothing but `来源：…` or `数据来源：…`."""
    return len(text) <= _LONGEST and bool(_CHART_LABEL.match(text)) and not _SENTENCE_END.search(text)


def _closing(said: str, *, depth: int) -> int | None:
    """Where the bracket closes that was opened before (depth 1), or whose opening half is lost (depth 0)."""
    until = 0 if depth else -1
    for at, character in enumerate(said):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == until:
            return at
    return None
