"""Chinese first, English second: which one a request gets, and the words.

In: `?lang=`, what a user of the console has chosen, locale/*.po. Out: "zh" or "en", translations. Callers: pages. The
Chinese text is the message's id; the .po is read and compiled at the start, so no compiled file can be older than its
source.
"""

import gettext
import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from aiohttp import web
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from yarl import URL

from bdnews_dispatch.errors import Phrase, filled

LANGUAGES = ("zh", "en")
#: What the user who has signed in has chosen; set by the console's door.
LANGUAGE = web.RequestKey("language", str)
_LOCALE = Path(__file__).parent / "locale"


def po_file(language: str) -> Path:
    """Where the translations into this language are."""
    return _LOCALE / language / "LC_MESSAGES" / "messages.po"


@cache
def load_translations() -> Mapping[str, gettext.NullTranslations]:
    """Every language's words, read once in a process; Chinese are the ids themselves."""
    found: dict[str, gettext.NullTranslations] = {"zh": gettext.NullTranslations()}
    with po_file("en").open("rb") as file:
        catalogue = read_po(file, locale="en")
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    found["en"] = gettext.GNUTranslations(compiled)
    return found


def said_by(translate: Callable[[str], str], text: str) -> str:
    """An error's message or hint in another language; as it is, where there are no words for it."""
    if not text:
        return ""
    if not isinstance(text, Phrase):
        return translate(text)
    template = translate(text.template)
    if not text.values:
        return template
    if template == text.template and not template.isascii():
        return str(text)
    values = {
        name: [_value(translate, one) for one in value]
        if isinstance(value, list | tuple)
        else _value(translate, value)
        for name, value in text.values.items()
    }
    return filled(template, values, translate("、"))


def _value(translate: Callable[[str], str], value: object) -> object:
    return said_by(translate, value) if isinstance(value, Phrase) else value


def language_of(request: web.Request) -> str:
    """The one that the address names, else the user's, else Chinese.

    Not the browser's: many readers in China have an English one, and the bulletin that they read is Chinese.
    """
    named = request.query.get("lang", "").lower()
    if named in LANGUAGES:
        return named
    chosen = request.get(LANGUAGE, "zh")
    return chosen if chosen in LANGUAGES else "zh"


def suffix_of(request: web.Request) -> str:
    """What an address of ours gets so that the next page is in the same language."""
    language = language_of(request)
    return "" if language == "zh" else f"?lang={language}"


def here_of(request: web.Request) -> URL:
    """Where the page is that somebody looks at: of an address that only takes forms, the page above it."""
    url, resource = request.rel_url, request.match_info.route.resource
    if request.method in {"GET", "HEAD"} or resource is None:
        return url
    shown = {
        route.resource.canonical
        for route in request.app.router.routes()
        if route.method == "GET" and route.resource is not None
    }
    pattern = resource.canonical
    while pattern not in shown and pattern.strip("/"):
        pattern, url = pattern.rpartition("/")[0] or "/", url.parent
    return url


def in_language(url: URL, language: str) -> str:
    """The same page in this language."""
    return str(url.update_query(lang=language))
