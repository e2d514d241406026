"""Two or three sentences out of an article's body, for the mail; the page has the whole.

In: an article. Out: plain text. Caller: composition.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from bdnews_dispatch.digests.inline import plain
from bdnews_dispatch.digests.typography import cut_inside, ends_sentence, sentences
from bdnews_dispatch.issues.document import Article, Block, BlockType

#: After this share of the limit another sentence is added only behind no heading: a new heading is a new
#: thought.
_ENOUGH = 0.35
_AT_LEAST = 0.66
_MOST_SENTENCES = 3
#: Sentences that are looked at; an excerpt never begins further down.
_MOST_READ = 40
#: Sentences of which so much stands in the editor's note have been read already.
_SAID_ALREADY = 0.7
_SOURCE_LINE = re.compile(r"\s*[（(]?\s*(?:来源|文章来源|资料来源|来源于)\s*[:：][^。（）()]{1,60}[）)]?\s*$")


def excerpt(article: Article, limit: int = 180) -> str:
    """The beginning of the body, cut at a sentence end.

    Headings, pictures, tables, code and bylines are passed over. Sentences at the front that the editor's
    note has said already are left out, so that nobody reads the same twice in a row. Nothing is left out in
    the middle.

    Args:
        article: any; one without a body gives "".
        limit: characters; a longer first sentence is cut inside, with `…`.
    """
    said = _pairs(article.editor_note)
    pieces = list(islice(_sentences(article.body), _MOST_READ))
    if pieces and _letters(pieces[0][0]) == _letters(plain(article.title)):
        # An item without a title of its own was given its first sentence for one.
        del pieces[0]
    fresh = _said_before([text for text, _ in pieces], said)
    kept = ""
    for count, (text, behind_heading) in enumerate(pieces[fresh:]):
        if kept and (
            len(kept) + len(text) > limit
            or count == _MOST_SENTENCES
            or len(kept) >= limit * _AT_LEAST
            or (behind_heading and len(kept) >= limit * _ENOUGH)
        ):
            break
        kept += text if not kept or not _is_latin_joint(kept, text) else f" {text}"
    return cut_inside(kept, limit)


def _sentences(body: Iterable[Block]) -> Iterator[tuple[str, bool]]:
    """Every sentence, and whether a heading stands before it; of lists only where nothing else speaks."""
    body = tuple(body)
    spoken = list(islice(_spoken(body, {BlockType.PARAGRAPH, BlockType.QUOTE}), _MOST_READ))
    yield from spoken or _spoken(body, {BlockType.PARAGRAPH, BlockType.QUOTE, BlockType.LIST}, whole=True)


def _spoken(
    body: Iterable[Block], kinds: set[BlockType], *, whole: bool = False
) -> Iterator[tuple[str, bool]]:
    behind_heading = False
    for block in body:
        if block.type is BlockType.HEADING:
            behind_heading = True
        if block.type not in kinds:
            continue
        for line in block.items or (block.text,):
            text = _SOURCE_LINE.sub("", plain(line))
            for sentence in sentences(text):
                # A byline, a date or a caption is no sentence.
                if whole or ends_sentence(sentence):
                    yield sentence, behind_heading
                    behind_heading = False


def _is_latin_joint(before: str, after: str) -> bool:
    return before[-1:].isascii() and after[:1].isascii()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _pairs(text: str) -> frozenset[str]:
    letters = _letters(text)
    return frozenset(letters[at : at + 2] for at in range(len(letters) - 1))


def _said_before(texts: Sequence[str], said: frozenset[str]) -> int:
    """How many sentences at the front the note has said: all but for a few words, and the last of them surely."""
    fresh, total, known = 0, 0, 0
    for count, text in enumerate(texts, start=1):
        own = _pairs(text)
        total += len(own)
        known += len(own & said)
        if len(own & said) >= _SAID_ALREADY * len(own) and known >= _SAID_ALREADY * total:
            fresh = count
    return fresh if fresh < len(texts) else 0
