"""The platform's HTTP face under /wechat: tokens, sending, users. Called by whoever has `Sandbox.api_base`.

A logical error is HTTP 200 with `errcode` and an `errmsg` that ends in a rid, as on the real platform.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from bdnews_dispatch.sandbox.faults import Faults, PlatformFault
from bdnews_dispatch.sandbox.kept import KeptCard
from bdnews_dispatch.sandbox.wechat.desks import Desks
from bdnews_dispatch.sandbox.wechat.endpoint import Endpoint, Upload
from bdnews_dispatch.sandbox.wechat_platform import (
    SANDBOX_APPID,
    SANDBOX_SECRET,
    SANDBOX_TEMPLATE_FIELDS,
    SANDBOX_TEMPLATE_ID,
    SANDBOX_TEMPLATE_TITLE,
    Platform,
    Refusal,
)

_WORDS: Mapping[int, str] = {
    40001: "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken",
    42001: "access_token expired",
    41001: "access_token missing",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
}
_Answer = dict[str, Any]
_JSON = "application/json"


class WeChatApi:
    """The endpoints.

    Args:
        platform: the rules.
        faults: what goes wrong.
        desks: the rest of the account.
        finished: called with each template card that was sent: the platform reports its end.
    """

    def __init__(
        self, platform: Platform, faults: Faults, desks: Desks, finished: Callable[[KeptCard], None]
    ) -> None:
        self._platform = platform
        self._desks = desks
        self._faults = faults
        self._finished = finished
        self.http_url = ""

    def routes(self) -> list[web.RouteDef]:
        """Everything under /wechat."""
        return [
            web.route("*", "/wechat/cgi-bin/{endpoint:.+}", self._handle),
            web.route("*", "/wechat/{endpoint:(?:sns|wxaapi)/.+}", self._handle),
            web.get("/wechat/connect/oauth2/authorize", self._desks.oauth.authorize),
        ]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        endpoint = request.match_info["endpoint"]
        self._platform.calls[endpoint] += 1
        body = await request.read() if self._faults.of_users and request.content_type == _JSON else b""
        fault = self._faults.of_wechat(endpoint, body)
        if fault and not fault.accepted:
            return await self._go_wrong(request, fault)
        try:
            answer = await self._answer(request, endpoint)
        except Refusal as refusal:
            answer = {**_refused(refusal.code, refusal.message), **refusal.more}
        if fault:
            return await self._go_wrong(request, fault)
        return _json(answer)

    async def _go_wrong(self, request: web.Request, fault: PlatformFault) -> web.StreamResponse:
        if fault.silence == "hang":
            await asyncio.get_running_loop().create_future()  # until the client goes away
        if fault.silence == "drop":
            if request.transport is not None:
                request.transport.abort()
            await asyncio.get_running_loop().create_future()
        if fault.http:
            return web.Response(
                status=fault.http, text="<html>sandbox fault</html>", content_type="text/html"
            )
        return _json(_refused(fault.code, fault.message or _WORDS.get(fault.code, "sandbox fault")))

    async def _answer(self, request: web.Request, endpoint: str) -> _Answer:
        if endpoint == "stable_token":
            return self._stable_token(await _body(request))
        if endpoint == "token":
            return self._token(request)
        if endpoint == "sns/oauth2/access_token":
            return self._desks.oauth.access_token(dict(request.query))
        known = self._known()
        if endpoint not in known:
            raise Refusal(40066, "invalid url")
        chosen = known[endpoint]
        if request.method != chosen.method:
            raise Refusal(43002 if chosen.method == "POST" else 43001, f"require {chosen.method} method")
        if code := self._platform.tokens.fault_of(request.query.get("access_token", "")):
            raise Refusal(code, _WORDS[code])
        self._desks.quotas.take(endpoint)
        if chosen.upload:
            return chosen.upload(await _uploaded(request))
        if not chosen.call:
            raise RuntimeError(f"{endpoint} 没有实现")
        if chosen.method == "GET":
            return chosen.call(dict(request.query))
        raw = await request.read()
        if endpoint == "menu/create" and b"\\u" in raw:
            raise Refusal(40033, "invalid charset, \\uxxxx is not allowed")
        return chosen.call(_parsed(raw))

    def _known(self) -> Mapping[str, Endpoint]:
        """Every endpoint behind a token."""
        known = {
            **self._desks.endpoints,
            "message/custom/send": Endpoint("POST", self._platform.send_custom),
            "message/template/send": Endpoint("POST", self._send_template),
            "qrcode/create": Endpoint("POST", self._qr_code),
            "user/info": Endpoint(
                "GET", lambda query: self._platform.user_info(str(query.get("openid", "")))
            ),
            "getcallbackip": Endpoint("GET", lambda _: {"ip_list": ["127.0.0.1"]}),
            "template/get_all_private_template": Endpoint("GET", lambda _: {"template_list": [_template()]}),
        }
        self._desks.quotas.known = frozenset(known)
        return known

    def _stable_token(self, data: Mapping[str, Any]) -> _Answer:
        _check_account(data)
        given = self._platform.tokens.stable(force=data.get("force_refresh") is True)
        if isinstance(given, int):
            raise Refusal(given, _WORDS[given])
        return {"access_token": given[0], "expires_in": given[1]}

    def _token(self, request: web.Request) -> _Answer:
        _check_account(request.query)
        token, lives = self._platform.tokens.legacy()
        return {"access_token": token, "expires_in": lives}

    def _send_template(self, data: Mapping[str, Any]) -> _Answer:
        before = self._platform.cards.all()[-1:]
        answer = self._platform.send_template(data)
        after = self._platform.cards.all()[-1:]
        if after != before:
            self._finished(after[0])
        return answer

    def _qr_code(self, data: Mapping[str, Any]) -> _Answer:
        scene = ((data.get("action_info") or {}).get("scene") or {}).get("scene_str")
        if (
            data.get("action_name") not in {"QR_STR_SCENE", "QR_LIMIT_STR_SCENE"}
            or not scene
            or len(scene) > 64
        ):
            raise Refusal(40053, "invalid action info")
        ticket = secrets.token_urlsafe(24)
        self._platform.scenes[ticket] = str(scene)
        lives = int(data.get("expire_seconds") or 60)
        return {
            "ticket": ticket,
            "expire_seconds": min(lives, 2_592_000),
            "url": f"{self.http_url}/scan/{ticket}",
        }


def _check_account(data: Mapping[str, Any]) -> None:
    if data.get("grant_type") != "client_credential":
        raise Refusal(40002, "invalid grant_type")
    if data.get("appid") != SANDBOX_APPID:
        raise Refusal(40013, "invalid appid")
    if data.get("secret") != SANDBOX_SECRET:
        raise Refusal(40125, "invalid appsecret")


async def _uploaded(request: web.Request) -> Upload:
    """The file of a multipart call: the field is `media`."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(41005, "media data missing")
    try:
        media = (await request.post()).get("media")
    except ValueError:
        media = None
    if not isinstance(media, web.FileField) or not media.filename:
        raise Refusal(41005, "media data missing")
    return Upload(media.filename, media.file.read(), request.query.get("type", ""))


def _template() -> _Answer:
    content = "\n".join(f"{label}:{{{{{name}.DATA}}}}" for name, label in SANDBOX_TEMPLATE_FIELDS.items())
    return {
        "template_id": SANDBOX_TEMPLATE_ID,
        "title": SANDBOX_TEMPLATE_TITLE,
        "primary_industry": "文体娱乐",
        "deputy_industry": "出版",
        "content": content,
        "example": "",
    }


async def _body(request: web.Request) -> Mapping[str, Any]:
    if request.method != "POST":
        raise Refusal(43002, "require POST method")
    return _parsed(await request.read())


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(raw)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Refusal(47001, "data format error")
    return data


def _refused(code: int, message: str) -> _Answer:
    rid = f"{secrets.token_hex(4)}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return {"errcode": code, "errmsg": f"{message} rid: {rid}"}


def _json(answer: _Answer) -> web.Response:
    # The platform answers with several content types; this is one that strict clients trip over.
    return web.Response(text=json.dumps(answer, ensure_ascii=False), content_type="text/plain")
