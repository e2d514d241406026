"""A template's fields, made to fit the platform's rules by their kind.

In: the account's fields (`thing1` → `title`) and the card's values. Out: the `data` of message/template/send,
or `FieldError`. Called by channel.py. The kind is the name without its digits. Colours are never sent, emoji
are taken out, what is too long is cut by grapheme: over-length is refused with 47003.

Source of the rules: 参数值内容限制说明, developers.weixin.qq.com, subscribeMessage.send; 模板消息 has the
same.
"""

import re
from collections.abc import Callable, Mapping

import regex

from bdnews_dispatch.errors import ChannelError, Phrase

#: Emoji and what joins or colours them. Digits, # and * are Emoji by property, but no pictographs: they stay.
_EMOJI = regex.compile(
    r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\ufe0e\ufe0f\u20e3]"
)
_SPACE = regex.compile(r"[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+")
_GRAPHEME = regex.compile(r"\X")
_DATE = regex.compile(r"(\d{4})\s*[年./-]\s*(\d{1,2})\s*[月./-]\s*(\d{1,2})\s*日?")
_TIME = regex.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?")
_NUMBER = regex.compile(r"-?\d+(?:\.\d+)?")
_DIGIT = regex.compile(r"\d+")
_HAN = regex.compile(r"\p{Han}")
_NOT_ASCII = regex.compile(r"[^\x20-\x7e]+")
_PLACE = re.compile(r"\{\{\s*(\w+)\.DATA\s*\}\}")
_ELLIPSIS = "…"


class FieldError(ValueError):
    """A field can't be filled; the message names it."""


def template_data(names: Mapping[str, str], values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Fill a template.

    Args:
        names: field of the template → which value fills it, as `wechat.template_fields`.
        values: title, number, date, sections, summary.

    Raises:
        FieldError: a value is missing or nothing of it fits; the kind is unknown.
    """
    filled = {}
    for field, source in names.items():
        fit = _KINDS.get(field.rstrip("0123456789"))
        if fit is None:
            raise FieldError(f"模板字段 {field} 的类型未知")
        text = fit(clean(values.get(source, "")))
        if not text:
            raise FieldError(f"模板字段 {field} 没有可用的内容（来自 {source}）")
        filled[field] = {"value": text}
    return filled


def check_template(
    names: Mapping[str, str], content: str, *, setting: str = "wechat.template_fields"
) -> None:
    """Do the configured fields fit the account's template?

    Args:
        names: as `wechat.template_fields`.
        content: as template/get_all_private_template tells it: `题目:{{thing1.DATA}}`, a line each.
        setting: where the fields are written.

    Raises:
        ChannelError: the text names each field that is not in the template, is missing, or is of an unknown kind.
    """
    there = _PLACE.findall(content)
    wrong = [Phrase("%(field)s 不在模板里", field=field) for field in names if field not in there]
    wrong += [Phrase("%(field)s 没有设置内容", field=field) for field in there if field not in names]
    wrong += [
        Phrase("%(field)s 的类型未知", field=field)
        for field in names
        if field.rstrip("0123456789") not in _KINDS
    ]
    if wrong:
        raise ChannelError(
            Phrase("%(setting)s 与公众号的模板不符：%(wrong)s", setting=setting, wrong=wrong),
            hint=Phrase(
                "模板的字段是：%(fields)s。请改 %(setting)s。",
                fields=there or Phrase("（没有）"),
                setting=setting,
            ),
        )


def clean(text: str) -> str:
    """One line without emoji, controls and doubled spaces."""
    return str(_SPACE.sub(" ", _EMOJI.sub("", text))).strip()


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; what is cut ends in an ellipsis and never in half a character.

    Graphemes are kept whole, and code points are counted: it is not known which of both the platform counts.
    """
    if len(text) <= limit:
        return text
    kept = ""
    for grapheme in _GRAPHEME.findall(text):
        if len(kept) + len(grapheme) > limit - 1:
            break
        kept += grapheme
    return kept.rstrip(" ，、；：。,;:") + _ELLIPSIS


def _thing(text: str) -> str:
    return shorten(text, 20)


def _character_string(text: str) -> str:
    """32 ASCII; what is not ASCII between two pieces leaves a hyphen, so that 2022年第6期 is 2022-6, not 20226."""
    pieces = str(_NOT_ASCII.sub("-", text)).replace("- ", " ").replace(" -", " ")
    return pieces.strip(" -")[:32].rstrip(" -")


def _letter(text: str) -> str:
    return "".join(c for c in text if c.isascii() and c.isalpha())[:32]


def _number(text: str) -> str:
    found = _NUMBER.search(text)
    return found.group()[:32].rstrip(".") if found else ""


def _phrase(text: str) -> str:
    return "".join(_HAN.findall(text))[:5]


def _name(text: str) -> str:
    """10 Hanzi; without any, 20 letters and signs; mixed counts as Chinese."""
    letters = str(_DIGIT.sub("", text)).strip()
    return letters[: 10 if _HAN.search(letters) else 20].strip()


def _date(text: str) -> str:
    found = _DATE.search(text)
    if not found:
        return ""
    year, month, day = (int(part) for part in found.groups())
    return f"{year}年{month}月{day}日" if 1 <= month <= 12 and 1 <= day <= 31 else ""


def _time(text: str) -> str:
    """Hour and minute, with the date before it where there is one."""
    found = _TIME.search(text)
    return f"{_date(text)} {found.group()}".strip() if found else ""


_KINDS: Mapping[str, Callable[[str], str]] = {
    "thing": _thing,
    "character_string": _character_string,
    "letter": _letter,
    "number": _number,
    "phrase": _phrase,
    "name": _name,
    "date": _date,
    "time": _time,
    "const": _thing,
}
