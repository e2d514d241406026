"""The parsed issue: what parsing gives, the store keeps, digests are made of. Frozen, plain, JSON in and out."""

import datetime as dt
import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import count

from pydantic import BaseModel, ConfigDict, Field

_REFERENCE = re.compile(r"picture:([0-9a-f]{64})")


class BlockType(StrEnum):
    """Kinds of block in an article's body."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    QUOTE = "quote"
    CODE = "code"
    #: A picture; `text` is its caption or empty, `url` its address or empty where only the gap was left.
    IMAGE = "image"
    #: Where a QR code to the whole text stood; `text` is always empty.
    QR_CODE = "qr_code"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Block(_Frozen):
    """One block of a body.

    Attributes:
        level: of a heading, 1–6; None else.
        text: the words; inline Markdown (links, **bold**) is kept. A list or quote keeps its lines.
        items: the points of a list, without their marks.
        rows: the cells of a table, row by row.
        url: of a picture: of the web, or `reference` to one that is stored here.
        link: where a picture leads when it is clicked; empty for most.
        line: where it begins in the file, from 1.
    """

    type: BlockType
    text: str
    level: int | None = None
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    url: str = ""
    link: str = ""
    line: int = 1


class Article(_Frozen):
    """One article. `page` is the contents' page; `line` is the title's line (0: named in the contents only)."""

    title: str
    page: int | None = None
    editor_note: str = ""
    source: str = ""
    url: str = ""
    body: tuple[Block, ...] = ()
    line: int = 1


class Section(_Frozen):
    key: str
    name: str = ""
    articles: tuple[Article, ...]


class Warning_(_Frozen):  # noqa: N801  # `Warning` is a builtin
    """Something a person should look at. `code` is a dotted name that never changes."""

    line: int
    code: str
    message: str


class IssueDocument(_Frozen):
    """A parsed issue.

    Attributes:
        publication: the key of its publication.
        number: within the year or series, as printed (第6期).
        total_number: since the first issue (总第104期); what identifies the issue.
        masthead: role → names, in the order of the page.
        contact: what → how (咨询电话, 邮箱 …), in the order of the page.
        notice: the 声明.
        preface: words in front of the first section that belong to the issue as a whole.
        places: of a text that was corrected by hand, which number each of its articles has in the text that came in,
            in the order in which they stand now: mails that are out name them by it. Empty: as they stand.
    """

    publication: str
    number: int | None = None
    total_number: int | None
    date: dt.date | None = None
    title: str
    tagline: str = ""
    masthead: dict[str, tuple[str, ...]] = {}
    contact: dict[str, str] = {}
    notice: str = ""
    preface: tuple[Block, ...] = ()
    sections: tuple[Section, ...]
    warnings: tuple[Warning_, ...] = ()
    places: tuple[int, ...] = Field(default=(), description="Ours to give: ignored in what comes in.")

    def articles(self) -> Iterator[tuple[int, Section, Article]]:
        """Every article in the order of the contents, with its place, by which addresses name it (from 1), and its
        section.
        """
        placed = [(section, article) for section in self.sections for article in section.articles]
        for place, (section, article) in zip(self.places or count(1), placed, strict=False):
            yield place, section, article


def reference(digest: str) -> str:
    """How a document names a stored picture, in a block's `url`."""
    return f"picture:{digest}"


def referenced(url: str) -> str:
    """The digest that a block's `url` names, or ""."""
    found = _REFERENCE.fullmatch(url)
    return found.group(1) if found else ""
