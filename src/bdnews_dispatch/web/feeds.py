"""Feeds of what is published, for readers' programs: Atom (RFC 4287) and JSON Feed 1.1, whole or by section.

In: a publication, perhaps a section. Out: a document with an ETag; 304 where nothing has changed. The whole
feed has an entry an issue; a section's feed has an entry an article. What is withdrawn is in neither.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from aiohttp import web
from sqlmodel import col, select

from bdnews_dispatch.digests.facts import heading_text
from bdnews_dispatch.digests.inline import plain
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.models import Issue, IssueRevision, IssueState
from bdnews_dispatch.issues.publications import Publication, SectionInfo
from bdnews_dispatch.web.keys import DATABASE, LINKS, PUBLICATIONS
from bdnews_dispatch.web.pages import SHORT

#: Issues in a feed; older ones are in the archive.
_ISSUES = 20
_ATOM = "http://www.w3.org/2005/Atom"
#: By address: what it was made of, and the feed. As many as there are sections and formats.
MADE: web.AppKey[dict[str, tuple[Any, bytes]]] = web.AppKey("feeds_made")
_TYPES = {"atom": "application/atom+xml", "json": "application/feed+json"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An issue, or an article of one."""

    url: str
    title: str
    summary: str
    author: str
    section: str
    published: datetime
    updated: datetime


async def feed(request: web.Request) -> web.Response:
    """`/feeds/dsj.atom`, `/feeds/dsj.json`, `/feeds/dsj/policy.atom` …"""
    publication, section, kind = _asked(request)
    shown = await _shown(request, publication)
    newest = max((moment for _, _, moment in shown), default=datetime(2000, 1, 1, tzinfo=UTC))
    body = await _body(request, publication, section, kind, tuple(shown), newest)
    headers = {
        "Cache-Control": SHORT,
        "ETag": f'"{sha256(body).hexdigest()[:32]}"',
    }
    if _is_known(request, headers["ETag"]):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=_TYPES[kind], charset="utf-8", headers=headers)


async def _shown(request: web.Request, publication: Publication) -> list[tuple[int, int, datetime]]:
    """What the feed is made of: issue, revision, and when it last changed."""
    statement = (
        select(Issue.id, IssueRevision.revision, Issue.published_at, IssueRevision.created_at)
        .join(IssueRevision, col(IssueRevision.issue_id) == col(Issue.id))
        .where(
            Issue.publication == publication.key,
            Issue.state == IssueState.PUBLISHED,
            col(IssueRevision.revision) == col(Issue.revision),
        )
        .order_by(col(Issue.total_number).desc())
        .limit(_ISSUES)
    )
    async with request.app[DATABASE].read() as session:
        rows = (await session.exec(statement)).all()
    return [(id_ or 0, revision, max(published or made, made)) for id_, revision, published, made in rows]


async def _body(
    request: web.Request,
    publication: Publication,
    section: SectionInfo | None,
    kind: str,
    shown: tuple[tuple[int, int, datetime], ...],
    newest: datetime,
) -> bytes:
    """Made once for what it shows: reading twenty issues takes a tenth of a second of everybody's time."""
    made = request.app[MADE]
    here = f"{request.app[LINKS].base_url}{request.rel_url.path}"
    known = made.get(here)
    if known is not None and known[0] == shown:
        return known[1]
    entries = await _entries(request, publication, section)
    title = f"{publication.name} · {section.name}" if section is not None else publication.name
    make = _atom if kind == "atom" else _json
    body = make(title, here, request.app[LINKS].archive(publication.key), publication, newest, entries)
    made[here] = (shown, body)
    return body


def _asked(request: web.Request) -> tuple[Publication, SectionInfo | None, str]:
    info = request.match_info
    name, _, kind = info["file"].rpartition(".")
    if kind not in _TYPES:
        raise NotFoundError("没有这种格式")
    publication = request.app[PUBLICATIONS].get(info.get("publication", name))
    if publication is None:
        raise NotFoundError("没有这份刊物")
    section = publication.section(name) if "publication" in info else None
    if "publication" in info and section is None:
        raise NotFoundError("没有这个栏目")
    return publication, section, kind


async def _entries(
    request: web.Request, publication: Publication, section: SectionInfo | None
) -> list[Entry]:
    statement = (
        select(Issue, IssueRevision)
        .join(IssueRevision, col(IssueRevision.issue_id) == col(Issue.id))
        .where(
            Issue.publication == publication.key,
            Issue.state == IssueState.PUBLISHED,
            col(IssueRevision.revision) == col(Issue.revision),
        )
        .order_by(col(Issue.total_number).desc())
        .limit(_ISSUES)
    )
    async with request.app[DATABASE].read() as session:
        rows = (await session.exec(statement)).all()
    links, found = request.app[LINKS], list[Entry]()
    for issue, revision in rows:
        document = IssueDocument.model_validate(revision.document)
        published = issue.published_at or issue.created_at
        updated = max(published, revision.created_at)
        if section is None:
            summary = "；".join(
                f"{one.name}：" + "、".join(article.title for article in one.articles)
                for one in document.sections
            )
            url = links.issue(publication.key, issue.total_number)
            found.append(Entry(url, heading_text(document, "zh"), summary, "", "", published, updated))
            continue
        for place, holder, article in document.articles():
            if holder.key == section.key:
                url = links.article(publication.key, issue.total_number, place)
                note = plain(article.editor_note)
                found.append(
                    Entry(url, plain(article.title), note, article.source, section.name, published, updated)
                )
    return found


def _is_known(request: web.Request, tag: str) -> bool:
    """`If-None-Match` alone: by a time nobody would learn that something was withdrawn."""
    asked = request.headers.get("If-None-Match", "")
    return asked.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in asked.split(",")]


def _atom(
    title: str,
    here: str,
    home: str,
    publication: Publication,
    newest: datetime,
    entries: Sequence[Entry],
) -> bytes:
    root = Element("feed", {"xmlns": _ATOM, "xml:lang": "zh-CN"})
    SubElement(root, "id").text = here
    SubElement(root, "title").text = _clean(title)
    SubElement(root, "updated").text = _time(newest)
    SubElement(root, "link", {"rel": "self", "type": _TYPES["atom"], "href": here})
    SubElement(root, "link", {"rel": "alternate", "type": "text/html", "href": home})
    SubElement(SubElement(root, "author"), "name").text = _clean(publication.publisher)
    for entry in entries:
        one = SubElement(root, "entry")
        SubElement(one, "id").text = entry.url
        SubElement(one, "title").text = _clean(entry.title)
        SubElement(one, "link", {"rel": "alternate", "type": "text/html", "href": entry.url})
        SubElement(one, "published").text = _time(entry.published)
        SubElement(one, "updated").text = _time(entry.updated)
        if entry.author:
            SubElement(SubElement(one, "author"), "name").text = _clean(entry.author)
        if entry.section:
            SubElement(one, "category", {"term": _clean(entry.section)})
        if entry.summary:
            SubElement(one, "summary").text = _clean(entry.summary)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _json(
    title: str,
    here: str,
    home: str,
    publication: Publication,
    newest: datetime,
    entries: Sequence[Entry],
) -> bytes:
    del newest  # JSON Feed has no such field
    items = [
        {
            "id": entry.url,
            "url": entry.url,
            "title": entry.title,
            "content_text": entry.summary or entry.title,
            "date_published": _time(entry.published),
            "date_modified": _time(entry.updated),
            **({"authors": [{"name": entry.author}]} if entry.author else {}),
            **({"tags": [entry.section]} if entry.section else {}),
        }
        for entry in entries
    ]
    whole = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "home_page_url": home,
        "feed_url": here,
        "language": "zh-CN",
        "authors": [{"name": publication.publisher}],
        "items": items,
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clean(text: str) -> str:
    """What XML can hold (XML 1.0 §2.2)."""
    return "".join(sign for sign in text if sign in "\t\n\r" or " " <= sign < "\ud800" or sign >= "\ue000")
