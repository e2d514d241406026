"""How much of each article fits into one mail, since Gmail clips a message over 102 KB.

In: the issues of a digest as composed. Out: an estimate of the mail's size, and the steps down to titles alone.
Caller: composition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bdnews_dispatch.digests.digest import DigestIssue, PublicationFacts

#: What the estimate may come to; the rest up to 100 KB is for what it does not know, e.g. the length of our links.
MOST_OCTETS = 94_000
#: Measured on the shipped templates with links of 100 octets: head, masthead and foot; an article with its row of
#: source, link and QR code; an article as a line; a section's label. HTML and text part together.
_MAIL, _ARTICLE, _LINE, _SECTION = 10_500, 1_950, 480, 600
#: A note's frame in the HTML; a picture's address and size in it.
_NOTE, _PICTURE = 420, 620


@dataclass(frozen=True, slots=True)
class Fullness:
    """Characters of the editor's note and of the excerpt; `compact`: an article is a title with a line below it."""

    note: int
    excerpt: int
    compact: bool = False


#: From the fullest on; the first that fits is taken.
FULLNESS = (
    Fullness(note=300, excerpt=180),
    Fullness(note=150, excerpt=110),
    Fullness(note=0, excerpt=80),
    Fullness(note=0, excerpt=60, compact=True),
    Fullness(note=0, excerpt=0, compact=True),
)


def estimated_octets(issues: Sequence[DigestIssue], facts: PublicationFacts, *, compact: bool) -> int:
    """What the mail will come to as 8bit, text part included; rather too much than too little."""
    octets = _MAIL + 2 * len(facts.notice.encode())
    for issue in issues:
        for section in issue.sections:
            octets += _SECTION
            for article in section.articles:
                note = "".join(run.text for paragraph in article.editor_note for run in paragraph)
                words = len(f"{article.title}{note}{article.excerpt}{article.source}".encode())
                octets += 2 * words + (_LINE if compact else _ARTICLE) + _NOTE * bool(note)
                if article.picture is not None:
                    octets += _PICTURE + 2 * len(article.picture.caption.encode())
    return octets
