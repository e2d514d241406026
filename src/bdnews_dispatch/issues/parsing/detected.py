"""A file that may belong to any publication. Callers: issues/ (the folder), cli/, web/api/: every
way in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bdnews_dispatch.issues.document import Block, BlockType, IssueDocument, Warning_, reference
from bdnews_dispatch.issues.parsing.detection import detect_publication
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.issue import parse_issue
from bdnews_dispatch.issues.parsing.pdf import is_pdf, read_pdf
from bdnews_dispatch.issues.parsing.pictures import PreparedPicture, prepare
from bdnews_dispatch.issues.parsing.structured import is_json, read_json
from bdnews_dispatch.issues.parsing.zipped import Zipped, is_zip
from bdnews_dispatch.issues.publications import Publications

#: Pictures that are decoded of one file.
_MOST_PICTURES = 100


@dataclass(frozen=True, slots=True)
class Detected:
    """What a file holds: an issue, and the pictures that it brought along, by digest."""

    document: IssueDocument
    pictures: Mapping[str, PreparedPicture]


def parse_detected(data: bytes, publications: Publications, key: str | None, *, max_bytes: int) -> Detected:
    """Parse it as its publication's; the words of a PDF as if they were Markdown; what is JSON is read.

    Args:
        key: of the publication; None: what the file's own words say, else the default one.
        max_bytes: of the file, and of the text in it.

    Raises:
        IssueError: it can't be read.
        NotFoundError: there is no such publication.
    """
    if is_json(data):
        return Detected(read_json(data, publications, key, max_bytes=max_bytes), {})
    zipped: Zipped | None = None
    if len(data) <= max_bytes:
        if is_pdf(data):
            data = read_pdf(data)
        elif is_zip(data):
            zipped = Zipped(data, max_bytes=max_bytes)
            data = zipped.markdown
    if key is None and len(data) <= max_bytes:
        publication = detect_publication(data, publications) or publications.named(None)
    else:
        publication = publications.named(key)
    document = parse_issue(data, publication, max_bytes=max_bytes)
    return _with_pictures(document, zipped) if zipped is not None else Detected(document, {})


class _Filling:
    """Puts references in the place of addresses inside a ZIP."""

    def __init__(self, zipped: Zipped) -> None:
        self.findings = Findings()
        self.pictures: dict[str, PreparedPicture] = {}
        self._zipped = zipped
        self._known: dict[str, PreparedPicture | None] = {}

    def blocks(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(self._block(block) for block in blocks)

    def _block(self, block: Block) -> Block:
        if block.type is not BlockType.IMAGE or not block.url or not _is_inside(block.url):
            return block
        picture = self._picture(block)
        if picture is None:
            return block
        self.pictures[picture.digest] = picture
        return block.model_copy(update={"url": reference(picture.digest)})

    def _picture(self, block: Block) -> PreparedPicture | None:
        if block.url in self._known:
            return self._known[block.url]
        found: PreparedPicture | None = None
        if len(self._known) >= _MOST_PICTURES:
            self.findings.warn(
                block.line, "picture.too_many", f"图片超过 {_MOST_PICTURES} 张，其余没有收入。"
            )
            return None
        data = self._zipped.picture(block.url)
        if data is None:
            self.findings.warn(block.line, "picture.missing", f"ZIP 里没有图片“{block.url[:80]}”。")
        else:
            found = prepare(data)
            if found is None:
                self.findings.warn(
                    block.line,
                    "picture.unreadable",
                    f"图片“{block.url[:80]}”读不了：请用 JPEG（三千万像素内）、PNG、GIF、WebP、BMP（一千六百万内）。",
                )
        self._known[block.url] = found
        return found


def _is_inside(url: str) -> bool:
    """Whether an address is a path, not one of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def _with_pictures(document: IssueDocument, zipped: Zipped) -> Detected:
    filling = _Filling(zipped)
    sections = tuple(
        section.model_copy(
            update={
                "articles": tuple(
                    article.model_copy(update={"body": filling.blocks(article.body)})
                    for article in section.articles
                )
            }
        )
        for section in document.sections
    )
    preface = filling.blocks(document.preface)
    warnings = sorted((*document.warnings, *filling.findings.listed()), key=_line)
    filled = document.model_copy(
        update={"sections": sections, "preface": preface, "warnings": tuple(warnings)}
    )
    return Detected(filled, filling.pictures)


def _line(warning: Warning_) -> int:
    return warning.line
