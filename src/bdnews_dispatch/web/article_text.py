"""An article's blocks as plain data for the template: no HTML is made from what an issue file says.

In: blocks with inline Markdown, hostile. Out: `Part`s of `Span`s, which the template escapes. Caller: archive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bdnews_dispatch.digests.inline import plain, runs, web_url
from bdnews_dispatch.issues.document import Block, BlockType, referenced
from bdnews_dispatch.issues.pictures import PictureFacts

_NONE: Mapping[str, PictureFacts] = {}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line. `href`: http, https or mailto, else empty."""

    text: str
    strong: bool = False
    href: str = ""


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A block, ready to be shown.

    Attributes:
        kind: of the block.
        level: of a heading, as the page wants it: 2–4, below the article's title.
        lines: of a paragraph one; of a list its points; of a quote its lines.
        rows: of a table.
        text: of code, as it is; of a picture, its caption.
        href: of a picture: its address, to be followed by who wants to.
        picture: one that is stored here, with its size.
    """

    kind: str
    level: int = 2
    lines: tuple[Line, ...] = ()
    rows: tuple[tuple[Line, ...], ...] = ()
    text: str = ""
    href: str = ""
    picture: PictureFacts | None = None


def spans(text: str) -> Line:
    """One line of inline Markdown."""
    urls: list[str] = []

    def number(url: str) -> int:
        urls.append(url)
        return len(urls)

    return tuple(
        Span(run.text, run.strong, urls[run.link - 1] if run.link is not None else run.url)
        for run in runs(text, number)
    )


def parts_of(blocks: Iterable[Block], pictures: Mapping[str, PictureFacts] = _NONE) -> list[Part]:
    """The blocks in their order; a QR code to the whole text goes, for this is the whole text.

    Args:
        pictures: those that are stored, by digest.
    """
    listed = list(blocks)
    levels = sorted({block.level or 1 for block in listed if block.type is BlockType.HEADING})
    return [part for block in listed if (part := _part(block, levels, pictures)) is not None]


def _part(block: Block, levels: list[int], pictures: Mapping[str, PictureFacts]) -> Part | None:
    match block.type:
        case BlockType.QR_CODE:
            return None
        case BlockType.HEADING:
            return Part(
                "heading", level=min(4, 2 + levels.index(block.level or 1)), lines=(spans(block.text),)
            )
        case BlockType.LIST:
            items = block.items or tuple(block.text.splitlines())
            return Part("list", lines=tuple(spans(item) for item in items))
        case BlockType.QUOTE:
            return Part("quote", lines=tuple(spans(line) for line in block.text.splitlines() if line.strip()))
        case BlockType.TABLE:
            return Part("table", rows=tuple(tuple(spans(cell) for cell in row) for row in block.rows))
        case BlockType.CODE:
            return Part("code", text=block.text)
        case BlockType.IMAGE:
            return Part(
                "image",
                text=plain(block.text),
                href=web_url(block.link) or web_url(block.url),
                picture=pictures.get(referenced(block.url)),
            )
        case BlockType.PARAGRAPH:
            return Part("paragraph", lines=(spans(block.text),))
