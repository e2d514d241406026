"""Where an article is from: `（来源：…）` at the end of a paragraph, with whatever became of its brackets,
or on a line alone.

In: an article's drafts. Out: the source, taken out of the text. Callers: bodies.py, articles.py.
`来源：…` under a chart is the chart's; it is told by where it stands: a picture before it and text after it.
"""

import re

_LABEL = re.compile(r"(?:文章|稿件|信息|内容|本文)?来\s{0,3}源\s{0,3}(?:[：:;；﹕︰]|(?=[\u4e00-\u9fff]))\s*")
_CHART_LABEL = re.compile(r"[（(\[【]?(?:资料|数据|图片|图表|图)?来\s{0,3}源\s{0,3}[：:]")
_OTHERS_LABEL = re.compile(r"(?:资料|数据|图片|图表|图)$")
_SENTENCE_END = re.compile(r"[。！？]")
_OPENING, _CLOSING = "（(【[〔", "）)】]〕"
#: A source is short; what is farther from the paragraph's end is prose.
_TAIL = 160
_LONGEST = 100


def source_at_end(text: str) -> tuple[int, str] | None:
    """Where the source at the end of a paragraph begins, and its words.

    Bracketed (either bracket may be lost), or after a sentence's end, or the whole of the text.
    """
    offset = max(0, len(text) - _TAIL)
    tail = text[offset:].rstrip()
    labels = list(_LABEL.finditer(tail))
    if not labels:
        return None
    label = labels[-1]
    start = label.start()
    before = tail[:start].rstrip()
    said = tail[label.end() :].rstrip("。.■□◆ \t\u3000")
    opened = bool(before) and before[-1] in _OPENING
    closed = bool(said) and said[-1] in _CLOSING and not _balanced(said)
    if closed:
        said = said[:-1].rstrip()
    has_colon = label[0].rstrip()[-1] in "：:;；﹕︰"
    alone = not before or before[-1] in "。！？!?”」』…）)"
    if (
        not said
        or len(said) > _LONGEST
        or _SENTENCE_END.search(said)
        or (said[-1] in _CLOSING and not _balanced(said))
    ):
        return None
    if opened:
        begin = offset + len(before) - 1
    elif (has_colon and alone) or (closed and has_colon and not _OTHERS_LABEL.search(before)):
        begin = offset + start
    else:
        return None
    if not has_colon and not (opened and closed):
        return None
    return begin, said


def is_bracketed(text: str) -> bool:
    """Whether the source at this paragraph's end has a bracket: then it is an article's wherever it stands."""
    found = source_at_end(text)
    return found is not None and (text[found[0]] in _OPENING or text.rstrip("。. ")[-1:] in _CLOSING)


def is_chart_source(text: str) -> bool:
    """A line that is nothing but `来源：…` or `数据来源：…`."""
    return len(text) <= _LONGEST and bool(_CHART_LABEL.match(text)) and not _SENTENCE_END.search(text)


def _balanced(text: str) -> bool:
    return sum(text.count(mark) for mark in _OPENING) == sum(text.count(mark) for mark in _CLOSING)
