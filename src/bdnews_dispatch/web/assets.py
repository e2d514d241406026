"""The files that pages need: one stylesheet, and a few scripts. Everything else is refused."""

from aiohttp import web

from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.web.pages import ASSETS

_SCRIPTS = ("console.js", "demo.js", "progress.js")
_KINDS = {"pages.css": "text/css", **dict.fromkeys(_SCRIPTS, "text/javascript")}
_FILES = {name: (ASSETS / name).read_bytes() for name in _KINDS}


async def asset(request: web.Request) -> web.Response:
    """A file by its name; its address names its fingerprint, so it may be kept for ever."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise NotFoundError("没有这个文件")
    return web.Response(
        body=_FILES[name],
        content_type=_KINDS[name],
        charset="utf-8",
        headers={
            "Cache-Control": "public, max-age=31536000, immutable" if "v" in request.query else "no-cache"
        },
    )
