"""The whole way of an issue: bytes → lines → units → cover, contents, articles → `IssueDocument`.

In: the bytes of a file and its publication. Out: the parsed issue, or an IssueError. Pure: no I/O, no clock.
Callers: issues/ (what takes in files), cli/, tests. What belongs nowhere goes into the preface with a
warning: nothing is
dropped but what the layout knows as furniture (QR lines, labels, repeated titles, page numbers of the contents).
"""

from collections.abc import Sequence

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import Block, BlockType, IssueDocument, Section
from bdnews_dispatch.issues.parsing.articles import ArticlesReader
from bdnews_dispatch.issues.parsing.bodies import read_body
from bdnews_dispatch.issues.parsing.contents import Contents, find_contents
from bdnews_dispatch.issues.parsing.cover import Cover, CoverReader
from bdnews_dispatch.issues.parsing.decoding import decode
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, sections_by_name, squeeze
from bdnews_dispatch.issues.parsing.items import ItemsReader
from bdnews_dispatch.issues.parsing.layout import Layout, fits_whole, read_layout
from bdnews_dispatch.issues.parsing.marks import Mark, Marked, label_end, mark_units
from bdnews_dispatch.issues.parsing.units import Unit, read_units
from bdnews_dispatch.issues.publications import Publication

#: The service's own default (issues.max_bytes).
DEFAULT_MAX_BYTES = 8 * 1024 * 1024


def parse_issue(
    data: bytes, publication: Publication, *, max_bytes: int = DEFAULT_MAX_BYTES
) -> IssueDocument:
    """Parse an issue.

    Args:
        data: the file, in any of the encodings that decoding.py reads.
        publication: whose layout it has.
        max_bytes: larger files are refused.

    Returns:
        The issue; `warnings` holds everything a person should look at.

    Raises:
        IssueError: the file can't be taken: too large, empty, binary, of unknown encoding, or without any article.
        SettingsError: the publication's [layout] is not right.
    """
    layout = read_layout(publication)
    findings = Findings()
    lines = decode(data, findings, max_bytes=max_bytes)
    units = read_units(lines, picture_gap_lines=layout.pages.picture_gap_lines if layout.pages else 0)
    units = _without_end_mark(units, layout, findings)
    read = _read_contents_issue if layout.structure == "contents" else _read_items_issue
    cover, preface, sections = read(units, publication, layout, findings)
    if not any(section.articles for section in sections):
        raise IssueError(
            "没有在文件里找到任何文章",
            code="issue.no_articles",
            line=units[0].line if units else 1,
            hint=f"文件的版式可能不是《{publication.name}》的；版式写在 config/publications/{publication.key}.toml。",
        )
    notice = read_body(
        [Marked(Mark.TEXT, line) for line in _paragraphs(cover)], layout, with_source=False
    ).words()
    return IssueDocument(
        publication=publication.key,
        number=cover.number,
        total_number=cover.total_number,
        date=cover.date,
        title=cover.title,
        tagline=cover.tagline,
        masthead={role: tuple(names) for role, names in cover.masthead.roles.items()},
        contact=cover.masthead.contact,
        notice=notice,
        preface=tuple(preface),
        sections=sections,
        warnings=findings.listed(),
    )


def _read_contents_issue(
    units: Sequence[Unit], publication: Publication, layout: Layout, findings: Findings
) -> tuple[Cover, list[Block], tuple[Section, ...]]:
    known = sections_by_name(publication)
    reader = CoverReader(publication, layout, findings)
    contents = find_contents(units, layout, known)
    if contents:
        cover_end, body_start = contents.start, contents.end
    else:
        cover_end = body_start = _first_article(units, reader, layout, known)
        findings.warn(1, "contents.missing", "没有找到要目，文章按版式特征识别，没有页码。")
    cover = reader.read(units[:cover_end])
    names = known.keys() | {
        fold(section.name) for section in (contents.sections if contents else []) if section.name
    }
    marked = mark_units(units[body_start:], layout, names, fold(publication.name))
    sections, unplaced = ArticlesReader(publication, layout, findings).read(marked, contents)
    stray = _stray(cover, contents)
    preface = [Marked(Mark.TEXT, unit) for unit in stray] + unplaced
    blocks = _preface(preface, layout)
    unclear = [block for block in blocks if block.text and block.type is not BlockType.IMAGE]
    if unclear:
        findings.warn(
            unclear[0].line, "text.unplaced", f"正文之前有 {len(unclear)} 段文字不属于任何栏目，已放在卷首。"
        )
    return cover, blocks, sections


def _read_items_issue(
    units: Sequence[Unit], publication: Publication, layout: Layout, findings: Findings
) -> tuple[Cover, list[Block], tuple[Section, ...]]:
    reader = CoverReader(publication, layout, findings)
    cover_end = next(
        (at + 1 for at, unit in enumerate(units[:40]) if unit.is_text and reader.belongs(unit)), 0
    )
    cover = reader.read(units[:cover_end])
    sections, before = ItemsReader(publication, layout, findings).read(units[cover_end:])
    preface = [Marked(Mark.TEXT, unit) for unit in [*_stray(cover, None), *before]]
    return cover, _preface(preface, layout), sections


def _first_article(units: Sequence[Unit], reader: CoverReader, layout: Layout, known: dict[str, str]) -> int:
    """Where the cover ends in a file without a contents page."""
    plain_section: int | None = None
    for at, unit in enumerate(units):
        if not unit.is_text:
            continue
        if label_end(unit.text, layout.articles.editor_note_pattern):
            return at
        if fits_whole(layout.contents.heading_pattern, squeeze(unit.text[:200])):
            continue  # a contents heading without contents
        if unit.kind is BlockType.HEADING and not reader.belongs(unit):
            return at
        if plain_section is None and len(unit.text) <= 60 and fold(unit.text) in known:
            plain_section = at
    return plain_section if plain_section is not None else len(units)


def _stray(cover: Cover, contents: Contents | None) -> list[Unit]:
    """What neither the cover nor the contents could place, with pictures that had a label."""
    pictures = [Unit(BlockType.IMAGE, line.text, line.line) for line in cover.masthead.pictures]
    return [*cover.rest, *pictures, *(contents.stray if contents else [])]


def _preface(units: Sequence[Marked], layout: Layout) -> list[Block]:
    blocks = read_body(units, layout, with_source=False).blocks
    return [block for block in blocks if block.text or block.url]


def _paragraphs(cover: Cover) -> list[Unit]:
    return [Unit(BlockType.PARAGRAPH, text, 1) for text in cover.masthead.notice]


def _without_end_mark(units: list[Unit], layout: Layout, findings: Findings) -> list[Unit]:
    """Leave out the configured end mark; text behind it stays."""
    pattern = layout.end_mark_pattern
    kept: list[Unit] = []
    for at, unit in enumerate(units):
        if pattern and unit.is_text and len(unit.text) <= 20 and fits_whole(pattern, squeeze(unit.text)):
            if at + 1 < len(units):
                findings.warn(units[at + 1].line, "text.after_end", "结束标记之后还有文字，已保留。")
        else:
            kept.append(unit)
    return kept
