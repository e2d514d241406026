"""What the digest page adds inside WeChat's browser: a share card, and "send me the next".

In: a request from WeChat's browser, what is to be shared. Out: the page's data for `wx.config`, and the policy that
lets the platform's script in, on this page and in this browser alone. Caller: digest_links. Without an account, outside
WeChat, or where the platform gives no ticket in time, the page is as it always is.

Not tried against the real platform: what its open tags need of a Content-Security-Policy. It is as strict as the
stand-in allows; a tag that does not show leaves the page whole.
"""

import asyncio
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from bdnews_dispatch.channels.wechat.client import PlatformError, UnreachableError
from bdnews_dispatch.official_account.account import PageSignature
from bdnews_dispatch.web.inside_wechat import is_wechat
from bdnews_dispatch.web.keys import ACCOUNT, LINKS, SETTINGS
from bdnews_dispatch.web.safety import CONTENT_SECURITY_POLICY

logger = logging.getLogger(__name__)

#: A page waits no longer for a signature; the next one finds the ticket.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WeChatPage:
    """What the template writes for web/assets/wechat.js.

    Attributes:
        script: the platform's.
        link: what is shared: a public page, never the reader's own.
        template_id: of the one-time 订阅通知 to offer; empty: none.
    """

    script: str
    signature: PageSignature
    title: str
    description: str
    link: str
    picture: str
    template_id: str


async def wechat_page(request: web.Request, *, title: str, description: str, link: str) -> WeChatPage | None:
    """For this request; None: the page stays as it is.

    Args:
        title, description: of the share card.
        link: what others open.
    """
    app, account = request.app, request.app[ACCOUNT]
    settings = app[SETTINGS].wechat
    if account is None or not settings.page_script or not is_wechat(request):
        return None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            signature = await account.page_signature(f"{app[LINKS].base_url}{request.raw_path}")
    except (PlatformError, UnreachableError, TimeoutError) as error:
        code = str(getattr(error, "code", "timeout"))
        logger.warning("wechat.no_signature", extra={"code": code, "rid": getattr(error, "rid", "")})
        return None
    return WeChatPage(
        script=settings.page_script,
        signature=signature,
        title=title,
        description=description,
        link=link,
        picture=f"{app[LINKS].base_url}/assets/share.jpg",
        template_id=settings.one_time_template_id if "subscribe_once" in settings.modes else "",
    )


def policy_of(page: WeChatPage) -> str:
    """Content-Security-Policy with the platform's script."""
    parts = urlsplit(page.script)
    origin = f"{parts.scheme}://{parts.netloc}"
    return f"{CONTENT_SECURITY_POLICY}; script-src 'self' {origin}; connect-src {origin}"
