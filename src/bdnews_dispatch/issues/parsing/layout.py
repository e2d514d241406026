"""What parsing needs to know of a publication's pages: the [layout] tables of config/publications/*.toml.

In: `Publication.layout`. Out: `Layout`. Callers: this package. Every *_pattern is matched against `folding.squeeze`d
text: half-width, without blanks and emphasis. An empty pattern means that the publication has no such thing.
"""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.issues.publications import Publication


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CoverLayout(_Frozen):
    """How the issue names itself.

    Attributes:
        title_pattern: the whole line of the title; may hold the groups `title`, `number`, `tagline`.
        number_pattern, total_number_pattern: the group `number`.
        date_pattern: the groups `year`, `month`, `day`.
        numbered_without_break: the number is the total number, there is no counting by year.
        required: what is warned about when it is not there.
    """

    title_pattern: str = ""
    number_pattern: str = ""
    total_number_pattern: str = ""
    date_pattern: str = ""
    numbered_without_break: bool = False
    required: tuple[Literal["title", "number", "total_number", "date"], ...] = ()


class MastheadLayout(_Frozen):
    """Who makes it.

    Attributes:
        roles: as printed, without inner blanks; other bold labels after the first of them are roles too.
        contact: labels of the ways to reach the editors.
        notice_pattern: how the 声明 begins.
    """

    roles: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    notice_pattern: str = ""


class ContentsLayout(_Frozen):
    """The contents page; `heading_pattern` is its whole heading."""

    heading_pattern: str = ""


class ArticlesLayout(_Frozen):
    """Articles named by a contents page; `editor_note_pattern` is the label before a note (编者按)."""

    editor_note_pattern: str = ""


class ItemsLayout(_Frozen):
    """Articles as items under section headings.

    Attributes:
        section_level: headings of this level or higher begin a section.
        item_pattern: how a numbered item begins; groups `number`, `rest`; matched against the line as it is.
        topic: key of the section for headings that name no section: each is an article of its own.
        topic_pattern: `本周话题：…`; group `title`; matched against the heading as it is.
        attribution_pattern: a paragraph that says where an item is from; group `source`; as it is.
    """

    section_level: int = Field(default=2, ge=1, le=6)
    item_pattern: str = ""
    topic: str = ""
    topic_pattern: str = ""
    attribution_pattern: str = ""


class PagesLayout(_Frozen):
    """What printed pages leave behind in recognised text.

    Attributes:
        picture_gap_lines: so many blank lines, or a line of lone blanks, are where a picture stood; 0: never.
        qr_pattern: the words under a QR code to the whole text.
        join_cut_paragraphs: join a paragraph that a page's end cut in two.
    """

    picture_gap_lines: int = Field(default=3, ge=0)
    qr_pattern: str = ""
    join_cut_paragraphs: bool = True


class Layout(_Frozen):
    """All of it. `pages` is left out for a publication that is written as Markdown and never was on paper."""

    structure: Literal["contents", "items"] = "contents"
    end_mark_pattern: str = ""
    cover: CoverLayout = CoverLayout()
    masthead: MastheadLayout = MastheadLayout()
    contents: ContentsLayout = ContentsLayout()
    articles: ArticlesLayout = ArticlesLayout()
    items: ItemsLayout = ItemsLayout()
    pages: PagesLayout | None = None


def read_layout(publication: Publication) -> Layout:
    """The layout of a publication.

    Raises:
        SettingsError: the table is not right; names the publication and the key.
    """
    try:
        layout = Layout.model_validate(publication.layout)
    except ValidationError as error:
        raise SettingsError(f"刊物 {publication.key} 的 [layout] 不正确：{error}") from error
    if layout.items.topic and publication.section(layout.items.topic) is None:
        raise SettingsError(
            f"刊物 {publication.key} 的 layout.items.topic 不是它的栏目：{layout.items.topic}"
        )
    return layout


def fits_whole(pattern: str, squeezed: str) -> re.Match[str] | None:
    """The match of the whole line; None for an empty pattern."""
    return re.fullmatch(pattern, squeezed) if pattern else None
