"""Interest × issue: which sections a reader gets, or why none.

In: an `Interest` and the issues of one dispatch. Out: section keys, or a `Skip` with its reason, which the
ledger counts.
Callers: dispatch planning, previews.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bdnews_dispatch.issues.document import IssueDocument

#: Longest key; what the ledger's column holds.
_KEY_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Interest:
    """What a reader asked for.

    Attributes:
        whole: the whole issue, not personalised (also a right by PIPL art. 24).
        sections: keys of the chosen sections; not looked at where `whole` is set.
    """

    whole: bool
    sections: frozenset[str]


@dataclass(frozen=True, slots=True)
class Skip:
    """No digest for this reader, and why. The reason is a metric's label and never changes."""

    reason: Literal["no_matching_section", "empty_issue"]


def match(interest: Interest, documents: Sequence[IssueDocument]) -> frozenset[str] | Skip:
    """The sections this reader gets of these issues.

    Returns:
        The keys that hold at least one article in at least one of the issues; or a Skip: `empty_issue`
        where no issue holds any article, `no_matching_section` where none of the chosen sections does.
    """
    filled = frozenset(
        section.key for document in documents for section in document.sections if section.articles
    )
    if not filled:
        return Skip("empty_issue")
    if interest.whole:
        return filled
    return filled & interest.sections or Skip("no_matching_section")


def variant_key(sections: Collection[str], *, language: str = "zh", track: bool = True) -> str:
    """A stable, short name for all that two readers of a dispatch share: "company+local", "policy.en.plain".

    Args:
        sections: the keys that `match` gave, in any order; none for a bulletin.
        language: of the labels.
        track: False for readers who said "no tracking".

    Returns:
        At most 64 characters of ASCII; a long list of sections is named by its hash.
    """
    tail = ("" if language == "zh" else f".{language}") + ("" if track else ".plain")
    name = "+".join(sorted(sections)) or "bulletin"
    if len(name) + len(tail) > _KEY_LENGTH:
        name = f"{len(sections)}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name + tail
