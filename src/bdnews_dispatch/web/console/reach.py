"""What somebody reaches whose role is for some publications alone.

In: who has signed in, the object that an address names. Out: nothing, or a refusal. Called by access.py for every route
whose `{id}` is of one publication; the rooms ask `publications_of` for what they list and offer.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from aiohttp import web
from sqlmodel import select

from bdnews_dispatch.bulletins.models import BulletinDraft
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import DATABASE, PUBLICATIONS


class Of(StrEnum):
    """What a number in an address is of."""

    ISSUE = "issue"
    DRAFT = "draft"
    DISPATCH = "dispatch"
    FEED = "feed"
    #: What is of every publication at once, whatever its number.
    ALL = "all"


_TABLES: Mapping[Of, type[Issue] | type[BulletinDraft] | type[Dispatch] | type[WatchedFeed]] = {
    Of.ISSUE: Issue,
    Of.DRAFT: BulletinDraft,
    Of.DISPATCH: Dispatch,
    Of.FEED: WatchedFeed,
}


async def hold_to_reach(request: web.Request, of: Of) -> None:
    """Let on who reaches it; what is not there is the handler's to say. Raises: web.HTTPForbidden: they do not."""
    if of is Of.ALL:
        if request[WHO].publications:
            raise web.HTTPForbidden
        return
    text = request.match_info["id"]
    if not request[WHO].publications or not (text.isascii() and text.isdigit() and len(text) < 10):
        return
    table = _TABLES[of]
    async with request.app[DATABASE].read() as session:
        publication = (await session.exec(select(table.publication).where(table.id == int(text)))).first()
    if publication is not None:
        check_reach(request, publication)


def check_reach(request: web.Request, publication: str) -> None:
    """Raises: web.HTTPForbidden: their role is not for this publication."""
    if not request[WHO].reaches(publication):
        raise web.HTTPForbidden


def publications_of(request: web.Request) -> Sequence[Publication]:
    """Those that they reach, in the order of the settings."""
    return [one for one in request.app[PUBLICATIONS].values() if request[WHO].reaches(one.key)]


def publication_named(request: web.Request, key: str) -> Publication:
    """The one that a form or an address names, else the first that they reach.

    Raises:
        web.HTTPForbidden: they reach none, or not this one.
    """
    publications = request.app[PUBLICATIONS]
    reached = publications_of(request)
    if key in publications:
        check_reach(request, key)
        return publications[key]
    default = publications.named(None)
    if default in reached:
        return default
    if not reached:
        raise web.HTTPForbidden
    return reached[0]
