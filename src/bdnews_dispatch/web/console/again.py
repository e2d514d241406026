"""A form that came when its session was over, or with the word of an earlier one: what was typed is not lost.

In: a POST that guests.py does not let on. Out: a page that holds the fields and changes nothing: without a session it
says to sign in beside it and to send it once more; with one it holds that session's word, for one click more. Fields
are given back to a page of ours alone: another site can't have somebody see, and send, what it wrote.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

from bdnews_dispatch.web.keys import PAGES
from bdnews_dispatch.web.language import in_language, language_of

#: Of the form's fields: the word of the session that was, and what no page may hold.
_WORD = "csrf"
_SECRETS = frozenset({"password", "old", "again", "one_time_code"})
_MOST_FIELDS = 500

Typed = Sequence[tuple[str, str]]


def comes_from_our_page(request: web.Request) -> bool:
    """Whether the browser says that a form of a page of ours sends it; a browser that says nothing does not."""
    said = request.headers
    is_ours = said.get("Sec-Fetch-Site") == "same-origin" and said.get("Sec-Fetch-Mode") == "navigate"
    return is_ours and urlsplit(said.get("Origin", "")).netloc == request.host


def typed(request: web.Request, form: MultiMapping[str]) -> Typed | None:
    """What may be given back; None: it is of another site, has a password in it, or is too much."""
    fields = [(name, value) for name, value in form.items() if name != _WORD]
    if not comes_from_our_page(request) or len(fields) > _MOST_FIELDS or not _SECRETS.isdisjoint(form):
        return None
    return fields


def over(request: web.Request, fields: Typed | None) -> web.Response:
    """There is no session: sign in, and send it once more. Args: fields: what the page holds; None: no form."""
    return _page(request, 401, fields, word="")


def confirm(request: web.Request, fields: Typed, word: str) -> web.Response:
    """There is another session than the form's. Args: word: of this one."""
    return _page(request, 409, fields, word=word)


def _page(request: web.Request, status: int, fields: Typed | None, word: str) -> web.Response:
    other = "zh" if language_of(request) == "en" else "en"
    return request.app[PAGES].response(
        request,
        "console/again.html",
        status=status,
        fields=fields,
        word=word,
        action=str(request.rel_url),
        other_action=in_language(request.rel_url, other),
    )
