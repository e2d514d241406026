"""Which publication a file is an issue of. In: bytes, all publications. Out: the one whose title the file's head bears.

Callers: issues/ when nobody said which publication a file belongs to; the default one is then the caller's business.
"""

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.parsing.decoding import decode
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, squeeze
from bdnews_dispatch.issues.parsing.layout import fits_whole, read_layout
from bdnews_dispatch.issues.publications import Publication, Publications

#: A title stands at the head of a file; so many bytes and lines are looked at.
_HEAD_BYTES = 65_536
_HEAD_LINES = 80
_LONGEST_TITLE = 120


def detect_publication(data: bytes, publications: Publications) -> Publication | None:
    """The publication whose title pattern or name the first lines fit; None if there is none or the file is no text."""
    try:
        lines = decode(data[:_HEAD_BYTES], Findings(), max_bytes=_HEAD_BYTES)
    except IssueError:
        return None
    patterns = [
        (publication, read_layout(publication).cover.title_pattern) for publication in publications.values()
    ]
    for line in filter(str.strip, lines[:_HEAD_LINES]):
        text = line.strip().lstrip("#").strip()
        if len(text) > _LONGEST_TITLE:
            continue
        for publication, pattern in patterns:
            if fold(text) == fold(publication.name) or fits_whole(pattern, squeeze(text)):
                return publication
    return None
