"""Corrections by hand over a parsed issue: a pure function of the text that came in and the edits that hold.

In: an `IssueDocument`, edits in the order in which they were made. Out: an `IssueDocument`. Callers: correcting.py, the
console. Every edit says what shall be, never by how much it changes: whichever is undone, the others mean the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bdnews_dispatch.issues.document import Article, IssueDocument, Section
from bdnews_dispatch.issues.models import EditKind, IssueEdit
from bdnews_dispatch.issues.publications import Publication


@dataclass(slots=True)
class Standing:
    """An article and where it stands. `place`: in the text that came in, from 1; an edit names it by that."""

    place: int
    section: str
    article: Article


def articles_of(document: IssueDocument) -> list[Standing]:
    """Every article of a text that came in, in its order."""
    return [Standing(place, section.key, article) for place, section, article in document.articles()]


def edited(document: IssueDocument, edits: Iterable[IssueEdit], publication: Publication) -> IssueDocument:
    """The text with the edits. An edit of an article that is not there changes nothing."""
    standing, checked = standing_of(document, edits)
    names = {section.key: section.name for section in publication.sections}
    names |= {section.key: section.name for section in document.sections}
    order = [section.key for section in document.sections]
    order += [key for key in publication.section_keys if key not in order]
    found: dict[str, list[Standing]] = {key: [] for key in order}
    for one in standing:
        found.setdefault(one.section, []).append(one)
    sections = tuple(
        Section(key=key, name=names.get(key, key), articles=tuple(one.article for one in theirs))
        for key, theirs in found.items()
        if theirs
    )
    places = tuple(one.place for theirs in found.values() for one in theirs)
    warnings = tuple(one for one in document.warnings if (one.line, one.code) not in checked)
    return document.model_copy(update={"sections": sections, "warnings": warnings, "places": places})


def standing_of(
    document: IssueDocument, edits: Iterable[IssueEdit]
) -> tuple[list[Standing], set[tuple[int, str]]]:
    """The articles with the edits, in order within each section, and the warnings that were looked at."""
    standing = articles_of(document)
    checked: set[tuple[int, str]] = set()
    omitted: set[int] = set()
    for edit in edits:
        if edit.kind is EditKind.CHECKED:
            checked.add((edit.value["line"], edit.value["code"]))
            continue
        one = next((one for one in standing if one.place == edit.place), None)
        if one is None:
            continue
        match edit.kind:
            case EditKind.TITLE:
                one.article = one.article.model_copy(update={"title": edit.value})
            case EditKind.SOURCE:
                one.article = one.article.model_copy(update={"source": edit.value})
            case EditKind.NOTE:
                one.article = one.article.model_copy(update={"editor_note": edit.value})
            case EditKind.OMITTED:
                omitted.add(one.place)
            case EditKind.PLACE:
                one.section = edit.value["section"]
                standing.remove(one)
                standing.insert(_where(standing, one.section, edit.value["before"]), one)
    # At the end: what was put in front of it stays there.
    return [one for one in standing if one.place not in omitted], checked


def _where(standing: list[Standing], section: str, before: int) -> int:
    """In front of that article, if it is in the section now; else behind the section's last one."""
    for at, one in enumerate(standing):
        if one.place == before and one.section == section:
            return at
    last = max((at for at, one in enumerate(standing) if one.section == section), default=len(standing) - 1)
    return last + 1
