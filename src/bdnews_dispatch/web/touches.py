"""What a request touched, and what it tells of who made it.

In: a request. Out: a `Touch`. Callers: handlers of links in mails and cards.
"""

from aiohttp import web

from bdnews_dispatch.tracking.machines import announced
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.recording import Touch
from bdnews_dispatch.web.clients import network_of

#: More of a User-Agent is not looked at.
_LONGEST_AGENT = 400


def touch_of(request: web.Request, delivery_key: str, kind: HitKind, *, link: int | None = None) -> Touch:
    """Args: link: of a click, its number."""
    return Touch(
        delivery_key,
        kind,
        link,
        request.headers.get("User-Agent", "")[:_LONGEST_AGENT],
        request.method,
        announced(request.headers),
        network_of(request),
    )
