"""The platform's API: wechatpy's calls, made asynchronous, all to one base address, with one shared token.

In: wechatpy's own methods (`await client.message.send_articles(…)`) and `client.post("draft/add", data=…)`
for what it lacks. Out: the answer as a dict, or `PlatformError` / `UnreachableError`. Called by channel.py
and by whatever manages menus and QR codes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr
from wechatpy import WeChatClient

from bdnews_dispatch.channels.wechat.codes import Action, row_for
from bdnews_dispatch.channels.wechat.token import StableToken, TokenStore
from bdnews_dispatch.errors import ChannelError, Phrase

#: Hosts that wechatpy writes into its calls. All of them are the platform; anything else must not see the
#: token.
_PLATFORM_HOSTS = frozenset({"api.weixin.qq.com", "mp.weixin.qq.com"})
#: An answer larger than this is no answer to a call of ours.
_ANSWER_LIMIT = 4 * 1024 * 1024
_RID = re.compile(r"\brid: ?([0-9a-f-]{8,64})", re.IGNORECASE)


class ClientSettings(Protocol):
    """What the client reads of `WeChatSettings`."""

    @property
    def api_base(self) -> str: ...
    @property
    def appid(self) -> str: ...
    @property
    def secret(self) -> SecretStr: ...
    @property
    def timeout_seconds(self) -> float: ...


class PlatformError(ChannelError):
    """The platform answered with an error: certainly not done.

    Attributes:
        code: its errcode.
        text: its errmsg, without the rid.
        rid: the platform's id of the call.
        answer: the whole answer.
        of_token: it was the request for a token that failed.
    """

    def __init__(self, answer: Mapping[str, Any], *, of_token: bool = False) -> None:
        self.code = _integer(answer.get("errcode"))
        message = str(answer.get("errmsg") or "")
        found = _RID.search(message)
        self.rid = found.group(1) if found else ""
        self.text = _RID.sub("", message).strip()
        self.answer = answer
        self.of_token = of_token
        words = row_for(self.code).words
        super().__init__(
            Phrase(
                "微信返回 %(code)s：%(words)s（%(text)s）",
                code=self.code,
                words=Phrase(words),
                text=f"{self.text}，rid {self.rid}" if self.rid else self.text,
            )
        )


class UnreachableError(ChannelError):
    """No answer that can be read.

    Attributes:
        code: `connect.refused`, `timeout`, `http.502`, `answer.malformed` …
        may_have_arrived: the request may have been taken.
        of_token: it was the request for a token.
    """

    def __init__(self, message: str, *, code: str, may_have_arrived: bool, of_token: bool = False) -> None:
        super().__init__(message, hint="请检查网络与 wechat.api_base。")
        self.code = code
        self.may_have_arrived = may_have_arrived
        self.of_token = of_token


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file to upload. `mime`: its type, as `image/jpeg`."""

    name: str
    content: bytes
    mime: str

    def form(self) -> aiohttp.FormData:
        """As multipart, in the field `media`."""
        form = aiohttp.FormData()
        form.add_field("media", self.content, filename=self.name, content_type=self.mime)
        return form


class AsyncWeChatClient(WeChatClient):  # type: ignore[misc]  # wechatpy has no types
    """The client of wechatpy with coroutines for calls.

    wechatpy binds its API groups in `__new__` by reading every attribute, before `__init__` has run: a
    property here must not raise then. Its token handling is not used at all.

    Args:
        settings: `WeChatSettings`, or anything with the same fields.
        session: the process's one aiohttp session.
        tokens: the row that all processes share; None: this process asks for itself.
    """

    def __init__(
        self, settings: ClientSettings, session: aiohttp.ClientSession, tokens: TokenStore | None = None
    ) -> None:
        secret = settings.secret.get_secret_value()
        super().__init__(settings.appid, secret, timeout=settings.timeout_seconds, auto_retry=False)
        self._base = settings.api_base.rstrip("/")
        self._web = session
        self._limits = aiohttp.ClientTimeout(total=settings.timeout_seconds)
        self._stable = StableToken(self._fetch_token, tokens)

    @property
    def access_token(self) -> str:
        """The synchronous way to a token; there is none here."""
        return ""

    def fetch_access_token(self) -> None:
        """Not usable: tokens come from `stable_token`, asynchronously."""
        raise NotImplementedError

    async def token(self) -> str:
        """The token in use, asked for if need be.

        Raises:
            PlatformError, UnreachableError: with `of_token`.
        """
        return await self._stable.get()

    async def exchange_code(self, code: str) -> dict[str, Any]:
        """Who has come with this code (sns/oauth2/access_token, snsapi_base): it goes without our own token.

        Returns:
            The answer: `openid`, and `is_snapshotuser` 1 for the stand-in of somebody who has not agreed.

        Raises:
            PlatformError: 40029, 40163: the code is not one, or was used before.
            UnreachableError: no answer.
        """
        query = {
            "appid": self.appid,
            "secret": self.secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        return await self._exchange(
            "get", f"{self._base}/sns/oauth2/access_token", query, None, of_token=False
        )

    async def upload(self, endpoint: str, attachment: "Attachment", **params: str) -> dict[str, Any]:
        """Send one file, whole again after a token was renewed. For errors see `_request`.

        Args:
            endpoint: `material/add_material`, `media/uploadimg`.
            params: of the query: `type`.
        """
        return await self._request("post", endpoint, files=attachment, params=params)  # type: ignore[no-any-return]

    async def _request(self, method: str, url_or_endpoint: str, **options: Any) -> Any:
        """One call, with the token; tried again with a new token if the platform refuses the first, at most
        once.
        """
        url = self._address(url_or_endpoint, options.pop("api_base_url", None))
        process = options.pop("result_processor", None)
        options.pop("timeout", None)
        files = options.pop("files", None)
        if files is not None and not isinstance(files, Attachment):
            raise NotImplementedError("上传文件请用 upload")
        query = {
            key: str(value) for key, value in (options.pop("params", None) or {}).items() if value is not None
        }
        body = files or _body(options.pop("data", None))
        token = query.pop("access_token", "") or await self.token()
        try:
            answer = await self._call(method, url, query, body, token)
        except PlatformError as error:
            if row_for(error.code).action is not Action.RENEW:
                raise
            renewed = await self._stable.renew(token)
            if renewed == token:
                raise
            answer = await self._call(method, url, query, body, renewed)
        return process(answer) if process else answer

    def _address(self, endpoint: str, base: str | None) -> str:
        """The one place where an address is made."""
        if not endpoint.startswith(("http://", "https://")):
            endpoint = f"{base or self.API_BASE_URL}{endpoint}"
        parts = urlsplit(endpoint)
        if parts.hostname not in _PLATFORM_HOSTS:
            raise ChannelError(Phrase("不向 %(host)s 发送微信的凭证", host=parts.hostname))
        return f"{self._base}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    async def _call(
        self, method: str, url: str, query: Mapping[str, str], body: "bytes | Attachment | None", token: str
    ) -> Any:
        return await self._exchange(method, url, {**query, "access_token": token}, body, of_token=False)

    async def _fetch_token(self, force: bool) -> tuple[str, float]:
        asked = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        body = _body({**asked, "force_refresh": True} if force else asked)
        url = f"{self._base}/cgi-bin/stable_token"
        answer = await self._exchange("post", url, {}, body, of_token=True)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise UnreachableError(
                "微信没有给出 access_token", code="answer.malformed", may_have_arrived=False, of_token=True
            )
        return token, float(_integer(answer.get("expires_in")) or 7200)

    async def _exchange(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        body: "bytes | Attachment | None",
        *,
        of_token: bool,
    ) -> dict[str, Any]:
        """One HTTP exchange. No error leaves here with the query in it: it holds the token."""

        def lost(message: str, code: str, *, may_have_arrived: bool) -> UnreachableError:
            return UnreachableError(
                message, code=code, may_have_arrived=may_have_arrived and not of_token, of_token=of_token
            )

        headers = {"Content-Type": "application/json; charset=utf-8"} if isinstance(body, bytes) else None
        # Made anew for each exchange: a file that was sent once is empty the second time.
        data = body.form() if isinstance(body, Attachment) else body
        try:
            async with self._web.request(
                method,
                url,
                params=query,
                data=data,
                headers=headers,
                timeout=self._limits,
                allow_redirects=False,
            ) as response:
                status = response.status
                raw = await _read(response)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            raise lost(Phrase("连不上微信的服务器"), "connect.refused", may_have_arrived=False) from None
        except TimeoutError:
            raise lost(Phrase("微信没有按时回答"), "timeout", may_have_arrived=True) from None
        except (aiohttp.ClientError, OSError):
            raise lost(Phrase("与微信的连接中断"), "connection.lost", may_have_arrived=True) from None
        if status != 200:
            # Whoever says 5xx may have failed behind the call, or got no answer to it (RFC 9110, 15.6).
            raise lost(
                Phrase("微信的服务器返回 HTTP %(status)s", status=status),
                f"http.{status}",
                may_have_arrived=status >= 500,
            )
        try:
            # Content types vary (text/plain is common), so aiohttp's own json() would refuse; control
            # characters in nicknames come unescaped.
            answer = json.loads(raw.decode("utf-8", "replace"), strict=False)
        except ValueError:
            raise lost(Phrase("微信的回答无法理解"), "answer.malformed", may_have_arrived=True) from None
        if not isinstance(answer, dict):
            raise lost(Phrase("微信的回答无法理解"), "answer.malformed", may_have_arrived=True)
        if _integer(answer.get("errcode")) != 0:
            raise PlatformError(answer, of_token=of_token)
        return answer


async def _read(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        raw += chunk
        if len(raw) > _ANSWER_LIMIT:
            raise aiohttp.ClientPayloadError("answer too large")
    return bytes(raw)


def _body(data: Any) -> bytes | None:
    """JSON as the platform wants it: UTF-8 itself, never escaped (menus are refused then, 40033)."""
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    return json.dumps(data, ensure_ascii=False).encode()


def _integer(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 0
