"""Paragraphs put together again: lines that Markdown wraps, and paragraphs that a page's end cut in two.

In: an article's drafts. Out: the same with paragraphs whole. Callers: bodies.py.
A cut is told by what printing does: the first half fills its line and stops without closing punctuation. Side headings
that recognition glued to a paragraph look the same; they repeat words of the article, a cut sentence doesn't.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing.titles import joint
from bdnews_dispatch.issues.parsing.units import Unit

_CLOSING = frozenset("。！？!?；;：:…”’」』）)】》]〕>.~*_")
#: After these a sentence must go on.
_MUST_GO_ON = frozenset("，,、（(《“‘【「『〔")
_INNER = re.compile(r"[，,。；：、]")
_SENTENCE_END = re.compile(r"[。！？!?；]")
#: Half a paragraph fills at least one printed line: shorter ones are bylines, captions and the like. Measured on
#: printed columns: 20 characters in a narrow one, 36 and more over a page's width.
_SHORTEST_CUT = 20
_SHORTEST_CUT_WITHOUT_COMMA = 36
_SHORTEST_WRAPPED = 16
_LONGEST_CAPTION = 40
#: Half a paragraph and the other half have at most so many pictures, captions and QR lines between them.
_MOST_BETWEEN = 6
#: Where a side heading repeats the article's words, it is near them.
_NEAR = 12
_NEW_START = re.compile(
    r"[（(][一二三四五六七八九十百\d]+[）)]|[一二三四五六七八九十]+、|\d{1,3}[.．、)）](?!\d)|[①-⑳]|\*\*|__"
    r"|第[一二三四五六七八九十\d]+[，,、章节条]|[一二三四五六七八九十]是|图\s*\d|表\s*\d|注[：:]"
    r"|(?:此外|另外|同时|与此同时|首先|其次|再次|最后|据悉|据了解|据介绍|下一步|总的来看|综上)[，,]"
)


def join(drafts: Sequence[Unit], *, across_pages: bool) -> list[Unit]:
    """Make paragraphs whole.

    Args:
        drafts: in order.
        across_pages: mend what pages cut; else only Markdown's own line wrapping.
    """
    done: list[Unit] = []
    taken: set[int] = set()
    for at, draft in enumerate(drafts):
        if at in taken:
            continue
        if draft.kind is not BlockType.PARAGRAPH:
            done.append(draft)
            continue
        parts, last = [draft.text], at
        while (following := _continuation(drafts, last, taken, across_pages=across_pages)) is not None:
            parts += [_between(drafts[last], drafts[following]), drafts[following].text]
            taken.add(following)
            last = following
        text = "".join(parts)
        side_heading = _side_heading(drafts, last) if across_pages else ""
        if side_heading:
            text = text[: -len(side_heading)].rstrip()
        done.append(with_text(draft, text))
        if side_heading:
            done.append(Unit(BlockType.HEADING, side_heading, drafts[last].line, level=4))
    return done


def with_text(draft: Unit, text: str) -> Unit:
    return replace(draft, text=text) if text != draft.text else draft


def is_caption(draft: Unit) -> bool:
    """A short line that is no sentence."""
    return (
        draft.kind is BlockType.PARAGRAPH
        and len(draft.text) <= _LONGEST_CAPTION
        and "\n" not in draft.text
        and draft.text[-1] not in "。！？!?；;：:，,、"
        and not re.search(r"[，。；！？]", draft.text)
        and not _NEW_START.match(draft.text)
    )


def _continuation(drafts: Sequence[Unit], at: int, taken: set[int], *, across_pages: bool) -> int | None:
    """Where the paragraph at `at` goes on."""
    near = at + 1
    if near >= len(drafts):
        return None
    if drafts[near].kind is BlockType.PARAGRAPH and drafts[near].blank == 0 and near not in taken:
        if drafts[at].broken:
            return near
        if not across_pages:
            return near
        if _wrapped(drafts[at].text, drafts[near].text):
            return near
    if not across_pages or not _unfinished(drafts, at):
        return None
    picture = False
    for beyond in range(near, min(near + _MOST_BETWEEN, len(drafts))):
        draft = drafts[beyond]
        if draft.kind in {BlockType.IMAGE, BlockType.QR_CODE}:
            picture = True
        elif draft.kind is not BlockType.PARAGRAPH or beyond in taken:
            return None
        elif not (picture and is_caption(draft)) or drafts[at].text[-1] in _MUST_GO_ON:
            return beyond if _goes_on(drafts[at].text, draft.text) else None
    return None


def _wrapped(text: str, following: str) -> bool:
    """Whether the next line is the same paragraph's in a file that wraps its lines."""
    if text[-1] in _MUST_GO_ON:
        return True
    return text[-1] not in _CLOSING and len(text) >= _SHORTEST_WRAPPED and not _NEW_START.match(following)


def _unfinished(drafts: Sequence[Unit], at: int) -> bool:
    text = drafts[at].text
    if text[-1] in _MUST_GO_ON or _bracket_open(text):
        return True
    if text[-1] in _CLOSING or drafts[at].broken:
        return False
    if len(text) < _SHORTEST_CUT or (len(text) < _SHORTEST_CUT_WITHOUT_COMMA and not _INNER.search(text)):
        return False
    return not _side_heading(drafts, at)


def _bracket_open(text: str) -> bool:
    """A bracket near the end that is still open."""
    tail = text[-60:]
    return any(tail.rfind(opening) > tail.rfind(closing) for opening, closing in ("（）", "()", "《》"))


def _goes_on(text: str, following: str) -> bool:
    if text[-1] in _MUST_GO_ON:
        return True
    return not _NEW_START.match(following) and bool(_INNER.search(following) or following[-1] in _CLOSING)


def _side_heading(drafts: Sequence[Unit], at: int) -> str:
    """The words after a paragraph's last sentence, if they are a heading from the page's side."""
    text = drafts[at].text
    if text[-1] in _CLOSING:
        return ""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, max(0, len(text) - 40))]
    words = text[ends[-1] :].strip() if ends else ""
    if not 6 <= len(words) <= 30 or _INNER.search(words):
        return ""
    around = (*drafts[max(0, at - _NEAR) : at], *drafts[at + 1 : at + 1 + _NEAR])
    return words if any(words in draft.text[:20_000] for draft in around) else ""


def _between(last: Unit, following: Unit) -> str:
    if last.broken and following.blank == 0:
        return "\n"
    return joint(last.text, following.text)
