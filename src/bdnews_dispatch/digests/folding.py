"""Lines that mail may carry: at most 998 octets each (RFC 5322 §2.1.1), whatever text and slots hold.

In: the finished HTML or text, with slot characters in it. Out: the same for a reader, in shorter lines.
Caller: rendering.
"""

import re

from bdnews_dispatch.digests.slots import FIRST_SLOT, LAST_SLOT, PERSON_OCTETS, SENTINELS, SLOT_OCTETS
from bdnews_dispatch.digests.typography import graphemes

#: Octets in a line without its CRLF; some room is left under 998.
_LINE = 960
_TOKEN = re.compile(
    r"<pre\b.*?</pre>|<!--.*?-->|<style\b.*?</style>|</?[a-zA-Z!](?:[^\"'>]|\"[^\"]*\"|'[^']*')*>|[^<]+|<",
    re.DOTALL,
)
_TAG_PART = re.compile(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+")
_ENTITY = re.compile(r"(&[#\w]+;)")
_PERSON = {SENTINELS["recipient_name"], SENTINELS["recipient_address"]}
_SLOTS = re.compile(f"[{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}]")
#: A break may stand behind these in any Chinese text.
_BREAK_BEHIND = frozenset("。，、；：！？")
_NO_BREAK_BEFORE = frozenset("。，、；：！？”’」』》）】…—")


def weight(text: str, *, escaped: bool = True) -> int:
    """Octets of the text once its slots hold their longest values, HTML-escaped or not."""
    octets = len(text.encode())
    for slot in _SLOTS.findall(text):
        octets += (SLOT_OCTETS if escaped or slot not in _PERSON else PERSON_OCTETS) - len(slot.encode())
    return octets


def fold_html(html: str) -> str:
    """Break lines where a browser does not see it: at spaces, inside tags, else with a `<wbr>`."""
    folder = _Folder()
    for token in _TOKEN.findall(html):
        if token.startswith(("<!--", "<style")):
            folder.lines_as_they_are(token)
        elif token.startswith("<pre"):
            folder.preformatted(token)
        elif token.startswith("<") and len(token) > 1:
            folder.tag(token)
        else:
            folder.text(token)
    return folder.finished()


def fold_text(text: str) -> str:
    """Break a line that is too long at a sentence's end, a comma or a space, else between characters."""
    return "\n".join(part for line in text.split("\n") for part in _pieces(line, _LINE, escaped=False))


class _Folder:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._weight = 0

    def _put(self, piece: str) -> None:
        self._line.append(piece)
        self._weight += weight(piece)

    def _end_line(self) -> None:
        self._lines.append("".join(self._line))
        self._line, self._weight = [], 0

    def _fits(self, piece: str) -> bool:
        return self._weight + weight(piece) <= _LINE

    def lines_as_they_are(self, token: str) -> None:
        for at, line in enumerate(token.split("\n")):
            if at:
                self._end_line()
            self._put(line)

    def tag(self, token: str) -> None:
        for at, part in enumerate(_TAG_PART.findall(token)):
            if at and not self._fits(" " + part):
                self._end_line()
                self._put(part)
            else:
                self._put(" " + part if at else part)

    def text(self, token: str) -> None:
        """White space of any kind and length is one space to a browser, and a line end is white space."""
        words = re.split(r"([ \t\r\n\f]+)", token)
        for at, word in enumerate(words):
            if at % 2:
                following = words[at + 1]
                if "\n" in word or not self._fits(" " + following):
                    if self._line:
                        self._end_line()
                else:
                    self._put(" ")
            elif word:
                self._word(word)

    def preformatted(self, token: str) -> None:
        for at, line in enumerate(token.split("\n")):
            if at:
                self._end_line()
            for part in _TOKEN.findall(line):
                if part.startswith("<") and len(part) > 1:
                    self.tag(part)
                else:
                    self._word(part)

    def _word(self, word: str) -> None:
        if self._fits(word):
            self._put(word)
            return
        pieces = _pieces(word, _LINE - len("<wbr"), first=_LINE - len("<wbr") - self._weight)
        for at, piece in enumerate(pieces):
            if at:
                self._put("<wbr")
                self._end_line()
                self._put(">")
            self._put(piece)

    def finished(self) -> str:
        self._end_line()
        return "\n".join(self._lines)


def _pieces(text: str, room: int, *, first: int | None = None, escaped: bool = True) -> list[str]:
    """Cut into pieces of at most `room` (the first: `first`), at the best place in each second half."""
    left = room if first is None else first
    if weight(text, escaped=escaped) <= left:
        return [text]
    pieces: list[str] = []
    taken: list[str] = []
    size, best = 0, 0
    clusters: list[str] = []
    for at, piece in enumerate(_ENTITY.split(text)):
        clusters += [piece] if at % 2 else graphemes(piece)
    for at, cluster in enumerate(clusters):
        octets = weight(cluster, escaped=escaped)
        if size + octets > left and (taken or left < room):
            cut = best if best > len(taken) // 2 else len(taken)
            pieces.append("".join(taken[:cut]))
            taken = taken[cut:]
            left, size, best = room - 1, weight("".join(taken), escaped=escaped), 0
        taken.append(cluster)
        size += octets
        after = clusters[at + 1] if at + 1 < len(clusters) else ""
        if (cluster in _BREAK_BEHIND and after not in _NO_BREAK_BEFORE) or cluster == " ":
            best = len(taken)
    return [*pieces, "".join(taken)]
