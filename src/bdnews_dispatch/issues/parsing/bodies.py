"""An article's body: blocks, with page breaks mended, pictures and QR codes remembered, and the source taken out.

In: the marked units of one article. Out: `Body`. Callers: articles.py, items.py, issue.py (preface).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bdnews_dispatch.issues.document import Block, BlockType
from bdnews_dispatch.issues.parsing import joining, sources
from bdnews_dispatch.issues.parsing.layout import Layout
from bdnews_dispatch.issues.parsing.marks import Mark, Marked
from bdnews_dispatch.issues.parsing.units import Unit


@dataclass(slots=True)
class Body:
    """The blocks of an article and its source."""

    blocks: list[Block] = field(default_factory=list)
    source: str = ""

    def words(self) -> str:
        """All of it in lines, pictures as Markdown; for notes, which are words alone."""
        return "\n".join(filter(None, map(_as_line, self.blocks)))


def _as_line(block: Block) -> str:
    if not block.url:
        return block.text
    picture = f"![{block.text}]({block.url})"
    return f"[{picture}]({block.link})" if block.link else picture


def read_body(units: Iterable[Marked], layout: Layout, *, with_source: bool = True) -> Body:
    """Make the body of an article from its units.

    Args:
        units: the article's, without its title and note.
        layout: for pictures and page breaks.
        with_source: look for the source and take it out of the text.
    """
    drafts = joining.join(
        _drafts(units), across_pages=bool(layout.pages and layout.pages.join_cut_paragraphs)
    )
    body = Body()
    if with_source:
        body.source = _take_source(drafts)
    if layout.pages:
        drafts = _captions_into_pictures(drafts)
    body.blocks = [_block(draft) for draft in _without_last_gap(drafts)]
    return body


def _drafts(units: Iterable[Marked]) -> list[Unit]:
    drafts: list[Unit] = []
    for marked in units:
        unit = marked.unit
        if marked.mark in {Mark.SECTION, Mark.RUNNING, Mark.NOTE}:
            continue  # furniture: the document says it elsewhere
        if unit.picture_before and marked.mark is not Mark.QR and unit.kind is not BlockType.IMAGE:
            drafts.append(Unit(BlockType.IMAGE, "", max(1, unit.line - 1)))
        if marked.mark is Mark.QR:
            drafts.append(Unit(BlockType.QR_CODE, "", unit.line))
        else:
            drafts.append(unit)
    return drafts


def _take_source(drafts: list[Unit]) -> str:
    """The article's source, out of the last paragraph that ends in one; a chart's stays where it is."""
    found = {
        at: source
        for at, draft in enumerate(drafts)
        if draft.kind is BlockType.PARAGRAPH and (source := sources.source_at_end(draft.text))
    }
    if not found:
        return ""
    last_text = max(at for at, draft in enumerate(drafts) if draft.text)
    bracketed = [at for at, source in found.items() if source.bracketed]
    under_picture = drafts[last_text - 1].kind is BlockType.IMAGE if last_text else False
    if last_text in found and not (under_picture and bracketed and bracketed[-1] != last_text):
        at = last_text
    elif bracketed:
        at = bracketed[-1]
    else:
        return ""
    source = found[at]
    text = drafts[at].text
    rest = f"{text[: source.begin].rstrip()}{text[source.end :].strip()}"
    if rest:
        drafts[at] = joining.with_text(drafts[at], rest)
    else:
        del drafts[at]
    return source.words


def _captions_into_pictures(drafts: Sequence[Unit]) -> list[Unit]:
    """The words over or under a picture that can only be its caption become its text."""
    done: list[Unit] = []
    at = 0
    while at < len(drafts):
        draft = drafts[at]
        if draft.kind is not BlockType.IMAGE or draft.url or draft.text:
            done.append(draft)
            at += 1
            continue
        caption: list[str] = []
        following = drafts[at + 1] if at + 1 < len(drafts) else None
        if following and following.kind is BlockType.PARAGRAPH and sources.is_chart_source(following.text):
            if done and joining.is_caption(done[-1]):
                caption.append(done.pop().text)
            caption.append(following.text)
            at += 1
        elif (
            following and joining.is_caption(following) and _text_on_both_sides(done, drafts[at + 2 : at + 3])
        ):
            caption.append(following.text)
            at += 1
        done.append(joining.with_text(draft, "\n".join(caption)))
        at += 1
    return done


def _text_on_both_sides(before: Sequence[Unit], after: Sequence[Unit]) -> bool:
    """A byline under a title stands alone too; a caption stands in the midst of text."""
    return bool(before) and bool(before[-1].text) and not joining.is_caption(before[-1]) and bool(after)


def _without_last_gap(drafts: list[Unit]) -> list[Unit]:
    """The gap at an article's end is the rest of its page."""
    while drafts and drafts[-1].kind is BlockType.IMAGE and not drafts[-1].url and not drafts[-1].text:
        drafts.pop()
    return drafts


def _block(draft: Unit) -> Block:
    return Block(
        type=draft.kind,
        text=draft.text,
        level=draft.level if draft.kind is BlockType.HEADING else None,
        items=draft.items,
        rows=draft.rows,
        url=draft.url,
        link=draft.link,
        line=draft.line,
    )
