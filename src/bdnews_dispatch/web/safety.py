"""Headers that every answer carries. Called by app.py, as the outermost middleware.

No cookies, no script but the demo page's own file, no frames, no address of ours in anybody's Referer.
"""

from aiohttp import web

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
#: The demo page looks for news by itself.
DEMO_POLICY = f"{CONTENT_SECURITY_POLICY}; script-src 'self'; connect-src 'self'"

_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: every answer that is prepared, errors of aiohttp's own included."""
    is_demo = request.path == "/demo"
    response.headers.setdefault(
        "Content-Security-Policy", DEMO_POLICY if is_demo else CONTENT_SECURITY_POLICY
    )
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
