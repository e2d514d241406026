"""Structure one: articles named by a contents page (and found by their signs where it is missing), under its sections.

In: the marked body and the contents. Out: sections with articles, and what stands before the first article.
Callers: issue.py.
"""

from collections.abc import Sequence

from bdnews_dispatch.issues.document import Article, Section
from bdnews_dispatch.issues.parsing.bodies import read_body
from bdnews_dispatch.issues.parsing.boundaries import Start, find_starts
from bdnews_dispatch.issues.parsing.contents import Contents, Entry
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, without_emphasis
from bdnews_dispatch.issues.parsing.layout import Layout
from bdnews_dispatch.issues.parsing.marks import Mark, Marked
from bdnews_dispatch.issues.parsing.shelves import Shelves
from bdnews_dispatch.issues.parsing.sources import source_at_end
from bdnews_dispatch.issues.parsing.titles import best_printed
from bdnews_dispatch.issues.publications import Publication


class ArticlesReader:
    """Builds the sections of an issue."""

    def __init__(self, publication: Publication, layout: Layout, findings: Findings) -> None:
        self._layout = layout
        self._findings = findings
        self._shelves = Shelves(publication, findings)

    def read(
        self, units: Sequence[Marked], contents: Contents | None
    ) -> tuple[tuple[Section, ...], list[Marked]]:
        """The sections in order, and the units before the first article."""
        entries = contents.entries if contents else []
        starts = find_starts(units, entries, self._findings)
        articles, preface = self._cut(units, starts, entries)
        if contents:
            self._shelves.label(contents)
        found = {start.entry for start in starts}
        for index, entry in enumerate(entries):
            if index not in found:
                self._findings.warn(
                    entry.line, "article.not_in_body", f"要目中的“{entry.title}”在正文中没有找到。"
                )
                self._shelves.put_listed(
                    index, Article(title=without_emphasis(entry.title), page=entry.page, line=0)
                )
        names = [(at, marked.unit.text) for at, marked in enumerate(units) if marked.mark is Mark.SECTION]
        self._shelves.put(starts, articles, names)
        return self._shelves.sections(), preface

    def _cut(
        self, units: Sequence[Marked], starts: Sequence[Start], entries: Sequence[Entry]
    ) -> tuple[list[Article], list[Marked]]:
        """Cut the body at its titles; the 编者按 before a title goes with it."""
        label = self._note_label(units[: starts[0].place.at]) if starts else len(units)
        preface, note = list(units[:label]), units[label : starts[0].place.at] if starts else []
        articles: list[Article] = []
        for start, following in zip(starts, [*starts[1:], None], strict=False):
            begin = start.place.at + start.place.span
            stretch = units[begin : following.place.at if following else len(units)]
            own = not note and _own_note(stretch, is_last=following is None)
            if own:
                note, stretch = stretch[:2], stretch[2:]
            label = self._note_label(stretch) if following else self._no_label(stretch)
            articles.append(self._article(start, note, stretch[:label], entries))
            note = stretch[label:]
        return articles, preface

    def _note_label(self, stretch: Sequence[Marked]) -> int:
        """Where the next article's note begins in what lies between two titles; its length: there is none."""
        labels = [at for at, marked in enumerate(stretch) if marked.mark is Mark.NOTE]
        if len(labels) > 1:
            line = stretch[labels[1]].unit.line
            self._findings.warn(line, "note.repeated", "一个标题前有不止一处编者按，已合在一起。")
        return labels[0] if labels else len(stretch)

    def _no_label(self, stretch: Sequence[Marked]) -> int:
        for marked in stretch:
            if marked.mark is Mark.NOTE:
                line = marked.unit.line
                self._findings.warn(
                    line, "note.without_title", "编者按后面没有找到标题，文字归入前一篇文章。"
                )
        return len(stretch)

    def _article(
        self, start: Start, note: Sequence[Marked], body: Sequence[Marked], entries: Sequence[Entry]
    ) -> Article:
        entry = entries[start.entry] if start.entry is not None else None
        title = start.place.text
        if entry is not None and fold(entry.title) == fold(title):
            title = best_printed(without_emphasis(entry.title), title)
        read = read_body(body, self._layout)
        line = start.place.line
        if not read.source and not any(block.text for block in read.blocks):
            self._findings.warn(line, "article.empty", f"“{title}”没有正文。")
        elif not read.source:
            self._findings.warn(line, "source.missing", f"“{title}”没有找到来源。")
        return Article(
            title=title,
            page=entry.page if entry else None,
            editor_note=read_body(note, self._layout, with_source=False).words(),
            source=read.source,
            body=tuple(read.blocks),
            line=line,
        )


def _own_note(stretch: Sequence[Marked], *, is_last: bool) -> bool:
    """Whether the 编者按 stands under its title, not over it: then the article's end comes before the next title."""
    if len(stretch) < 2 or stretch[0].mark is not Mark.NOTE:
        return False
    rest = stretch[2:]
    return is_last or any(
        marked.mark in {Mark.QR, Mark.NOTE} or source_at_end(marked.unit.text) is not None for marked in rest
    )
