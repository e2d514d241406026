"""What the platform lets pass in a template's fields: the stand-in's own reading of the rules.

In: the name of a field and its value. Out: a fault in the platform's words, or nothing. Called by
wechat_platform.py. Written apart from channels/wechat/fields.py on purpose: the one checks the other.

Source: 参数值内容限制说明, developers.weixin.qq.com, subscribeMessage.send; 模板消息 has the same since 2023-05.
"""

from collections.abc import Mapping

import regex

_DAY = r"(\d{4}年)?\d{1,2}月\d{1,2}日|\d{4}年\d{1,2}月|(\d{4}[-/.])?\d{1,2}[-/.]\d{1,2}|\d{4}[-/.]\d{1,2}"
_CLOCK = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?"

_PATTERNS: Mapping[str, str] = {
    "thing": r".{1,20}",
    "number": r"(?=.{1,32}$)-?\d+(\.\d+)?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\p{Han}\w\s]{1,5}",
    "character_string": r"[\x20-\x7e]{1,32}",
    "time": rf"(({_DAY}) )?{_CLOCK}(~(({_DAY}) )?{_CLOCK})?",
    "date": rf"({_DAY})( {_CLOCK})?(~({_DAY})( {_CLOCK})?)?",
    "amount": r"[¥￥$€£]?\d{1,10}(\.\d+)?元?",
    "phone_number": r"[\d+\-]{1,17}",
    "name": r"(?=.*\p{Han})[^\d]{1,10}|[^\p{Han}\d]{1,20}",
    "phrase": r"\p{Han}{1,5}",
    "const": r".{1,20}",
}
_COMPILED = {kind: regex.compile(pattern) for kind, pattern in _PATTERNS.items()}
_EMOJI = regex.compile(r"[\p{Extended_Pictographic}--[©®™]]|\p{Regional_Indicator}|\u20e3|\ufe0f", regex.V1)
_CONTROL = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}]")


def fault_of_field(name: str, given: object) -> str:
    """What is wrong with `data[name]`; empty if nothing is. The words name the field, as 47003 does."""
    if not isinstance(given, dict) or not isinstance(given.get("value"), str):
        return f"argument invalid! data.{name}.value is empty"
    value = given["value"]
    if not value.strip():
        return f"argument invalid! data.{name}.value is empty"
    if "color" in given:
        return f"argument invalid! data.{name}.color is not supported"
    pattern = _COMPILED.get(name.rstrip("0123456789"))
    if pattern is None or _CONTROL.search(value) or _EMOJI.search(value) or not pattern.fullmatch(value):
        return f"argument invalid! data.{name}.value invalid"
    return ""
