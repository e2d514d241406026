"""Headers that every answer carries. Called by app.py, as the outermost middleware.

No cookie but the console's, no script but a few pages' own files, no frames but the
console's previews, no address of ours in anybody's Referer.
"""

from aiohttp import web

from bdnews_dispatch.web.api.bearers import REMAINING, headers_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
#: The demo page and a dispatch's look for news by themselves; the console answers as one types.
SCRIPT_POLICY = f"{CONTENT_SECURITY_POLICY}; script-src 'self'; connect-src 'self'"
#: The console's rooms with a preview show a mail in a frame.
ROOM_POLICY = f"{SCRIPT_POLICY}; frame-src 'self'"
_WITH_SCRIPT = ("/dispatches/", "/console/")
_ROOMS = ("/console/dispatches", "/console/issues", "/console/bulletins", "/console/settings/templates")

_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: every answer that is prepared, errors of aiohttp's own included."""
    policy = CONTENT_SECURITY_POLICY
    if request.path.startswith(_ROOMS):
        policy = ROOM_POLICY
    elif request.path == "/demo" or request.path.startswith(_WITH_SCRIPT):
        policy = SCRIPT_POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    if request.path.startswith(("/console/", "/demo/console/")):
        # A browser that may tell no referrer says "null" for a form's origin, too: then nobody could be told apart.
        response.headers.setdefault("Referrer-Policy", "same-origin")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if (remaining := request.get(REMAINING)) is not None:
        for name, value in headers_of(remaining).items():
            response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
