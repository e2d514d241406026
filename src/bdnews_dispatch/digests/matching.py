"""Interest × issue: which sections a reader gets, or why none.

In: an `Interest` and the issues of one dispatch. Out: section keys, or a `Skip` with its reason, which the
ledger counts.
Callers: dispatch planning, previews.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bdnews_dispatch.issues.document import IssueDocument


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
