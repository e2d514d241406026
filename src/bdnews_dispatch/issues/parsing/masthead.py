"""Who makes the issue: roles and names, ways to reach the editors, the 声明.

In: lines of the cover pages. Out: `Masthead` and the lines that were none of it. Callers: cover.py.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bdnews_dispatch.issues.parsing.folding import squeeze, without_emphasis
from bdnews_dispatch.issues.parsing.layout import MastheadLayout
from bdnews_dispatch.issues.parsing.marks import label_end

#: A longer line is prose.
_LONGEST_LINE = 300
_LONGEST_NAME_LINE = 80
_PROSE = re.compile(r"[。！？；，]")
_BOLD_LABEL = re.compile(r"(?:\*\*|__)([^*_]{1,16})(?:\*\*|__)\s*[:：]?\s*")
_WIDE_GAP = re.compile(r"\s{2,}|\u3000+|\t+")
_NAME_MARKS = re.compile(r"[、，,;；/|]")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class CoverLine:
    """A line of the cover pages. `picture_after`: a picture stood under it."""

    text: str
    line: int
    is_heading: bool = False
    picture_after: bool = False


@dataclass(slots=True)
class Masthead:
    """What was found.

    Attributes:
        roles: role → names, both in order (the inner dict is an ordered set).
        pictures: labels whose value is a picture (新媒体 with its QR code).
    """

    roles: dict[str, dict[str, None]] = field(default_factory=dict)
    contact: dict[str, str] = field(default_factory=dict)
    notice: list[str] = field(default_factory=list)
    pictures: list[CoverLine] = field(default_factory=list)


class MastheadReader:
    """Takes the cover's lines one by one; `take` says whether a line was the masthead's."""

    def __init__(self, layout: MastheadLayout) -> None:
        self.found = Masthead()
        self._layout = layout
        self._labels = _labels_pattern((*layout.roles, *layout.contact))
        self._contact = {squeeze(label) for label in layout.contact}
        self._open_role: str | None = None
        self._open_contact: str | None = None
        self._in_notice = False

    def starts(self, text: str) -> bool:
        """Whether this line begins a role, a contact or the notice."""
        if len(text) > _LONGEST_LINE:
            return bool(label_end(text, self._layout.notice_pattern))
        return bool(label_end(text, self._layout.notice_pattern)) or bool(self._labels_in(text))

    def take(self, line: CoverLine) -> bool:
        if end := label_end(line.text, self._layout.notice_pattern):
            self._close()
            self._in_notice = True
            if rest := line.text[end:].strip(" \t\u3000*_：:"):
                self.found.notice.append(rest)
            return True
        if len(line.text) <= _LONGEST_LINE and (labels := self._labels_in(line.text)):
            self._close()
            for label, value in labels:
                self._take_label(label, value, line)
            return True
        return self._take_continuation(line)

    def interrupt(self) -> None:
        """Something else came between: what follows continues nothing."""
        self._close()

    def _close(self) -> None:
        self._open_role = self._open_contact = None
        self._in_notice = False

    def _take_label(self, label: str, value: str, line: CoverLine) -> None:
        if label in self._contact:
            if value:
                self._add_contact(label, value)
            elif line.picture_after:
                self.found.pictures.append(CoverLine(label, line.line))
            else:
                self.found.contact.setdefault(label, "")
                self._open_contact = label
        else:
            self.found.roles.setdefault(label, {}).update(dict.fromkeys(split_names(value)))
            self._open_role = label

    def _add_contact(self, label: str, value: str) -> None:
        known = self.found.contact.get(label, "")
        self.found.contact[label] = value if known in {"", value} else f"{known} {value}"

    def _take_continuation(self, line: CoverLine) -> bool:
        text = without_emphasis(line.text)
        if self._in_notice and not line.is_heading:
            self.found.notice.append(line.text)
        elif self._open_contact and not line.is_heading and len(text) <= _LONGEST_NAME_LINE:
            self._add_contact(self._open_contact, text)
            self._open_contact = None
        elif (
            self._open_role
            and not line.is_heading
            and len(text) <= _LONGEST_NAME_LINE
            and not _PROSE.search(text.rstrip("，；"))
        ):
            self.found.roles[self._open_role].update(dict.fromkeys(split_names(text)))
        else:
            return False
        return True

    def _labels_in(self, text: str) -> list[tuple[str, str]]:
        """Labels and their values, if the line begins with one."""
        spots = [(match.start(), match.end(), squeeze(match[1])) for match in self._labels.finditer(text)]
        if not spots or text[: spots[0][0]].strip(" \t\u3000*_"):
            bold = _BOLD_LABEL.match(text)
            if not bold or not self.found.roles or _PROSE.search(text):
                return []
            return [(squeeze(bold[1]).rstrip(":"), without_emphasis(text[bold.end() :]))]
        # Behind the first label another one needs a colon or emphasis: 主编 could be somebody's words.
        kept = [spots[0], *(spot for spot in spots[1:] if text[spot[0] : spot[1]].rstrip()[-1] in ":：*_")]
        ends = [spot[0] for spot in kept[1:]] + [len(text)]
        return [
            (label, without_emphasis(text[end:until]).lstrip(":： \u3000"))
            for (_, end, label), until in zip(kept, ends, strict=True)
        ]


def _labels_pattern(labels: Iterable[str]) -> re.Pattern[str]:
    spaced = [r"\s*".join(map(re.escape, squeeze(label))) for label in sorted(labels, key=len, reverse=True)]
    if not spaced:
        return re.compile(r"(?!)()")
    emphasis = r"(?:\*\*|__)"
    return re.compile(
        rf"(?:(?<=\s)|(?<=\|)|^){emphasis}?({'|'.join(spaced)})\s?[:：]?(?:{emphasis}\s?[:：]?|(?<=[:：])|\s|$)"
    )


def split_names(text: str) -> list[str]:
    """Names on a line: `宋希贤 程 茹` is two people, for a name of two characters is printed with a blank inside."""
    text = without_emphasis(text)
    if _NAME_MARKS.search(text):
        chunks = [_one_name(chunk) for chunk in _NAME_MARKS.split(text)]
    else:
        chunks = [name for chunk in _WIDE_GAP.split(text) for name in _paired(chunk.split())]
        if not any(
            len(name) > 1 for name in chunks
        ):  # 程　茹　杨　婷: the wide blanks are inside the names too
            chunks = _paired(text.split())
    return [name for name in chunks if name]


def _one_name(chunk: str) -> str:
    parts = chunk.split()
    return "".join(parts) if all(_HAN.fullmatch(part) for part in parts) else " ".join(parts)


def _paired(tokens: list[str]) -> list[str]:
    """Join single characters two by two (three at the end of an odd run), and Latin words in a row."""
    names: list[str] = []
    run: list[str] = []
    for token in [*tokens, ""]:
        if token and _HAN.fullmatch(token):
            run.append(token)
            continue
        while run:
            size = 3 if len(run) == 3 else 2
            names.append("".join(run[:size]))
            run = run[size:]
        if token.isascii() and names and names[-1].replace(" ", "").isascii() and token:
            names[-1] += f" {token}"
        elif token:
            names.append(token)
    return names
