"""Structure two: sections under headings, their articles numbered items (`1、…`) or the section as a whole.

In: the units behind the cover. Out: sections with articles, and what stands before the first heading.
Callers: issue.py.
A heading that names no section is an article of the topic section.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bdnews_dispatch.issues.document import Article, Block, BlockType, Section
from bdnews_dispatch.issues.parsing.bodies import read_body
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, sections_by_name, without_emphasis
from bdnews_dispatch.issues.parsing.layout import Layout
from bdnews_dispatch.issues.parsing.marks import Mark, Marked
from bdnews_dispatch.issues.parsing.shelves import UNSORTED_KEY, UNSORTED_NAME, section_key
from bdnews_dispatch.issues.parsing.titles import first_words, link_end, links_in, plain
from bdnews_dispatch.issues.parsing.units import Unit
from bdnews_dispatch.issues.publications import Publication

#: A numbered line longer than this is the item's text itself, not its title.
_LONGEST_TITLE = 60
_ENDS_LIKE_SENTENCE = re.compile(r"[。！；]$")
#: Item numbers may skip so many; a greater leap is a number in the text.
_GREATEST_LEAP = 3


@dataclass(slots=True)
class _Group:
    name: str
    articles: list[Article] = field(default_factory=list)


class ItemsReader:
    """Builds the sections of an issue."""

    def __init__(self, publication: Publication, layout: Layout, findings: Findings) -> None:
        self._publication = publication
        self._layout = layout
        self._findings = findings
        self._known = sections_by_name(publication)
        self._groups: dict[str, _Group] = {}

    def read(self, units: Sequence[Unit]) -> tuple[tuple[Section, ...], list[Unit]]:
        """The sections in order, and the units before the first heading."""
        headings = [at for at, unit in enumerate(units) if self._begins_section(unit)]
        for at, until in zip(headings, [*headings[1:], len(units)], strict=False):
            self._read_section(units[at], units[at + 1 : until])
        sections = tuple(
            Section(key=key, name=group.name, articles=tuple(group.articles))
            for key, group in self._groups.items()
        )
        return sections, list(units[: headings[0]] if headings else units)

    def _begins_section(self, unit: Unit) -> bool:
        if unit.kind is not BlockType.HEADING:
            return False
        return (unit.level or 6) <= self._layout.items.section_level or fold(unit.text) in self._known

    def _read_section(self, heading: Unit, units: Sequence[Unit]) -> None:
        name = without_emphasis(heading.text)
        items = self._item_starts(units)
        key = self._known.get(fold(name))
        if key is None and items[:1] == [0] and len(items) > 1:
            key = section_key(name)
            self._findings.warn(heading.line, "section.unknown", f"刊物设置里没有栏目“{name}”，按原名保留。")
        if key is None:
            self._read_topic(heading, name, units)
            return
        group = self._groups.setdefault(key, _Group(name))
        if fold(group.name) != fold(name):
            self._findings.warn(heading.line, "section.repeated", f"栏目“{name}”并入同一栏目“{group.name}”。")
        first = items[0] if items else len(units)
        if first or not units:
            group.articles.append(self._whole(name, units[:first], heading.line))
        for at, until in zip(items, [*items[1:], len(units)], strict=False):
            group.articles.append(self._item(units[at], units[at + 1 : until]))

    def _read_topic(self, heading: Unit, name: str, units: Sequence[Unit]) -> None:
        pattern = self._layout.items.topic_pattern
        match = re.fullmatch(pattern, name) if pattern else None
        topic = self._publication.section(self._layout.items.topic)
        key, section_name = (topic.key, topic.name) if topic else (UNSORTED_KEY, UNSORTED_NAME)
        title = match["title"].strip() if match else name
        group = self._groups.setdefault(key, _Group(section_name))
        group.articles.append(self._whole(title, units, heading.line))

    def _item_starts(self, units: Sequence[Unit]) -> list[int]:
        """Where items begin; a number out of order is text (a list inside an item)."""
        starts: list[int] = []
        number = 0
        for at, unit in enumerate(units):
            match = self._item_match(unit)
            if match and number < int(match["number"]) <= number + _GREATEST_LEAP:
                if int(match["number"]) != number + 1:
                    self._findings.warn(
                        unit.line, "item.number_gap", f"第 {number} 条之后是第 {match['number']} 条。"
                    )
                number = int(match["number"])
                starts.append(at)
        return starts

    def _item_match(self, unit: Unit) -> re.Match[str] | None:
        pattern = self._layout.items.item_pattern
        return re.match(pattern, unit.text) if pattern and unit.is_text else None

    def _whole(self, title: str, units: Sequence[Unit], line: int) -> Article:
        body = read_body([Marked(Mark.TEXT, unit) for unit in units], self._layout, with_source=False)
        return Article(title=title, body=tuple(body.blocks), line=line)

    def _item(self, first: Unit, units: Sequence[Unit]) -> Article:
        match = self._item_match(first)
        said = match["rest"].strip() if match else first.text
        for emphasis in ("**", "__"):  # the pattern took the opening half: **4、…**
            if said.count(emphasis) % 2:
                said = said.removesuffix(emphasis)
        links = links_in(said)
        title = _title(said)
        if said and (title != plain(said) or len(links) > 1):  # what title and url can't hold stays text
            units = [replace(first, kind=BlockType.PARAGRAPH, text=said, level=None), *units]
        drafts = [Marked(Mark.TEXT, unit) for unit in units]
        blocks = read_body(drafts, self._layout, with_source=False).blocks
        source, source_links = self._take_attribution(blocks)
        title = title or first_words(next((block.text for block in blocks if block.text), ""))
        if not title:
            self._findings.warn(
                first.line, "item.empty", f"第 {match['number'] if match else '?'} 条没有文字。"
            )
            title = without_emphasis(first.text)
        return Article(
            title=title,
            source=source,
            url=(links + source_links or [""])[0],
            body=tuple(blocks),
            line=first.line,
        )

    def _take_attribution(self, blocks: list[Block]) -> tuple[str, list[str]]:
        """Who said it, out of the last paragraph."""
        pattern = self._layout.items.attribution_pattern
        for at in range(len(blocks) - 1, -1, -1):
            if blocks[at].type is BlockType.PARAGRAPH and (
                match := re.fullmatch(pattern, blocks[at].text) if pattern else None
            ):
                links = links_in(match["source"])
                if len(links) > 1:
                    return "", []
                del blocks[at]
                return plain(match["source"]), links
            if blocks[at].type is not BlockType.IMAGE:
                break
        return "", []


def _title(said: str) -> str:
    """A title out of a numbered line: the line; where it is too long the words up to its link's end; else its first."""
    words = plain(said)
    if len(words) <= _LONGEST_TITLE and not _ENDS_LIKE_SENTENCE.search(words):
        return words
    linked = link_end(said)
    if linked and not _ENDS_LIKE_SENTENCE.search(words) and len(plain(said[:linked])) <= _LONGEST_TITLE:
        return plain(said[:linked])
    return first_words(said)
