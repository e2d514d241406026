"""Rendering: templates and words into whole pages. In: a template's name and plain data. Out: a response.

Callers: every handler. Everything is escaped (`autoescape=True`); what is not words is plain data.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import CodeType
from typing import Any

from aiohttp import web
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.digests.facts import heading_text, number_text
from bdnews_dispatch.digests.inline import plain
from bdnews_dispatch.digests.labels import date_text
from bdnews_dispatch.digests.qr import qr_svg
from bdnews_dispatch.digests.typography import typeset
from bdnews_dispatch.dispatch.words import of_cards, reason_words
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.web.language import here_of, in_language, language_of, load_translations, said_by

_HERE = Path(__file__).parent
ASSETS = _HERE / "assets"
TEMPLATES = _HERE / "templates"
_TAGS = {"zh": "zh-CN", "en": "en"}

#: What may be kept, and for how long. A withdrawn issue is gone within a minute.
PRIVATE = "no-store"
SHORT = "public, max-age=60"


class _Compiled(BytecodeCache):
    """Templates as Python, each made once in a process: its environments, one for each language, differ in words alone.

    Compiling takes some 30 ms a template, which the first reader of a page would wait for in each language.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        kept = self._kept.get(bucket.key)
        if kept is not None and kept[0] == bucket.checksum:  # of the template's text
            bucket.code = kept[1]

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._kept[bucket.key] = bucket.checksum, bucket.code


_COMPILED = _Compiled()


class Pages:
    """Makes pages. One for the application."""

    def __init__(self) -> None:
        self._translations = load_translations()
        self._environments = {language: self._environment(language) for language in self._translations}

    def _environment(self, language: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            bytecode_cache=_COMPILED,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        # The extension adds this method; its types don't say so.
        environment.install_gettext_translations(self._translations[language], newstyle=True)  # type: ignore[attr-defined]
        environment.filters["plain"] = plain
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
        environment.globals |= {
            "language": language,
            "language_tag": _TAGS[language],
            "stylesheet": _address_of("pages.css"),
            "console_stylesheet": _address_of("console.css"),
            "publication_name": lambda publication: publication_name(publication, language),
            "section_name": lambda publication, key, name="": section_name(publication, key, name, language),
            "heading": lambda document: heading_text(document, language),
            "number": lambda document: number_text(document, language),
            "date": lambda day: date_text(day, language),
            "room_name": lambda name: self.room_name(name, language),
            "said": lambda text: self.said(text, language),
            "reason_words": reason_words,
            "card_rows": of_cards,
            "moment": lambda at: _moment(at, language),
            "instant": _instant,
            "qr": lambda url, title: Markup(qr_svg(url, title=title)),  # noqa: S704  # our own SVG, title escaped
        }
        return environment

    def said(self, text: str, language: str) -> Markup:
        """An error's message or hint; marked as Chinese on an English page that has no words for it."""
        words = said_by(self._translations[language].gettext, text)
        if language == "zh" or words != text or text.isascii():
            return escape(words)
        return Markup('<span lang="{}">{}</span>').format(_TAGS["zh"], words)

    def room_name(self, name: str, language: str) -> str:
        """A word of the console's navigation: in English often the plural of what it means elsewhere."""
        found = self._translations[language].pgettext("room", name)
        return self._translations[language].gettext(name) if found == name else found

    def words(self, request: web.Request) -> Callable[[str], str]:
        """Translates into the request's language."""
        return self._translations[language_of(request)].gettext

    def response(
        self,
        request: web.Request,
        template: str,
        *,
        status: int = 200,
        cache: str = PRIVATE,
        language: str = "",
        **data: Any,
    ) -> web.Response:
        """A page.

        Args:
            cache: for Cache-Control.
            language: instead of the request's.
            data: for the template.
        """
        text = (
            self._environments[language or language_of(request)]
            .get_template(template)
            .render(
                path=request.rel_url.path,
                suffix="" if language_of(request) == "zh" else f"?lang={language_of(request)}",
                here_in=lambda other: in_language(here_of(request), other),
                demo=False,
                **data,
            )
        )
        headers = {"Cache-Control": cache}
        return web.Response(
            text=text, content_type="text/html", charset="utf-8", status=status, headers=headers
        )


def _address_of(asset: str) -> str:
    """With the file's fingerprint, so that it can be kept for ever."""
    fingerprint = hashlib.sha256((ASSETS / asset).read_bytes()).hexdigest()[:12]
    return f"/assets/{asset}?v={fingerprint}"


def publication_name(publication: Publication, language: str) -> str:
    """As people of this language call it."""
    return publication.name_en if language == "en" and publication.name_en else publication.name


def section_name(publication: Publication, key: str, name: str, language: str) -> str:
    """As people of this language call it; `name` as printed, for a section that the publication has no more."""
    info = publication.section(key)
    if info is None:
        return name or key
    return info.name_en if language == "en" and info.name_en else info.name


def facts(document: IssueDocument) -> Mapping[str, str]:
    """Masthead and contact lines, in the order of the page."""
    roles = {role: "、".join(names) for role, names in document.masthead.items()}
    lines = (roles | document.contact).items()
    return {role if role.isascii() else "".join(role.split()): typeset(text) for role, text in lines if text}


def _instant(text: str | None) -> str:
    """A moment as JSON has it, short, in Beijing time: for tables."""
    return f"{beijing(datetime.fromisoformat(text)):%Y-%m-%d %H:%M}" if text else ""


def _moment(at: datetime | None, language: str) -> str:
    if at is None:
        return ""
    local = beijing(at)
    zone = " (Beijing time)" if language == "en" else ""
    return f"{date_text(local.date(), language)} {local:%H:%M}{zone}"
