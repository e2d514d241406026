"""The files that pages need: stylesheets, a few scripts, a shared page's picture. All else is refused."""

from aiohttp import web

from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.web.pages import ASSETS

_SCRIPTS = ("console.js", "demo.js", "progress.js", "search.js", "wechat.js")
_STYLES = ("pages.css", "console.css")
_KINDS = {
    "share.jpg": "image/jpeg",
    **dict.fromkeys(_STYLES, "text/css"),
    **dict.fromkeys(_SCRIPTS, "text/javascript"),
}
_FILES = {name: (ASSETS / name).read_bytes() for name in _KINDS if name != "share.jpg"} | {
    "share.jpg": (shipped("templates") / "wechat" / "cover.jpg").read_bytes()
}


async def asset(request: web.Request) -> web.Response:
    """A file by its name; its address names its fingerprint, so it may be kept for ever."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise NotFoundError("没有这个文件")
    return web.Response(
        body=_FILES[name],
        content_type=_KINDS[name],
        charset="utf-8" if _KINDS[name].startswith("text/") else None,
        headers={
            "Cache-Control": "public, max-age=31536000, immutable" if "v" in request.query else "no-cache"
        },
    )
