"""OAuth inside WeChat's browser: a page that sends the user on with a code; a code is good once, for five minutes.

Source: OA_Web_Apps/Wechat_webpage_authorization.html. The real page asks nobody for snsapi_base; this one has to ask
which of its simulated users looks.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from bdnews_dispatch.sandbox.wechat.endpoint import Answer
from bdnews_dispatch.sandbox.wechat.jssdk import LOOKS
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_APPID, SANDBOX_SECRET, Platform, Refusal

_LIFE = timedelta(minutes=5)
_STATE = re.compile("[A-Za-z0-9]{0,128}")
_SCOPES = frozenset({"snsapi_base", "snsapi_userinfo"})


@dataclass(slots=True)
class _Code:
    openid: str
    scope: str
    until: datetime
    snapshot: bool
    used: bool = False


@dataclass(slots=True)
class OAuth:
    """Codes given out.

    Attributes:
        snapshot: True: codes from now on are of a virtual account (`is_snapshotuser`).
    """

    platform: Platform
    snapshot: bool = False
    _codes: dict[str, _Code] = field(default_factory=dict)

    def code(self, openid: str, scope: str = "snsapi_base") -> str:
        """A new code for a user who looks."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(openid, scope, self.platform.clock() + _LIFE, self.snapshot)
        return code

    def access_token(self, query: Mapping[str, str]) -> Answer:
        """sns/oauth2/access_token.

        Raises:
            Refusal: 40002, 40013, 40125, 41008, 40029, 40163.
        """
        if query.get("appid") != SANDBOX_APPID:
            raise Refusal(40013, "invalid appid")
        if query.get("secret") != SANDBOX_SECRET:
            raise Refusal(40125, "invalid appsecret")
        if query.get("grant_type") != "authorization_code":
            raise Refusal(40002, "invalid grant_type")
        if not query.get("code"):
            raise Refusal(41008, "missing code")
        known = self._codes.get(query["code"])
        if known is None or self.platform.clock() >= known.until:
            raise Refusal(40029, "invalid code")
        if known.used:
            raise Refusal(40163, "code been used")
        known.used = True
        answer: Answer = {
            "access_token": secrets.token_urlsafe(48),
            "expires_in": 7200,
            "refresh_token": secrets.token_urlsafe(48),
            "openid": known.openid,
            "scope": known.scope,
        }
        return {**answer, "is_snapshotuser": 1} if known.snapshot else answer

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """connect/oauth2/authorize: `openid` says who looks, or the phone that opened the page; else a list."""
        query = request.query
        target = urlsplit(query.get("redirect_uri", ""))
        if query.get("appid") != SANDBOX_APPID or query.get("response_type") != "code":
            return _page("<p>请在微信客户端打开链接</p>", 400)
        if query.get("scope") not in _SCOPES:
            return _page("<p>Scope 参数错误或没有 Scope 权限</p>", 400)
        if target.scheme not in {"http", "https"} or not target.netloc:
            return _page("<p>redirect_uri 参数错误</p>", 400)
        if not _STATE.fullmatch(query.get("state", "")):
            return _page("<p>state 参数错误：只能是字母和数字，最多 128 字节</p>", 400)
        openid = query.get("openid", "") or request.cookies.get(LOOKS, "")
        if not openid:
            links = "".join(
                f'<li><a href="?{escape(urlencode({**query, "openid": one}))}">{escape(one)}</a></li>'
                for one in self.platform.followers
            )
            return _page(f"<p>以谁的身份打开？</p><ul>{links}</ul>", 200)
        given = urlencode({"code": self.code(openid, query["scope"]), "state": query.get("state", "")})
        joined = f"{target.query}&{given}" if target.query else given
        raise web.HTTPFound(urlunsplit((*target[:3], joined, "")))


def _page(inner: str, status: int) -> web.Response:
    html = f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>微信授权（沙箱）</title>{inner}</html>'
    return web.Response(text=html, content_type="text/html", status=status)
