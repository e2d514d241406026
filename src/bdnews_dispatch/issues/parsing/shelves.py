"""Articles put into their sections, in the order of the contents.

In: the contents, articles with their starts, the section names that stand in the body. Out: sections.
Callers: articles.py, items.py (for `section_key`).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bdnews_dispatch.issues.document import Article, Section
from bdnews_dispatch.issues.parsing.boundaries import Start
from bdnews_dispatch.issues.parsing.contents import Contents
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, sections_by_name
from bdnews_dispatch.issues.publications import Publication

#: Articles of which nothing says where they belong.
UNSORTED_KEY = "unsorted"
UNSORTED_NAME = "未分栏"


def section_key(name: str) -> str:
    """The key of a section that the publication's settings don't name; the same name gives the same key."""
    return f"s_{hashlib.sha256(fold(name).encode()).hexdigest()[:8]}"


class Shelves:
    """The sections while they fill."""

    def __init__(self, publication: Publication, findings: Findings) -> None:
        self._known = sections_by_name(publication)
        self._findings = findings
        #: key → name, in order.
        self._sections: dict[str, str] = {}
        #: index of an entry in the contents → key of its section, in order.
        self._entry_sections: dict[int, str] = {}
        self._listed: dict[int, Article] = {}
        #: articles that the contents don't name: behind an entry, or at a section's head.
        self._behind: defaultdict[int | str, list[Article]] = defaultdict(list)

    def label(self, contents: Contents) -> None:
        """Open the contents' sections."""
        for section in contents.sections:
            key = self._open(section.name, section.line)
            for _ in section.entries:
                self._entry_sections[len(self._entry_sections)] = key

    def put_listed(self, entry: int, article: Article) -> None:
        self._listed[entry] = article

    def put(
        self, starts: Sequence[Start], articles: Sequence[Article], names: Sequence[tuple[int, str]]
    ) -> None:
        """Put the articles found in the body.

        One that the contents don't name goes into the section whose name stands above it, else with the
        article before it.

        Args:
            starts: in the order of the body.
            articles: the articles of these starts.
            names: section names in the body, with their places.
        """
        current: str | None = None
        anchor: int | str | None = None
        upcoming = iter([*names, (10**9, "")])
        at, name = next(upcoming)
        for index, (start, article) in enumerate(zip(starts, articles, strict=True)):
            while at < start.place.at:
                key = self._open(name, 0)
                if key != current:
                    current = anchor = key
                at, name = next(upcoming)
            if start.entry is not None:
                self.put_listed(start.entry, article)
                current, anchor = self._entry_sections[start.entry], start.entry
                continue
            if anchor is None:
                current = anchor = self._section_of_next(starts[index:], article)
            if self._entry_sections:
                self._findings.warn(article.line, "article.not_in_contents", f"“{article.title}”不在要目中。")
            self._behind[anchor].append(article)
        while name:
            self._open(name, 0)
            at, name = next(upcoming)

    def _section_of_next(self, starts: Iterable[Start], article: Article) -> str:
        entry = next((start.entry for start in starts if start.entry is not None), None)
        if entry is not None:
            return self._entry_sections[entry]
        self._findings.warn(article.line, "sections.missing", f"没有找到栏目，文章归入“{UNSORTED_NAME}”。")
        self._sections.setdefault(UNSORTED_KEY, UNSORTED_NAME)
        return UNSORTED_KEY

    def _open(self, name: str, line: int) -> str:
        """The key of the section with this name."""
        if not name:
            self._findings.warn(
                line, "sections.missing", f"要目中有文章不在任何栏目下，归入“{UNSORTED_NAME}”。"
            )
            self._sections.setdefault(UNSORTED_KEY, UNSORTED_NAME)
            return UNSORTED_KEY
        key = self._known.get(fold(name))
        if key is None:
            key = section_key(name)
            if key not in self._sections:
                self._findings.warn(line, "section.unknown", f"刊物设置里没有栏目“{name}”，按原名保留。")
        self._sections.setdefault(key, name)
        return key

    def sections(self) -> tuple[Section, ...]:
        """All of them, filled."""
        filled: dict[str, list[Article]] = {key: list(self._behind[key]) for key in self._sections}
        for entry, key in self._entry_sections.items():
            filled[key] += [self._listed[entry], *self._behind[entry]]
        return tuple(
            Section(key=key, name=name, articles=tuple(filled[key])) for key, name in self._sections.items()
        )
