"""Chinese text as a typographer would leave it: sentences, cuts, widths of punctuation.

In: plain text. Out: plain text. Callers: excerpt, inline, composition, card. Nothing here knows Markdown or
HTML.
"""

from collections.abc import Iterator

import regex

#: Han, with the marks that stand between Han characters only.
_HAN = r"[\p{Han}〇、。《》〈〉「」『』【】（）：；，！？]"
#: The same with the marks that Latin text uses too.
_HAN_OR_SHARED = r"[\p{Han}〇、。《》〈〉「」『』【】（）：；，！？“”‘’—…·]"
_FULL_WIDTH = {",": "，", ";": "；", ":": "：", "?": "？", "!": "！"}
_HALF_WIDTH_MARK = regex.compile(
    rf"(?<={_HAN}) ?([,;:?!])\s*(?={_HAN_OR_SHARED}|[0-9A-Za-z]|$)"
    rf"|(?<=[0-9A-Za-z%”’]) ?([,;:?!])\s*(?=[“‘]?{_HAN})"
)
_HALF_WIDTH_BRACKETS = regex.compile(r"(\p{Han}?) ?\(([^()]*)\) ?")
_ANY_HAN = regex.compile(r"\p{Han}")
#: A space beside a full-width mark says nothing; one between two words may be the author's.
_LOOSE = regex.compile(
    r"(?<=[，。；：、！？）》】」』])[ \u3000]+|[ \u3000]+(?=[，。；：、！？（《【「『）》】」』])"
)
#: Numbers stand close to Han, as in print; a space beside a Latin word may be the author's.
_BESIDE_DIGITS = regex.compile(r"(?<=\p{Han})[ \t]+(?=[0-9])|(?<=[0-9%])[ \t]+(?=\p{Han})")
_DOUBLED = regex.compile(r"([，。；：、！？])(?:\s*\1)+")
_SPACE = regex.compile(r"[ \t\u3000\u00a0\r\n\f\v]+")

_CLOSERS = {
    "“": "”",
    "‘": "’",
    "「": "」",
    "『": "』",
    "《": "》",
    "〈": "〉",
    "（": "）",
    "(": ")",
    "【": "】",
    "[": "]",
}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
#: The end of a sentence: its mark with what closes behind it; a Latin full stop only before a space and a
#: capital.
_SENTENCE_END = regex.compile(r"(?:[。！？!?]+[”’」』）》】)\]]*|(?<=[a-z)])\.(?=\s+[A-Z\p{Han}]|$))\s*")
#: A cut never stands behind one of these.
_DANGLING = "，、；：,;:—-–·“‘「『《〈（([【 \t"
#: Half of the Chinese ellipsis, where every character counts: subjects, cards.
ELLIPSIS = "…"
#: A mark that is still open after so many characters was never closed by its author.
_LONGEST_QUOTATION = 240


def typeset(text: str) -> str:
    """Full-width marks between Han, no space that a line end left behind, no mark doubled."""
    text = _SPACE.sub(" ", text).strip()
    text = _LOOSE.sub("", text)
    text = _HALF_WIDTH_BRACKETS.sub(_full_width_brackets, text)
    text = _HALF_WIDTH_MARK.sub(lambda found: _FULL_WIDTH[found[1] or found[2]], text)
    text = _BESIDE_DIGITS.sub("", _LOOSE.sub("", text))
    once: str = _DOUBLED.sub(r"\1", text)
    return once


def _full_width_brackets(found: regex.Match[str]) -> str:
    """Around Han, or right behind it."""
    if found[1] or _ANY_HAN.search(found[2]):
        return f"{found[1]}（{found[2].strip()}）"
    return str(found[0])


def sentences(text: str) -> Iterator[str]:
    """The sentences of a paragraph with their end marks; none stops inside a quotation or bracket."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        piece = text[start : end.end()]
        if not _open_brackets(piece) or len(piece) > _LONGEST_QUOTATION:
            yield piece.strip()
            start = end.end()
    if rest := text[start:].strip():
        yield rest


def ends_sentence(text: str) -> bool:
    """Whether the text stops where a sentence does."""
    return any(end.end() == len(text) for end in _SENTENCE_END.finditer(text))


def cut(text: str, limit: int) -> str:
    """At most `limit` characters: whole if it fits, else up to a sentence end, else inside one with `…`.

    A cut inside a sentence stands between graphemes, behind no comma or opening bracket, and leaves none
    open.
    """
    if len(text) <= limit:
        return text
    kept = ""
    for sentence in sentences(text):
        if len(kept) + len(sentence) > limit:
            break
        kept += sentence
    return kept or cut_inside(text, limit)


def cut_inside(text: str, limit: int) -> str:
    """At most `limit` characters, `…` at the end of what was cut."""
    if len(text) <= limit:
        return text
    kept, room = "", limit - 1
    for cluster in graphemes(text):
        if len(kept) + len(cluster) > room:
            break
        kept += cluster
    opened = _open_brackets(kept)
    if opened and opened[0][0] >= room // 2:
        # The bracket opened late: leave it out rather than close it for the author.
        kept, opened = kept[: opened[0][0]], []
    closing = "".join(_CLOSERS[opener] for _, opener in reversed(opened))
    if closing:
        kept = kept[: max(0, room - len(closing))]
    return kept.rstrip(_DANGLING) + ELLIPSIS + closing


def omission(text: str) -> str:
    """The dots that say that more followed in this text (GB/T 15834: six in Chinese, three in Latin text)."""
    return ELLIPSIS * (1 if text.isascii() else 2)


def graphemes(text: str) -> list[str]:
    """What a reader takes for one character each."""
    found: list[str] = regex.findall(r"\X", text)
    return found


def first_graphemes(text: str, graphemes_at_most: int, code_points_at_most: int) -> str:
    """The beginning of a text, bounded both as a reader counts and as memory counts."""
    if len(text) <= min(graphemes_at_most, code_points_at_most):
        return text
    kept = ""
    for count, cluster in enumerate(graphemes(text[: code_points_at_most + 1])):
        if count == graphemes_at_most or len(kept) + len(cluster) > code_points_at_most:
            break
        kept += cluster
    return kept


def _open_brackets(text: str) -> list[tuple[int, str]]:
    """Place and kind of every bracket or quotation mark that is not closed again."""
    opened: list[tuple[int, str]] = []
    for place, character in enumerate(text):
        if character in _CLOSERS:
            opened.append((place, character))
        elif character in _OPENERS and opened and opened[-1][1] == _OPENERS[character]:
            opened.pop()
    return opened
