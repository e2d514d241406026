"""A feed's octets as entries: Atom, RSS, JSON Feed 1.1.

In: octets, hostile. Out: entries, oldest first, each with the file that it carries or its own words. Caller: taking.py.

Source: RFC 4287 (Atom), jsonfeed.org/version/1.1.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import nh3

from bdnews_dispatch.errors import BdnewsError

#: Entries of one reading that are looked at, the newest.
_MOST_ENTRIES = 100
_FILES = (".md", ".markdown", ".pdf", ".json", ".zip")
_KINDS = ("text/markdown", "application/pdf", "application/zip", "application/json")
_TAGS = {
    "a", "b", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li",
    "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
#: Of a Chinese bulletin: what a date without a zone means.
_BEIJING = timedelta(hours=8)


class FeedError(BdnewsError):
    """It is no feed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        id: as the feed names it; else its address, else its title.
        file: address of the issue's file, or "".
        html: its own words, as HTML; plain text where the feed says so is escaped.
        day: when it was published, in Beijing.
    """

    id: str
    title: str
    file: str
    html: str
    day: date | None
    updated: str

    @property
    def key(self) -> str:
        """Which entry this is."""
        return _hash(self.id)

    @property
    def mark(self) -> str:
        """What it says."""
        return _hash(f"{self.title}\0{self.file}\0{self.html}\0{self.updated}")

    def markdown(self, name: str) -> bytes:
        """Its own words, for the parser; the publication's name and the entry's title in front, unless they are there.

        Args:
            name: of the publication.

        Raises:
            FeedError: it is nested too deep.
        """
        from markdownify import markdownify  # noqa: PLC0415  # a fifth of a second, for those who watch feeds alone

        clean = nh3.clean(
            self.html, tags=_TAGS, attributes={"a": {"href"}, "img": {"src", "alt"}}, link_rel=None
        )
        try:
            text: str = markdownify(
                clean, heading_style="ATX", bullets="-", escape_underscores=False, escape_asterisks=False
            )
        except RecursionError as error:
            raise FeedError("正文嵌套过深") from error
        head = "" if self.title in text[:500] else f"{self.title}\n\n"
        return f"# {name}\n\n{head}{text}".encode() if name not in text[:200] else f"{head}{text}".encode()


def read_feed(data: bytes, url: str) -> list[Entry]:
    """The entries.

    Args:
        url: where it was, for addresses that are relative.

    Raises:
        FeedError: it is no feed.
    """
    found = _json(data, url) if data.lstrip()[:1] == b"{" else _xml(data, url)
    unique = {entry.id: entry for entry in reversed(found[:_MOST_ENTRIES]) if entry.id}
    return list(unique.values())


def _json(data: bytes, url: str) -> list[Entry]:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FeedError("不是正确的 JSON") from error
    items = raw.get("items")
    if not str(raw.get("version", "")).startswith("https://jsonfeed.org/version/") or not isinstance(
        items, list
    ):
        raise FeedError("不是 JSON Feed（没有 version 与 items）")
    found = []
    for item in items:
        if not isinstance(item, dict):
            continue
        attached = item.get("attachments")
        files = [one for one in attached if isinstance(one, dict)] if isinstance(attached, list) else []
        links = [(_text(one, "url"), _text(one, "mime_type")) for one in files]
        links += [(_text(item, "external_url"), ""), (_text(item, "url"), "")]
        published = _text(item, "date_published")
        found.append(
            Entry(
                id=_text(item, "id") or _text(item, "url"),
                title=_text(item, "title"),
                file=_file(links, url),
                html=_text(item, "content_html") or _escaped(_text(item, "content_text")),
                day=_iso_day(published),
                updated=_text(item, "date_modified") or published,
            )
        )
    return found


def _xml(data: bytes, url: str) -> list[Entry]:
    import feedparser  # noqa: PLC0415  # as above

    # Of a stream, not of octets: those may be the name of a file, or an address, which feedparser would open.
    read = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
    if not read.get("version"):
        raise FeedError("不是 Atom、RSS 或 JSON Feed")
    found = []
    for entry in read.entries:
        links = [(str(one.get("href", "")), str(one.get("type", ""))) for one in entry.get("links", [])]
        content = entry.get("content") or ([entry["summary_detail"]] if "summary_detail" in entry else [])
        html = ""
        if content:
            value = str(content[0].get("value", ""))
            html = _escaped(value) if content[0].get("type") == "text/plain" else value
        title, address = str(entry.get("title", "")), str(entry.get("link", ""))
        found.append(
            Entry(
                id=str(entry.get("id", "")) or address or title,
                title=" ".join(title.split()),
                file=_file(links, url),
                html=html,
                day=_day(entry.get("published_parsed") or entry.get("updated_parsed")),
                updated=str(entry.get("updated", "") or entry.get("published", "")),
            )
        )
    return found


def _file(links: list[tuple[str, str]], base: str) -> str:
    """The first of an entry's links that is a file of an issue."""
    for link, kind in links:
        try:
            address = urljoin(base, link)
            path = urlsplit(address).path.lower()
        except ValueError:
            continue
        if link and (kind.partition(";")[0].strip().lower() in _KINDS or path.endswith(_FILES)):
            return address
    return ""


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _escaped(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"<p>{line}</p>" for line in escaped.splitlines() if line.strip())


def _day(parsed: Any) -> date | None:
    """Args: parsed: year to second in UTC, as feedparser gives it; None: it said nothing that can be read."""
    try:
        year, month, day, hour = (int(part) for part in parsed[:4])
        return (datetime(year, month, day, hour, tzinfo=UTC) + _BEIJING).date()
    except (TypeError, ValueError, OverflowError):
        return None


def _iso_day(text: str) -> date | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment.astimezone(UTC) if moment.tzinfo else moment - _BEIJING) + _BEIJING).date()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
