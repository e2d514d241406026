"""What each setting means, as pages say it: each text stands in one file, beside the settings that ship.

In: config/explanations.zh-CN.toml for Chinese pages, the comments of config/bdnews.toml for English ones. Out: words
for each group and each key. Callers: listing.py, values.py, a test that wants all of them.
Three forms of comments are read: behind a value, with lines below it that hold nothing but the comment's rest; above a
key, from the first column; behind a group's name. A value may go over several lines.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from bdnews_dispatch.shipped import shipped


@dataclass(frozen=True, slots=True)
class Explanations:
    """Words by group, and by `group.key`; nothing where the file has none."""

    groups: Mapping[str, str]
    keys: Mapping[str, str]


@cache
def explanations(language: str) -> Explanations:
    """Of the settings that ship. Args: language: a page's, `zh` or `en`."""
    if language == "en":
        return read_comments((shipped("config") / "bdnews.toml").read_text(encoding="utf-8"))
    text = (shipped("config") / "explanations.zh-CN.toml").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = tomllib.loads(text)
    groups = found.pop("groups")
    return Explanations(
        groups, {f"{group}.{key}": words for group, of in found.items() for key, words in of.items()}
    )


def read_comments(text: str) -> Explanations:
    """Args: text: a file of settings that TOML can read."""
    groups: dict[str, list[str]] = {}
    keys: dict[str, list[str]] = {}
    group, above, current = "", list[str](), list[str]()
    for statement in _statements(text):
        code, comment = _split(statement)
        words = comment.removeprefix("#").strip()
        if not code.strip():
            if not comment:
                above, current = [], []
            elif statement.startswith("#"):
                above.append(words)
            else:
                current.append(words)
            continue
        if code.startswith("["):
            group = code.strip().strip("[]")
            current = groups.setdefault(group, [])
        else:
            key = code.partition("=")[0].strip()
            current = keys.setdefault(f"{group}.{key}", above)
        above = []
        if words:
            current.append(words)
    return Explanations(_joined(groups), _joined(keys))


def _joined(found: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: " ".join(lines) for name, lines in found.items() if lines}


def _statements(text: str) -> Iterator[str]:
    """Lines; those of one value together."""
    held = ""
    for line in text.splitlines():
        held = f"{held}\n{line}" if held else line
        if _reads(held):
            yield held
            held = ""


def _split(statement: str) -> tuple[str, str]:
    """What TOML reads, and the comment behind it; a sign in a text is none."""
    at = statement.find("#")
    while at >= 0:
        if _reads(statement[:at]):
            return statement[:at], statement[at:]
        at = statement.find("#", at + 1)
    return statement, ""


def _reads(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True
