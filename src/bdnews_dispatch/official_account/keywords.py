"""What a user may write to the account, or tap in its menu: five words, and every section's name.

In: a text. Out: a `Keyword`, a section. Callers: web/ (the answer), tracking.pushes (what follows). Pure.
"""

from enum import StrEnum

from bdnews_dispatch.issues.publications import Publication, SectionInfo


class Keyword(StrEnum):
    """The five words."""

    SUBSCRIBE = "订阅"
    UNSUBSCRIBE = "退订"
    MINE = "我的"
    NEWEST = "最新"
    HELP = "帮助"


def keyword_of(text: str) -> Keyword | None:
    """The keyword that a message is, spaces and a full stop aside; what is longer is no keyword."""
    word = _bare(text)
    return Keyword(word) if word in set(Keyword) else None


def section_of(text: str, publication: Publication) -> SectionInfo | None:
    """The section whose name, or other name, a message is."""
    word = _bare(text)
    if not word:
        return None
    return next(
        (
            section
            for section in publication.sections
            if word in {_bare(name) for name in (section.name, section.name_en, *section.aliases) if name}
        ),
        None,
    )


def _bare(text: str) -> str:
    return "".join(text.split()).strip("。.！!“”\"'「」").casefold()
