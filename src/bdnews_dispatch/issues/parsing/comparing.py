"""The source beside what was read of it: its lines, and its contents page against the articles.

In: the bytes of a file, its publication, the issue as it is now. Out: lines; rows that say what of the contents is
where. Caller: the console. Pure, like all of parsing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import Article, IssueDocument, Section
from bdnews_dispatch.issues.parsing.contents import find_contents
from bdnews_dispatch.issues.parsing.decoding import decode
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, sections_by_name
from bdnews_dispatch.issues.parsing.layout import read_layout
from bdnews_dispatch.issues.parsing.pdf import is_pdf, read_pdf
from bdnews_dispatch.issues.parsing.titles import similar
from bdnews_dispatch.issues.parsing.units import read_units
from bdnews_dispatch.issues.parsing.zipped import Zipped, is_zip
from bdnews_dispatch.issues.publications import Publication

#: Of a text in a ZIP that was taken already; it was held to the settings' limit then.
_MOST_TEXT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the contents page. `section`: as printed there."""

    section: str
    title: str
    page: int | None
    line: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A line of the contents page and the article that it means; one of the two may be missing.

    Attributes:
        place: of the article in the issue, from 1; 0 where there is none.
        differs: `missing` in the text (also of an article that the contents alone gave, without text), `unlisted` in
            the contents, `title`, `section`, or "" where they agree.
    """

    listed: Listed | None
    article: Article | None
    section: str
    place: int
    differs: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file as text. `contents`: None where it has no contents page."""

    lines: Sequence[str]
    contents: Sequence[Listed] | None


def read_source(data: bytes, publication: Publication) -> Source:
    """What the file says, a PDF as it was read, of a ZIP its Markdown; a source that can't be read (none was kept, say)
    has no lines.
    """
    try:
        text = _text(data)
        lines = decode(text, Findings(), max_bytes=max(len(text), 1))
    except IssueError:
        return Source((), None)
    layout = read_layout(publication)
    if layout.structure != "contents":
        return Source(lines, None)
    units = read_units(lines, picture_gap_lines=layout.pages.picture_gap_lines if layout.pages else 0)
    found = find_contents(units, layout, sections_by_name(publication))
    if found is None:
        return Source(lines, None)
    return Source(
        lines,
        [
            Listed(section.name, entry.title, entry.page, entry.line)
            for section in found.sections
            for entry in section.entries
        ],
    )


def _text(data: bytes) -> bytes:
    if is_pdf(data):
        return read_pdf(data)
    if is_zip(data):
        return Zipped(data, max_bytes=_MOST_TEXT).markdown
    return data


def compare(contents: Sequence[Listed], document: IssueDocument) -> list[Compared]:
    """Every line of the contents with its article, then the articles that no line names.

    What has text comes before what the contents alone gave: an editor who gives the article in the text the title of
    the contents means this line.
    """
    left = {place: (section, article) for place, section, article in document.articles()}
    by_text = sorted(left, key=lambda place: (_is_bare(left[place][1]), place))
    found: list[Compared] = []
    for listed in contents:
        folded = fold(listed.title)
        titles = [(at, left[at][1].title) for at in by_text if at in left]
        place = next((at for at, title in titles if fold(title) == folded), 0) or next(
            (at for at, title in titles if similar(title, listed.title)), 0
        )
        if not place:
            found.append(Compared(listed, None, "", 0, "missing"))
            continue
        section, article = left.pop(place)
        found.append(Compared(listed, article, section.name, place, _differs(listed, section, article)))
    found += [
        Compared(None, article, section.name, place, "missing" if _is_bare(article) else "unlisted")
        for place, (section, article) in left.items()
    ]
    return found


def _differs(listed: Listed, section: Section, article: Article) -> str:
    if _is_bare(article):
        return "missing"
    if fold(article.title) != fold(listed.title):
        return "title"
    return "section" if listed.section and fold(listed.section) != fold(section.name) else ""


def _is_bare(article: Article) -> bool:
    """Whether the contents alone name it: the text was not found, and no line of it is known."""
    return not article.line and not article.body
