"""Who may ask for what: every route has a permission, and a route without one is refused.

In: the table in routes.py. Out: a middleware. Called by app.py.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web
from aiohttp.typedefs import Middleware

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.errors import TokenError
from bdnews_dispatch.links import Purpose
from bdnews_dispatch.web.api.bearers import authenticate
from bdnews_dispatch.web.console.guests import greet
from bdnews_dispatch.web.console.reach import Of, hold_to_reach
from bdnews_dispatch.web.keys import BACKLOG, CLOCK, DELIVERY_KEY, DEMO, LINKS

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Permission(StrEnum):
    """What a request needs."""

    #: Nothing.
    PUBLIC = "public"
    #: A token that we signed for this purpose.
    SIGNED = "signed"
    #: The signature of the WeChat platform, which its handler checks.
    PLATFORM = "platform"
    #: A demo on this machine.
    DEMO = "demo"
    #: The operations listener, which the world does not reach: `[operations] host` and `port`.
    OPERATIONS = "operations"
    #: A session of the console, whose user holds `Route.right`.
    SESSION = "session"
    #: A token of the JSON API, whose scope holds `Route.right`.
    TOKEN = "token"  # noqa: S105 — a word, not a secret


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Attributes:
        purpose: of the token, where the permission is `signed`; the path names it `{token}`.
        right: what a user or an API token must hold, where the permission is `session` or `token`.
        of: what `{id}` names, where that is of one publication: only those whose role is for it get on.
        unenrolled: also for who must have a second factor and has none yet.
        upload: the request's body is a file, which the handler reads itself.
        bad_token_passes: the handler is called all the same, with no delivery (the pixel answers always).
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    purpose: Purpose | None = None
    right: Right | None = None
    of: Of | None = None
    unenrolled: bool = False
    upload: bool = False
    bad_token_passes: bool = False


def access_of(routes: Sequence[Route]) -> Middleware:
    """The middleware that holds every request to its route's permission."""
    table: Mapping[tuple[str, str], Route] = {(route.method, route.path): route for route in routes}

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            return await handler(request)  # no such address, or not by this method: nothing to protect
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        route = table.get((method, resource.canonical if resource is not None else ""))
        if route is None:
            logger.error("web.route_without_permission", extra={"method": method})
            raise web.HTTPForbidden
        match route.permission:
            case Permission.SIGNED:
                request[DELIVERY_KEY] = _delivery_key(request, route)
            case Permission.DEMO:
                if not (request.app[DEMO] and is_loopback(request.host)):
                    raise web.HTTPNotFound
            case Permission.OPERATIONS:
                if BACKLOG not in request.app:  # only the operations listener has one
                    raise web.HTTPNotFound
            case Permission.TOKEN:
                if route.right is None:
                    raise web.HTTPForbidden
                await authenticate(request, route.right)
            case Permission.SESSION:
                if route.right is None:
                    raise web.HTTPForbidden
                too_late = await greet(request, route.right, upload=route.upload, unenrolled=route.unenrolled)
                if too_late is not None:
                    return too_late
                if route.of is not None:
                    await hold_to_reach(request, route.of)
            case Permission.PUBLIC | Permission.PLATFORM:
                pass
        return await handler(request)

    return hold


def _delivery_key(request: web.Request, route: Route) -> str:
    assert route.purpose is not None  # noqa: S101  # a test walks the table
    try:
        return request.app[LINKS].signer.read(
            route.purpose, request.match_info["token"].removesuffix(".gif"), request.app[CLOCK]()
        )
    except TokenError:
        if route.bad_token_passes:
            return ""
        raise


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine itself; a name that merely leads here (DNS rebinding) does not."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
