"""What pages and commands ask of the platform, in a few typed calls.

In: settings, an HTTP session, the database. Out: codes to scan, who looks, a page's signature. Callers: web/, cli/,
service/. Everything else about the platform is in channels/wechat/.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

import aiohttp

from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, UnreachableError
from bdnews_dispatch.channels.wechat.token import StableToken
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.official_account.tokens import TokenRow
from bdnews_dispatch.settings import WeChatSettings


class SnapshotError(BdnewsError):
    """WeChat shows the page to somebody who has not agreed to say who they are: a stand-in's openid (普通浏览)."""


@dataclass(frozen=True, slots=True)
class PageSignature:
    """What `wx.config` needs (JS-SDK, appendix 1)."""

    appid: str
    timestamp: int
    nonce: str
    signature: str


class Account:
    """The Official Account.

    Args:
        settings: whose.
        client: speaks to it.
        tickets: the row of its jsapi ticket; None: this process asks for itself.
        clock: the time of signatures.
    """

    def __init__(
        self, settings: WeChatSettings, client: AsyncWeChatClient, tickets: TokenRow | None, clock: Clock
    ) -> None:
        self._settings = settings
        self.client = client
        self._clock = clock
        self._tickets = StableToken(self._fetch_ticket, tickets)

    @property
    def appid(self) -> str:
        return self._settings.appid

    async def qr_code(self, scene: str, lasts: timedelta) -> str:
        """A one-time code (qrcode/create, QR_STR_SCENE). The picture is made here, of what it is to say.

        Args:
            scene: at most 64 characters.
            lasts: at most 30 days.

        Returns:
            What the code says: an address of the platform.

        Raises:
            PlatformError, UnreachableError: there is none.
        """
        data = {
            "expire_seconds": int(lasts.total_seconds()),
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        answer = await self.client.post("qrcode/create", data=data)
        url = answer.get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise UnreachableError("微信没有给出二维码", code="answer.malformed", may_have_arrived=True)
        return url

    def authorize_url(self, back: str, state: str) -> str:
        """Where WeChat's browser is sent, to come back with a code (snsapi_base: nobody is asked)."""
        # The platform reads these in this order.
        query = urlencode(
            {
                "appid": self.appid,
                "redirect_uri": back,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": state,
            }
        )
        return f"{self._settings.authorize_base.rstrip('/')}/connect/oauth2/authorize?{query}#wechat_redirect"

    async def openid_of(self, code: str) -> str:
        """Who came with this code.

        Raises:
            SnapshotError: somebody's stand-in.
            PlatformError: the code is not one, or was used.
            UnreachableError: no answer.
        """
        answer = await self.client.exchange_code(code)
        openid = answer.get("openid")
        if str(answer.get("is_snapshotuser") or "0") == "1":
            raise SnapshotError("微信没有告诉我们您是谁", hint="请在页面下方点“使用完整服务”，再打开一次。")
        if not isinstance(openid, str) or not openid:
            raise UnreachableError("微信没有说是谁", code="answer.malformed", may_have_arrived=True)
        return openid

    async def page_signature(self, url: str) -> PageSignature:
        """Of a page at this address, without its fragment.

        Raises:
            PlatformError, UnreachableError: there is no ticket.
        """
        ticket = await self._tickets.get()
        nonce, stamp = secrets.token_hex(8), int(self._clock().timestamp())
        text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={stamp}&url={url.partition('#')[0]}"
        signed = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 — the platform's own algorithm
        return PageSignature(self.appid, stamp, nonce, signed)

    async def _fetch_ticket(self, _force: bool) -> tuple[str, float]:
        answer = await self.client.get("ticket/getticket", params={"type": "jsapi"})
        ticket = answer.get("ticket")
        if not isinstance(ticket, str) or not ticket:
            raise UnreachableError(
                "微信没有给出 jsapi_ticket", code="answer.malformed", may_have_arrived=False
            )
        return ticket, float(answer.get("expires_in") or 7200)


@asynccontextmanager
async def open_account(
    settings: WeChatSettings, clock: Clock, database: Database | None
) -> AsyncIterator[Account]:
    """The account with a session of its own.

    Args:
        database: keeps the token and the ticket for all processes; None for a stand-in, whose tokens end with it.
    """
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        tokens = tickets = None
        if database is not None:
            tokens = TokenRow(database, settings.appid, settings.secret, clock)
            tickets = TokenRow(database, f"jsapi:{settings.appid}", settings.secret, clock)
        yield Account(settings, AsyncWeChatClient(settings, session, tokens), tickets, clock)
