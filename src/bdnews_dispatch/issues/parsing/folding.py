"""Text made comparable. In: text as printed. Out: the same without what OCR and typists change. Callers: this package.

`fold` compares titles and names; `squeeze` is what the patterns of config/publications/*.toml are matched against.
"""

import re
import unicodedata

from bdnews_dispatch.issues.publications import Publication

_EMPHASIS = re.compile(r"\*\*|__|[*`]")
_SPACES = re.compile(r"\s+")
_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}


def fold(text: str) -> str:
    """Letters, digits and Han alone, widths and cases made one: `（２０２２ 年）——Ａ` and `(2022年) - a`
    are the same.
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def squeeze(text: str) -> str:
    """Half-width, without blanks and emphasis; punctuation stays: `**声 明：**` becomes `声明:`."""
    return _SPACES.sub("", without_emphasis(unicodedata.normalize("NFKC", text)))


def without_emphasis(text: str) -> str:
    """`**bold**` becomes `bold`."""
    return _EMPHASIS.sub("", text).strip()


def read_number(digits: str) -> int | None:
    """`104`, `１０４`, `一〇四` and `一百零四` are 104; None for anything else."""
    if digits.isdecimal():
        return int(digits)
    if not digits or any(character not in _DIGITS and character not in _UNITS for character in digits):
        return None
    if not any(character in _UNITS for character in digits):
        return int("".join(str(_DIGITS[character]) for character in digits))
    total, pending = 0, 0
    for character in digits:
        if character in _UNITS:
            total += (pending or 1) * _UNITS[character]
            pending = 0
        else:
            pending = _DIGITS[character]
    return total + pending


def sections_by_name(publication: Publication) -> dict[str, str]:
    """Folded name or alias → key."""
    known: dict[str, str] = {}
    for section in publication.sections:
        for name in (section.name, *section.aliases):
            known.setdefault(fold(name), section.key)
    return known
