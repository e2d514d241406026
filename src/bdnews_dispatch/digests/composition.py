"""What a digest holds: the reader's sections, in the order of the contents, with numbered links.

In: a publication, published issues, section keys (or an editor's bulletin). Out: a `Digest`, plain data.
Callers: dispatch planning and workers, previews, the web copy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.digests.digest import (
    BulletinText,
    ContentsEntry,
    Digest,
    DigestArticle,
    DigestIssue,
    DigestPicture,
    DigestSection,
    Link,
    Paragraphs,
)
from bdnews_dispatch.digests.excerpt import excerpt
from bdnews_dispatch.digests.facts import facts_of, heading_text, number_text, numbers_text
from bdnews_dispatch.digests.fullness import FULLNESS, MOST_OCTETS, Fullness, estimated_octets
from bdnews_dispatch.digests.inline import cut_runs, plain, runs, web_url
from bdnews_dispatch.digests.labels import date_text, labels_for
from bdnews_dispatch.digests.markdown_body import body_links, body_words
from bdnews_dispatch.digests.typography import cut, cut_inside, typeset
from bdnews_dispatch.issues.document import Article, BlockType, IssueDocument, Section, referenced
from bdnews_dispatch.issues.publications import Publication

#: A subject is cut by every mailbox; longer titles than this are cut by us, at a grapheme.
_TITLE_IN_SUBJECT = 60
#: Longest title, and longest name of a section or source, in characters: far beyond any that was printed, so that a
#: file gone wrong does not become a mail of megabytes.
_TITLE, _SHORT = 160, 80
#: What mailboxes show beside a subject: 35 to 140 characters.
_PREHEADER = 110
#: Pixels. A narrower picture is an ornament, which a mail does without.
_NARROWEST = 240


@dataclass(frozen=True, slots=True)
class IssueEdition:
    """One published issue that goes into a digest.

    Attributes:
        url: the public page of the whole issue.
        pictures: those of its document that are stored, by digest; without captions.
    """

    issue_id: int
    document: IssueDocument
    url: str
    pictures: Mapping[str, DigestPicture] = field(default_factory=dict)


ArticleUrl = Callable[[IssueEdition, int], str]


@dataclass
class _Numbering:
    """Gives every link its number, in one walk over all that the dispatch could show, chosen or not."""

    links: list[Link] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        url: str,
        kind: Literal["article", "source", "issue", "body"],
        issue_id: int | None,
        *,
        place: int | None = None,
        section: str | None = None,
        shown: bool = True,
    ) -> int:
        self.count += 1
        if shown:
            self.links.append(Link(self.count, url, kind, place, section, issue_id))
        return self.count


def compose(
    publication: Publication,
    editions: Sequence[IssueEdition],
    sections: frozenset[str],
    *,
    article_url: ArticleUrl,
    language: str = "zh",
    ad: bool = False,
) -> Digest:
    """The digest that every reader of these sections gets.

    Args:
        publication: whose issues they are.
        editions: of the dispatch, in the order to print; the same for every variant, else link numbers
            differ.
        sections: keys, as `match` gives them.
        article_url: the public page of an article by its place in its issue; its QR code is at `…/qr.png`.
        language: of labels and dates, "zh" or "en"; articles stay as they are.
        ad: commercial content; 广告 goes in front of the subject (Order 38, art. 14).
    """
    facts = facts_of(publication, [edition.document for edition in editions], language)
    for fullness in FULLNESS:
        numbering = _Numbering()
        issues = tuple(
            issue
            for edition in editions
            if (
                issue := _issue(publication, edition, sections, article_url, language, fullness, numbering)
            ).sections
        )
        if estimated_octets(issues, facts, compact=fullness.compact) <= MOST_OCTETS:
            break
    shown = [edition.document for edition in editions if _has_any(edition.document, sections)]
    contents = _contents(publication, issues)
    titles = _titles(issues)
    return Digest(
        publication=facts,
        language=language,
        subject=_subject(facts.name, shown, titles, language, ad=ad),
        preheader=_preheader(contents, titles, language),
        ad=ad,
        issues=issues,
        contents=contents,
        links=tuple(numbering.links),
        compact=fullness.compact,
    )


def all_links(
    publication: Publication, editions: Sequence[IssueEdition], article_url: ArticleUrl
) -> tuple[Link, ...]:
    """Every link that any variant of the dispatch can hold, numbered as in `compose`; planning stores it."""
    every = frozenset(section.key for edition in editions for section in edition.document.sections)
    numbering = _Numbering()
    for edition in editions:
        _issue(publication, edition, every, article_url, "zh", FULLNESS[-1], numbering)
    return tuple(numbering.links)


def compose_bulletin(
    publication: Publication,
    *,
    title: str,
    body_markdown: str,
    urgent: bool,
    ad: bool,
    published: datetime,
    language: str = "zh",
) -> Digest:
    """The digest of an editor's bulletin: one message. Its links are numbered in the order of the text.

    Args:
        publication: who sends it.
        title: the headline, plain text.
        body_markdown: Markdown; HTML in it stays text.
        urgent: the accent colour and 【紧急】 in the subject.
        ad: commercial content.
        published: aware.
        language: of labels and dates.
    """
    labels = labels_for(language)
    facts = facts_of(publication, (), language)
    headline = cut_inside(typeset(title), _TITLE)
    short = cut_inside(headline, _TITLE_IN_SUBJECT)
    subject = (
        labels["urgent_prefix"] + short
        if urgent
        else labels["bulletin_subject"].format(title=short, name=facts.name)
    )
    return Digest(
        publication=facts,
        language=language,
        subject=(labels["ad_prefix"] if ad else "") + subject,
        preheader=cut(body_words(body_markdown), _PREHEADER),
        ad=ad,
        issues=(),
        contents=(),
        links=tuple(Link(number, url, "body") for url, number in body_links(body_markdown).items()),
        bulletin=BulletinText(
            title=headline,
            body=body_markdown,
            urgent=urgent,
            published=published,
            date=date_text(beijing(published).date(), language),
        ),
    )


def _titles(issues: Sequence[DigestIssue]) -> list[str]:
    """Every title; those that only repeat their section's name (封面图) come last, since they say nothing."""
    titles = [(a.title, s.name) for issue in issues for s in issue.sections for a in s.articles]
    return [title for title, name in sorted(titles, key=lambda pair: pair[0] == pair[1])]


def _has_any(document: IssueDocument, sections: frozenset[str]) -> bool:
    return any(section.articles and section.key in sections for section in document.sections)


def _issue(
    publication: Publication,
    edition: IssueEdition,
    sections: frozenset[str],
    article_url: ArticleUrl,
    language: str,
    fullness: Fullness,
    numbering: _Numbering,
) -> DigestIssue:
    document = edition.document
    link = numbering.add(edition.url, "issue", edition.issue_id, shown=_has_any(document, sections))
    found: dict[str, list[DigestArticle]] = {}
    names: dict[str, str] = {}
    for place, section, article in document.articles():
        chosen = section.key in sections
        url = article_url(edition, place)
        made = _article(article, section, place, url, edition, fullness, numbering, shown=chosen)
        if chosen:
            found.setdefault(section.key, []).append(made)
            names.setdefault(section.key, _section_name(publication, section, language))
    return DigestIssue(
        heading=heading_text(document, language),
        number=number_text(document, language),
        date=date_text(document.date, language) if document.date else "",
        link=link,
        sections=tuple(DigestSection(key, names[key], tuple(articles)) for key, articles in found.items()),
    )


def _article(
    article: Article,
    section: Section,
    place: int,
    url: str,
    edition: IssueEdition,
    fullness: Fullness,
    numbering: _Numbering,
    *,
    shown: bool,
) -> DigestArticle:
    def number(target: str, kind: Literal["article", "source", "body"]) -> int:
        return numbering.add(target, kind, edition.issue_id, place=place, section=section.key, shown=shown)

    link = number(url, "article")
    origin = web_url(article.url)
    source_link = number(origin, "source") if origin else None
    note: Paragraphs = tuple(
        paragraph
        for line in article.editor_note.splitlines()
        if (paragraph := runs(line, lambda target: number(target, "body")))
    )
    return DigestArticle(
        place=place,
        title=cut_inside(plain(article.title), _TITLE),
        editor_note=cut_runs(note, fullness.note) if shown and fullness.note else (),
        excerpt=excerpt(article, fullness.excerpt) if shown and fullness.excerpt else "",
        source=cut_inside(typeset(article.source), _SHORT),
        page=article.page,
        link=link,
        source_link=source_link,
        url=url,
        picture=_picture(article, edition) if shown and not fullness.compact else None,
    )


def _picture(article: Article, edition: IssueEdition) -> DigestPicture | None:
    for block in article.body:
        found = edition.pictures.get(referenced(block.url)) if block.type is BlockType.IMAGE else None
        if found is not None and found.width >= _NARROWEST:
            return replace(found, caption=cut_inside(plain(block.text), _SHORT))
    return None


def _section_name(publication: Publication, section: Section, language: str) -> str:
    info = publication.section(section.key)
    if language.startswith("en") and info and info.name_en:
        return info.name_en
    return cut_inside(section.name, _SHORT)


def _contents(publication: Publication, issues: Sequence[DigestIssue]) -> tuple[ContentsEntry, ...]:
    """In the order of the only issue, or for several in the publication's order."""
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for issue in issues:
        for section in issue.sections:
            counts[section.key] = counts.get(section.key, 0) + len(section.articles)
            names.setdefault(section.key, section.name)
    keys = list(counts)
    if len(issues) > 1:
        order = {key: place for place, key in enumerate(publication.section_keys)}
        keys.sort(key=lambda key: order.get(key, len(order)))
    return tuple(ContentsEntry(key, names[key], counts[key]) for key in keys)


def _subject(
    name: str, documents: Sequence[IssueDocument], titles: Sequence[str], language: str, *, ad: bool
) -> str:
    """《大数据发展动态》第6期（总第104期）：the reader's first title 等5篇."""
    labels = labels_for(language)
    others = labels["others"].format(count=len(titles), others=len(titles) - 1) if len(titles) > 1 else ""
    subject = labels["subject"].format(
        name=name,
        number=numbers_text(documents, language) if documents else "",
        title=cut_inside(titles[0], _TITLE_IN_SUBJECT) if titles else "",
        others=others,
    )
    return (labels["ad_prefix"] if ad else "") + subject


def _preheader(contents: Sequence[ContentsEntry], titles: Sequence[str], language: str) -> str:
    """What is inside: the sections, how many articles, and the titles that the subject has no room for."""
    labels = labels_for(language)
    others = labels["clause"].join(titles[1:])
    text = labels["preheader"].format(
        sections=labels["listing"].join(entry.name for entry in contents),
        count=len(titles),
        others=labels["other_titles"].format(titles=others) if others else "",
    )
    return cut_inside(text, _PREHEADER)
