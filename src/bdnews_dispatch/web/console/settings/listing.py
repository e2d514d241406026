"""Every setting: its value, where it comes from, what it means, and the very lines that would change it."""

from aiohttp import web

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.console.settings.explanations import explanations
from bdnews_dispatch.web.console.settings.overview import by_group
from bdnews_dispatch.web.console.settings.values import Shown, shown
from bdnews_dispatch.web.keys import READ
from bdnews_dispatch.web.language import LANGUAGES, language_of

_LONGEST_WORD = 60


async def show(request: web.Request) -> web.Response:
    """All, those that are not as shipped (`only=changed`), or those with a word in them (`q`)."""
    read, language = request.app[READ], language_of(request)
    word = " ".join(request.query.get("q", "").split())[:_LONGEST_WORD]
    changed = request.query.get("only") == "changed"
    found = [
        one
        for one in shown(read, sees_people=request[WHO].may(Right.SUBSCRIBERS_READ), language=language)
        if (not changed or one.changed) and word.casefold() in _searched(one)
    ]
    return page(
        request,
        "settings_all.html",
        groups=by_group(found),
        explained=explanations(language).groups,
        word=word,
        changed=changed,
        file=str(read.file) if read.file else "",
    )


def _searched(one: Shown) -> str:
    """What a word is looked for in: its names, and the explanations in both languages."""
    words = " ".join(explanations(language).keys.get(one.name, "") for language in LANGUAGES)
    return f"{one.name} {one.variable} {words}".casefold()
