"""Who may look: only requests that name this machine, and no form that another site sends. Used by
sandbox.py.

The pages hold whole mails with their one-click links. A site a developer visits could reach them through a
name that resolves to 127.0.0.1 (DNS rebinding), so the Host header must be one of ours.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: For our own pages: no script at all.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' http: https: data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def guard(
    extra_hosts: Collection[str] = (),
) -> Middleware:
    """The middleware.

    Args:
        extra_hosts: names besides loopback's, e.g. the host that was set.
    """
    allowed = _LOOPBACK | {host.lower() for host in extra_hosts if host not in {"", "0.0.0.0", "::"}}  # noqa: S104

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _name(request.headers.get("Host", "")) not in allowed:
            return web.Response(status=421, text="沙箱只回答本机的请求。\n")
        if request.method not in {"GET", "HEAD"} and not request.path.startswith("/wechat/"):
            origin = request.headers.get("Origin")
            if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
                return web.Response(status=403, text="这个请求来自别的网站，没有执行。\n")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            _harden(error)
            raise
        _harden(response)
        return response

    return check


def _harden(response: web.StreamResponse) -> None:
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    # With "no-referrer" a browser says "null" for the origin of our own forms, and the check above refuses them.
    response.headers["Referrer-Policy"] = "same-origin"


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
