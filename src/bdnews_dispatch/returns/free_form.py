"""Mails that follow no standard, told apart by rules: config/returns.toml, read once.

In: sender, subject, words. Out: `auto_reply`, `challenge`, `delayed`, `bounce`, or nothing. Caller: reading.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.shipped import shipped

FILE = "returns.toml"
#: In this order: "自动回复：系统退信说明" is a reply.
KINDS = ("auto_reply", "challenge", "delayed", "bounce")


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    sender: re.Pattern[str] | None
    subject: re.Pattern[str] | None
    body: re.Pattern[str] | None

    def fits(self, sender: str, subject: str, body: str) -> bool:
        asked = ((self.sender, sender), (self.subject, subject), (self.body, body))
        return all(pattern.search(text) for pattern, text in asked if pattern is not None)


class FreeForm:
    """The rules."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = sorted(rules, key=lambda rule: KINDS.index(rule.kind))

    @classmethod
    def load(cls) -> Self:
        """Raises: SettingsError: the file can't be read, or a rule in it is wrong."""
        file = shipped("config") / FILE
        try:
            rows = tomllib.loads(file.read_text(encoding="utf-8")).get("rule", [])
            return cls([_rule(row) for row in rows])
        except (
            OSError,
            UnicodeDecodeError,
            tomllib.TOMLDecodeError,
            KeyError,
            ValueError,
            re.error,
        ) as error:
            raise SettingsError(f"读不到退信规则 {file}：{error}") from error

    def kind_of(self, sender: str, subject: str, body: str) -> str:
        """The first kind of which a rule fits; empty: none does."""
        return next((rule.kind for rule in self._rules if rule.fits(sender, subject, body)), "")


def _rule(row: dict[str, Any]) -> _Rule:
    if row["kind"] not in KINDS or not row["source"]:
        raise ValueError(f"kind 应为 {'、'.join(KINDS)} 之一，并写明 source")
    patterns = [
        re.compile(row[name], re.IGNORECASE) if name in row else None for name in ("from", "subject", "body")
    ]
    if not any(patterns):
        raise ValueError("一条规则至少要看 from、subject、body 之一")
    return _Rule(row["kind"], *patterns)
