"""What a digest is: plain frozen data, made by composition, read by rendering, the card and the console."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bdnews_dispatch.digests.inline import Run

Paragraphs = tuple[tuple[Run, ...], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A clickable link of a digest's content. Clicks are stored by (dispatch, number).

    Attributes:
        number: from 1; the same for an article in every variant of a dispatch.
        kind: `article` its whole text, `source` where it came from, `issue` the whole issue, `body` inside
            a text.
        place: of the article in its issue, from 1.
        section: the article's section key.
        issue_id: the issue it belongs to; None in a bulletin.
    """

    number: int
    url: str
    kind: Literal["article", "source", "issue", "body"]
    place: int | None = None
    section: str | None = None
    issue_id: int | None = None


@dataclass(frozen=True, slots=True)
class PublicationFacts:
    """Who sends it, as the foot says; from the publication, else from the issue's own masthead."""

    key: str
    name: str
    tagline: str
    publisher: str
    address: str
    telephone: str
    email: str
    notice: str


@dataclass(frozen=True, slots=True)
class DigestPicture:
    """A picture in a digest.

    Attributes:
        digest: which stored picture it is.
        width, height: its own, in pixels.
        caption: what it shows; also for those who do not see it.
    """

    digest: str
    url: str
    width: int
    height: int
    caption: str = ""


@dataclass(frozen=True, slots=True)
class DigestArticle:
    """An article in a digest.

    Attributes:
        place: in its issue, from 1.
        link: number of the link to the whole text.
        source_link: number of the link to where it came from, if it says.
        url: the page of the whole text, for its QR code.
        picture: the first of its body that is large enough to be looked at.
    """

    place: int
    title: str
    editor_note: Paragraphs
    excerpt: str
    source: str
    page: int | None
    link: int
    source_link: int | None
    url: str
    picture: DigestPicture | None = None


@dataclass(frozen=True, slots=True)
class DigestSection:
    key: str
    name: str
    articles: tuple[DigestArticle, ...]


@dataclass(frozen=True, slots=True)
class DigestIssue:
    """One issue of a digest.

    Attributes:
        heading: 第6期 · 总第104期 · 2022年11月11日.
        number: 第6期（总第104期）.
        link: number of the whole issue's link.
    """

    heading: str
    number: str
    date: str
    link: int
    sections: tuple[DigestSection, ...]


@dataclass(frozen=True, slots=True)
class ContentsEntry:
    """A line of 本期要目: a section, and how many articles this reader gets of it, over all issues."""

    key: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class BulletinText:
    """What an editor wrote. `body` is Markdown, `date` as people read it, in Beijing time."""

    title: str
    body: str
    urgent: bool
    published: datetime
    date: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What one variant's readers get, of issues or of a bulletin (then `bulletin` is set, `issues` empty).

    Attributes:
        contents: 本期要目: sections with counts.
        links: what can be clicked in this variant.
        compact: so many articles that each is one line: title and source.
    """

    publication: PublicationFacts
    language: str
    subject: str
    preheader: str
    ad: bool
    issues: tuple[DigestIssue, ...]
    contents: tuple[ContentsEntry, ...]
    links: tuple[Link, ...]
    bulletin: BulletinText | None = None
    compact: bool = False

    @property
    def heading(self) -> str:
        """The first heading: of the first issue, or the bulletin's date."""
        if self.bulletin:
            return self.bulletin.date
        return self.issues[0].heading if self.issues else ""

    @property
    def article_count(self) -> int:
        return sum(entry.count for entry in self.contents)

    def with_subject(self, subject: str) -> "Digest":
        """The same under another subject, e.g. of a test send."""
        return replace(self, subject=subject)
