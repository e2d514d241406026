"""Inline Markdown of hostile text as runs of plain data: no HTML is ever made from it here.

In: a line of text with **bold** and [links](http…). Out: `Run`s, which templates escape. Callers:
composition, excerpt.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bdnews_dispatch.digests.strong import with_chinese_strong
from bdnews_dispatch.digests.typography import ELLIPSIS, cut, omission, typeset

#: HTML stays text. Emphasis and links only: a picture or code span in a note is its words.
_MARKDOWN = with_chinese_strong(
    MarkdownIt("zero", {"html": False}).enable(
        ["emphasis", "link", "autolink", "image", "escape", "entity", "backticks"]
    )
)
#: Longest address that we put in a mail, in octets: with what stands around it a line stays under 998 (RFC
#: 5322 §2.1.1).
LONGEST_URL = 700
#: Characters of a paragraph that are read; what follows shows in no mail, and reading `[[[[…` takes its square.
LONGEST_PARAGRAPH = 4_000
_NOT_IN_URLS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}\u2028\u2029\ud800-\udfff\U0010f700-\U0010f7ff]")


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of a paragraph.

    Attributes:
        link: the number of its link in the digest, counted when it is clicked; None: no counted link.
        url: of a mailto link, which is not counted.
    """

    text: str
    strong: bool = False
    link: int | None = None
    url: str = ""


def web_url(url: str) -> str:
    """The address if it may stand in a mail as a counted link (http, https), else ""."""
    if len(url.encode("utf-8", "replace")) > LONGEST_URL or _NOT_IN_URLS.search(url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme.lower() in {"http", "https"} and parts.hostname else ""


def mail_url(url: str) -> str:
    """The address if it is a mailto link that may stand in a mail, else ""."""
    fits = len(url.encode("utf-8", "replace")) <= LONGEST_URL and not _NOT_IN_URLS.search(url)
    return url if fits and url.lower().startswith("mailto:") and "@" in url else ""


def runs(text: str, number: Callable[[str], int | None]) -> tuple[Run, ...]:
    """Read one paragraph.

    Args:
        text: inline Markdown.
        number: asked once for each http(s) link, in the order of the text, for its number.
    """
    parsed = _MARKDOWN.parseInline(text[:LONGEST_PARAGRAPH])[0].children or []
    return _joined(_read(parsed, number))


def plain(text: str) -> str:
    """The words alone, typeset."""
    return "".join(run.text for run in runs(text, lambda _: None))


def links_of(text: str) -> list[str]:
    """The http(s) links of one paragraph, in its order, as often as they stand there."""
    found: list[str] = []

    def note(url: str) -> None:
        found.append(url)

    runs(text, note)
    return found


def cut_runs(paragraphs: Sequence[tuple[Run, ...]], limit: int) -> tuple[tuple[Run, ...], ...]:
    """At most about `limit` characters over all paragraphs: whole sentences, `…` where more followed."""
    kept: list[tuple[Run, ...]] = []
    room = limit
    for paragraph in paragraphs:
        words = "".join(run.text for run in paragraph)
        if len(words) <= room:
            kept.append(paragraph)
            room -= len(words)
            continue
        if room > limit // 3 or not kept:
            short, closing = cut(words, room), ""
            if not words.startswith(short):
                short, _, closing = short.rpartition(ELLIPSIS)
            kept.append((*_first(paragraph, len(short)), Run(omission(words) + closing)))
        else:
            kept[-1] = (*kept[-1], Run(omission(words)))
        break
    return tuple(kept)


def _first(paragraph: tuple[Run, ...], length: int) -> list[Run]:
    shortened: list[Run] = []
    for run in paragraph:
        if length <= 0:
            break
        shortened.append(replace(run, text=run.text[:length]))
        length -= len(run.text)
    return shortened


def _read(tokens: Sequence[Token], number: Callable[[str], int | None]) -> list[Run]:
    found: list[Run] = []
    strong = 0
    link: int | None = None
    url = ""
    for token in tokens:
        match token.type:
            case "strong_open":
                strong += 1
            case "strong_close":
                strong -= 1
            case "link_open":
                href = str(token.attrGet("href") or "")
                link = number(href) if web_url(href) else None
                url = mail_url(href)
            case "link_close":
                link, url = None, ""
            case "softbreak" | "hardbreak":
                found.append(Run(" ", strong > 0, link, url))
            case _ if token.content:
                found.append(Run(token.content, strong > 0, link, url))
    return found


def _joined(found: list[Run]) -> tuple[Run, ...]:
    """Neighbours of one kind become one run; each is typeset, and spaces at the ends of the paragraph go."""
    merged: list[Run] = []
    for run in found:
        if merged and replace(merged[-1], text="") == replace(run, text=""):
            merged[-1] = replace(run, text=merged[-1].text + run.text)
        else:
            merged.append(run)
    set_runs = [replace(run, text=_typeset_keeping_ends(run.text)) for run in merged]
    if set_runs:
        set_runs[0] = replace(set_runs[0], text=set_runs[0].text.lstrip())
        set_runs[-1] = replace(set_runs[-1], text=set_runs[-1].text.rstrip())
    return tuple(run for run in set_runs if run.text)


def _typeset_keeping_ends(text: str) -> str:
    middle = typeset(text)
    if not middle:
        return " " if text else ""
    return (" " if text[0].isspace() else "") + middle + (" " if text[-1].isspace() else "")
