"""The sandbox's pages: mails and cards that were kept, and followers to act as. In Chinese, without a script.

In: requests from a browser on this machine. Out: HTML, and the same as JSON under /api. Called by sandbox.py.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.sandbox.acting import Acting
from bdnews_dispatch.sandbox.kept import CardBox, KeptCard, KeptMail, MailBox
from bdnews_dispatch.sandbox.mail_view import PICTURES, MailView, framed, view
from bdnews_dispatch.sandbox.wechat_platform import Platform

_TEMPLATES = Path(__file__).parent / "templates"
#: A page of the lists.
PAGE_SIZE = 50
_MOST_FOLLOWERS = 50
#: The frame with a mail's HTML: no script, no form, no frame; pictures and styles of its own.
_FRAME_POLICY = (
    "default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline'; font-src data:; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


class Pages:
    """The pages over what was kept."""

    def __init__(self, mails: MailBox, cards: CardBox, platform: Platform, acting: Acting) -> None:
        self._mails = mails
        self._cards = cards
        self._platform = platform
        self._acting = acting
        self._jinja = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
        )
        self._jinja.filters["when"] = _when
        self._jinja.filters["size"] = _size

    def routes(self) -> list[web.RouteDef]:
        """Everything but /wechat."""
        return [
            web.get("/", self._index),
            web.get("/sandbox.css", self._css),
            web.get("/favicon.ico", self._no_icon),
            web.get(r"/mail/{id:\d+}", self._mail),
            web.get(r"/mail/{id:\d+}/html", self._mail_html),
            web.get(r"/mail/{id:\d+}/eml", self._mail_eml),
            web.get(r"/mail/{id:\d+}/parts/{number:\d+}", self._mail_part),
            web.get(r"/cards/{id:\d+}", self._card),
            web.get("/followers", self._followers),
            web.post("/followers", self._act),
            web.get("/scan/{ticket}", self._scan),
            web.get("/api/mails", self._api_mails),
            web.get(r"/api/mails/{id:\d+}", self._api_mail),
            web.get("/api/cards", self._api_cards),
            web.post("/api/clear", self._clear),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        mails, cards = self._mails.all()[::-1], self._cards.all()[::-1]
        sought = request.query.get("q", "").strip().lower()
        if sought:
            mails = [m for m in mails if sought in f"{m.subject} {' '.join(m.recipients)}".lower()]
            cards = [
                c for c in cards if sought in f"{c.title} {c.openid} {' '.join(c.fields.values())}".lower()
            ]
        page = _number(request.query.get("page"), 1)
        first = (page - 1) * PAGE_SIZE
        return self._html(
            "index.html",
            mails=mails[first : first + PAGE_SIZE],
            cards=cards[first : first + PAGE_SIZE],
            mail_count=len(mails),
            card_count=len(cards),
            page=page,
            pages=max(1, -(-max(len(mails), len(cards)) // PAGE_SIZE)),
            q=request.query.get("q", ""),
        )

    async def _no_icon(self, request: web.Request) -> web.Response:
        del request
        return web.Response(status=204)

    async def _css(self, request: web.Request) -> web.Response:
        del request
        css = await asyncio.to_thread((_TEMPLATES / "sandbox.css").read_text, encoding="utf-8")
        return web.Response(text=css, content_type="text/css")

    async def _mail(self, request: web.Request) -> web.Response:
        mail, seen = await self._seen(request)
        show = request.query.get("show", "html" if seen.html else "text")
        return self._html("mail.html", mail=mail, seen=seen, show=show)

    async def _mail_html(self, request: web.Request) -> web.Response:
        mail, seen = await self._seen(request)
        text = framed(seen.html, seen.parts, f"{request.url.origin()}/mail/{mail.id}/parts")
        return web.Response(
            text=text, content_type="text/html", headers={"Content-Security-Policy": _FRAME_POLICY}
        )

    async def _mail_eml(self, request: web.Request) -> web.Response:
        mail = self._find(request)
        content = await asyncio.to_thread(lambda: mail.content)
        headers = {"Content-Disposition": f'attachment; filename="{mail.id:08d}.eml"'}
        return web.Response(body=content, content_type="message/rfc822", headers=headers)

    async def _mail_part(self, request: web.Request) -> web.Response:
        _, seen = await self._seen(request)
        part = next((p for p in seen.parts if str(p.number) == request.match_info["number"]), None)
        if part is None:
            raise web.HTTPNotFound(text="这封邮件没有这个附件。\n")
        if part.content_type in PICTURES:
            return web.Response(body=part.content, content_type=part.content_type)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(part.name, safe='')}"}
        return web.Response(body=part.content, content_type="application/octet-stream", headers=headers)

    async def _card(self, request: web.Request) -> web.Response:
        card = self._cards.get(int(request.match_info["id"][:12]))
        if card is None:
            raise web.HTTPNotFound(text="没有这条微信消息，可能已被清空。\n")
        return self._html("card.html", card=card)

    async def _followers(self, request: web.Request) -> web.Response:
        del request
        return self._html(
            "followers.html",
            **self._latest(),
            journal=self._acting.journal[:-51:-1],
            now=self._platform.clock(),
            scene="",
        )

    def _latest(self) -> dict[str, Any]:
        """Those who followed here come before those who were there; a demo's made-up year has hundreds of these."""
        known = sorted(self._platform.followers.values(), key=lambda each: (each.since is None, each.openid))
        return {
            "followers": known[:_MOST_FOLLOWERS],
            "all": sum(1 for each in known if each.following),
            "known": len(known),
        }

    async def _scan(self, request: web.Request) -> web.Response:
        scene = self._platform.scenes.get(request.match_info["ticket"])
        if scene is None:
            raise web.HTTPNotFound(text="这个二维码不存在，或沙箱已经重启。\n")
        return self._html(
            "followers.html",
            **self._latest(),
            journal=self._acting.journal[:-51:-1],
            now=self._platform.clock(),
            scene=scene,
        )

    async def _act(self, request: web.Request) -> web.Response:
        form = await request.post()
        act, openid, text = (str(form.get(key, "")).strip() for key in ("act", "openid", "text"))
        await self._acting.act(act, openid, text)
        if act == "scan":
            raise web.HTTPSeeOther(f"/phone/{openid}")
        raise web.HTTPSeeOther("/followers")

    async def _api_mails(self, request: web.Request) -> web.Response:
        to = request.query.get("to", "").lower()
        mails = [m for m in self._mails.all() if not to or any(r.lower() == to for r in m.recipients)]
        return web.json_response([_mail_row(mail) for mail in mails[::-1][:1000]])

    async def _api_mail(self, request: web.Request) -> web.Response:
        mail, seen = await self._seen(request)
        body = {"headers": seen.headers, "text": seen.text, "html": seen.html, "source": seen.source}
        return web.json_response({**_mail_row(mail), **body})

    async def _api_cards(self, request: web.Request) -> web.Response:
        openid = request.query.get("openid", "")
        cards = [c for c in self._cards.all() if not openid or c.openid == openid]
        return web.json_response([_card_row(card) for card in cards[::-1][:1000]])

    async def _clear(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(self._mails.clear)
        await asyncio.to_thread(self._cards.clear)
        if "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther("/")
        return web.json_response({"cleared": True})

    def _find(self, request: web.Request) -> KeptMail:
        mail = self._mails.get(int(request.match_info["id"][:12]))
        if mail is None:
            raise web.HTTPNotFound(text="没有这封邮件，可能已被清空。\n")
        return mail

    async def _seen(self, request: web.Request) -> tuple[KeptMail, MailView]:
        mail = self._find(request)
        return mail, await asyncio.to_thread(lambda: view(mail.content))

    def _html(self, template: str, **values: Any) -> web.Response:
        return web.Response(
            text=self._jinja.get_template(template).render(**values), content_type="text/html"
        )


def _mail_row(mail: KeptMail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "at": mail.at.isoformat(),
        "sender": mail.sender,
        "recipients": mail.recipients,
        "subject": mail.subject,
        "size": mail.size,
    }


def _card_row(card: KeptCard) -> dict[str, Any]:
    row = {name: getattr(card, name) for name in KeptCard.__dataclass_fields__}
    # Beyond 2^53: a browser's numbers would round it.
    return {**row, "at": card.at.isoformat(), "msgid": str(card.msgid)}


def _number(text: str | None, least: int) -> int:
    return max(least, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 9 else least


def _when(at: datetime | None) -> str:
    if at is None:
        return ""
    local = beijing(at)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M:%S}"


def _size(octets: int) -> str:
    return f"{octets} B" if octets < 1024 else f"{octets / 1024:.1f} KB"
