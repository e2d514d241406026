"""The account as one user sees it on a phone: the chat, the menu, a line to write in; pages open as this user.

In: what was kept and done. Out: /phone pages, without a script. Called by sandbox.py. Who looks at a page that is
opened from here is told by a cookie on this host, which the stand-ins of OAuth and of the page script read.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.sandbox.acting import Acting
from bdnews_dispatch.sandbox.kept import CardBox
from bdnews_dispatch.sandbox.wechat.jssdk import LOOKS
from bdnews_dispatch.sandbox.wechat.menus import Menus
from bdnews_dispatch.sandbox.wechat_platform import Platform

_TEMPLATES = Path(__file__).parent / "templates"
_URL = re.compile(r"https?://[^\s<>\"'，。；]+")
#: Of the newest.
_SHOWN = 60


class _Line(NamedTuple):
    """One thing in the chat, in order of time."""

    at: datetime
    kind: str
    value: Any


class Phone:
    """One user's phone at a time."""

    def __init__(self, acting: Acting, platform: Platform, cards: CardBox, menus: Menus) -> None:
        self._acting = acting
        self._platform = platform
        self._cards = cards
        self._menus = menus
        self._jinja = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
        )
        self._jinja.filters["clock"] = lambda at: f"{beijing(at):%m月%d日 %H:%M}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(r"/phone/{openid:[A-Za-z0-9_-]{1,64}}", self._show),
            web.post(r"/phone/{openid:[A-Za-z0-9_-]{1,64}}", self._act),
            web.get(r"/phone/{openid:[A-Za-z0-9_-]{1,64}}/open", self._open),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        openid = request.match_info["openid"]
        follower = self._platform.followers.get(openid)

        def linked(text: str) -> Markup:
            """Addresses in a message can be tapped, as in WeChat."""
            parts, end = [], 0
            for found in _URL.finditer(text):
                parts += [escape(text[end : found.start()]), self._anchor(openid, found.group())]
                end = found.end()
            return Markup("").join([*parts, escape(text[end:])])

        lines = self._lines(openid)
        minutes = [
            (at, list(group))
            for at, group in groupby(lines, lambda line: line.at.replace(second=0, microsecond=0))
        ]
        text = self._jinja.get_template("phone.html").render(
            openid=openid,
            following=follower is not None and follower.following,
            minutes=minutes,
            buttons=self._menus.buttons,
            linked=linked,
            opens=lambda url: f"/phone/{openid}/open?{_query(url)}",
        )
        return web.Response(text=text, content_type="text/html")

    def _anchor(self, openid: str, url: str) -> Markup:
        return Markup('<a href="{}">{}</a>').format(f"/phone/{openid}/open?{_query(url)}", url)

    def _lines(self, openid: str) -> Sequence[_Line]:
        lines = [_Line(card.at, "card", card) for card in self._cards.all() if card.openid == openid]
        for act in self._acting.journal:
            if act.openid != openid:
                continue
            lines.append(_Line(act.at, "said" if act.said else "did", act.said or act.words))
            if act.reply.tries and not act.reply.delivered:
                lines.append(_Line(act.at, "did", "该公众号提供的服务出现故障，请稍后再试"))
            elif act.reply.text:
                lines.append(_Line(act.at, "reply", act.reply.text))
        return sorted(lines, key=lambda line: line.at)[-_SHOWN:]

    async def _act(self, request: web.Request) -> web.Response:
        openid, form = request.match_info["openid"], await request.post()
        await self._acting.act(str(form.get("act", "")), openid, str(form.get("text", "")).strip())
        raise web.HTTPSeeOther(f"/phone/{openid}#end")

    async def _open(self, request: web.Request) -> web.Response:
        url = request.query.get("url", "")
        if not url.startswith(("http://", "https://")) or any(sign in url for sign in "\r\n"):
            raise web.HTTPBadRequest(text="只能打开 http 或 https 地址。\n")
        response = web.Response(status=302, headers={"Location": url})
        response.set_cookie(LOOKS, request.match_info["openid"], path="/", httponly=True, samesite="Lax")
        return response


def _query(url: str) -> str:
    return urlencode({"url": url})
