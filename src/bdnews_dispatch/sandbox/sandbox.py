"""The local outside: a mail server and a WeChat platform that keep everything and send nothing on.

In: where to listen, where to keep. Out: two addresses, and what has arrived at them. Called by `bdnews
sandbox`, `bdnews demo`, the service while nothing real may be sent, and tests.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.sandbox.acting import Acting
from bdnews_dispatch.sandbox.faults import Faults
from bdnews_dispatch.sandbox.guard import guard
from bdnews_dispatch.sandbox.kept import CardBox, KeptCard, KeptMail, MailBox
from bdnews_dispatch.sandbox.pages import Pages
from bdnews_dispatch.sandbox.phone import Phone
from bdnews_dispatch.sandbox.relay import Relay
from bdnews_dispatch.sandbox.wechat.desks import Desks
from bdnews_dispatch.sandbox.wechat.reports import Reports
from bdnews_dispatch.sandbox.wechat_api import WeChatApi
from bdnews_dispatch.sandbox.wechat_platform import Platform
from bdnews_dispatch.sandbox.wechat_push import Callback, Fields, Reply, push

_log = logging.getLogger(__name__)


class Sandbox:
    """Both stand-ins and their pages.

    Args:
        smtp_host, smtp_port: of the mail server; port 0: any that is free.
        http_host, http_port: of the pages and of the WeChat stand-in.
        folder: what arrives is kept here, over restarts.
        clock: the time that both stand-ins live in.
        callback: where the platform pushes what its users do; may be set later.

    Attributes:
        smtp_address: where mail is taken, once it runs.
        http_url: the pages, once it runs.
        api_base: what `WeChatChannel` gets as `api_base`.
        faults: what goes wrong.
        platform: the WeChat stand-in: followers, tokens, counts of calls.
        callback: see above.
        reports: of finished jobs: when, how often, in which order, with which end.
        account: drafts, tags, mass sends and the rest of the WeChat stand-in.
    """

    def __init__(
        self,
        *,
        smtp_host: str,
        smtp_port: int,
        http_host: str,
        http_port: int,
        folder: Path,
        clock: Clock,
        callback: Callback | None = None,
    ) -> None:
        self._smtp = (smtp_host, smtp_port)
        self._http = (http_host, http_port)
        self._folder = folder
        self._clock = clock
        self._mails = MailBox(folder / "mail")
        self._cards = CardBox(folder / "wechat")
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._session: aiohttp.ClientSession | None = None
        self.smtp_address = self._smtp
        self.http_url = ""
        self.faults = Faults()
        self.callback = callback or Callback()
        self.platform = Platform(
            clock, self._cards, folder / "wechat" / "followers.json", lambda _: self._arrived()
        )
        self.reports = Reports(self._send_report)
        self.account = Desks(self.platform, self.reports, self._consented)

    @property
    def api_base(self) -> str:
        return f"{self.http_url}/wechat"

    @property
    def callback_url(self) -> str:
        return self.callback.url

    def set_callback(self, url: str, token: str, aes_key: str = "", *, compatible: bool = False) -> None:
        """Where the platform pushes from now on.

        Args:
            url: of the service's callback.
            token: signs.
            aes_key: 43 characters for safe mode; empty: plain.
            compatible: with a key: compatible mode.
        """
        self.callback = Callback(url, SecretStr(token), SecretStr(aes_key), compatible=compatible)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BdnewsError: a port is taken, or the folder can't be used; says what to do.
        """
        try:
            await asyncio.to_thread(self._load)
        except OSError as error:
            raise BdnewsError(
                f"沙箱的文件夹 {self._folder} 用不了：{error.strerror}",
                hint="请检查 service.data_folder 的权限。",
            ) from error
        async with contextlib.AsyncExitStack() as stack:
            self._session = await stack.enter_async_context(aiohttp.ClientSession())
            relay = Relay(self._mails, self.faults, self._clock, lambda _: self._arrived())
            self.smtp_address = await relay.start(*self._smtp)
            stack.push_async_callback(relay.stop)
            await self._start_http(stack)
            stack.push_async_callback(self._stop_tasks)
            self._stack = stack.pop_all()
        _log.info("sandbox.started", extra={"smtp": self.smtp_address, "http": self.http_url})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def mails(self) -> list[KeptMail]:
        """Every mail that was taken, oldest first."""
        return self._mails.all()

    def cards(self) -> list[KeptCard]:
        """Every WeChat message that was taken, oldest first."""
        return self._cards.all()

    def clear(self) -> None:
        """Throw mails and cards away; followers stay."""
        self._mails.clear()
        self._cards.clear()

    async def arrived(self, *, mails: int = 0, cards: int = 0, timeout_seconds: float = 10.0) -> None:
        """Wait until so many are there.

        Raises:
            TimeoutError: they are not.
        """
        async with asyncio.timeout(timeout_seconds), self._news:
            await self._news.wait_for(lambda: len(self.mails()) >= mails and len(self.cards()) >= cards)

    async def follow(self, openid: str, scene: str = "") -> Reply:
        """A user follows, perhaps through a QR code.

        Args:
            openid: who.
            scene: of the QR code.

        Returns:
            What the service answered to the push; `delivered` False if no callback is set.
        """
        self.platform.follow(openid)
        return await self._event(openid, "subscribe", EventKey=f"qrscene_{scene}" if scene else "")

    async def unfollow(self, openid: str) -> Reply:
        """A user leaves."""
        self.platform.unfollow(openid)
        return await self._event(openid, "unsubscribe", EventKey="")

    async def say(self, openid: str, text: str) -> Reply:
        """A user writes to the account.

        Raises:
            ValueError: they don't follow.
        """
        self.platform.act(openid, message=True)
        fields = {"MsgType": "text", "Content": text, "MsgId": str(self.platform.next_id())}
        return await self._push(openid, fields)

    async def click(self, openid: str, key: str) -> Reply:
        """A user taps a menu button of type click.

        Raises:
            ValueError: they don't follow.
        """
        self.platform.act(openid, message=False)
        return await self._event(openid, "CLICK", EventKey=key)

    async def scan(self, openid: str, scene: str) -> Reply:
        """A user scans a QR code of the account: a follower's `SCAN`, a newcomer's `subscribe`."""
        follower = self.platform.followers.get(openid)
        if follower is None or not follower.following:
            return await self.follow(openid, scene)
        self.platform.act(openid, message=False)
        return await self._event(openid, "SCAN", EventKey=scene, Ticket="sandbox")

    async def _consented(self, openid: str, template_id: str, status: str) -> None:
        """A user answered the question of a page: the platform tells it (subscribe_msg_popup_event)."""
        told = {"TemplateId": template_id, "SubscribeStatusString": status, "PopupScene": "1"}
        await self._event(openid, "subscribe_msg_popup_event", SubscribeMsgPopupEvent={"List": told})

    async def settled(self) -> None:
        """Wait until every push that the platform makes by itself has gone out."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _event(self, openid: str, event: str, **fields: Any) -> Reply:
        return await self._push(openid, {"MsgType": "event", "Event": event, **fields})

    async def _push(self, openid: str, fields: Fields) -> Reply:
        if self._session is None:
            raise RuntimeError("沙箱还没有启动")
        return await push(self._session, self.callback, fields, openid=openid, clock=self._clock)

    def _load(self) -> None:
        self._mails.load()
        self._cards.load()
        self.platform.load()

    async def _start_http(self, stack: contextlib.AsyncExitStack) -> None:
        host, port = self._http
        api = WeChatApi(self.platform, self.faults, self.account, self._template_finished)
        app = web.Application(middlewares=[guard((host,))], client_max_size=12 * 1024 * 1024)
        app.add_routes(api.routes())
        app.add_routes(self.account.jssdk.routes())
        acting = Acting(self, self._clock)
        app.add_routes(Pages(self._mails, self._cards, self.platform, acting).routes())
        app.add_routes(Phone(acting, self.platform, self._cards, self.account.menus).routes())
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise BdnewsError(
                f"沙箱的网页端口 {host}:{port} 用不了：{error.strerror or error}",
                hint="可能已有一个沙箱在运行。请停掉它，或改 sandbox.http_port（0 表示任选一个空闲端口）。",
            ) from error
        bound = runner.addresses[0]
        name = f"[{host}]" if ":" in host else host
        self.http_url = api.http_url = f"http://{name}:{bound[1]}"

    def _template_finished(self, card: KeptCard) -> None:
        """The platform reports the end of each template message by a push of its own."""
        status = self.reports.status("success")
        fields = {"MsgID": str(card.msgid), "Status": status}
        self.reports.finished(card.openid, "TEMPLATESENDJOBFINISH", fields)

    def _send_report(self, openid: str, fields: Fields) -> None:
        if not self.callback.url:
            return
        task = asyncio.get_running_loop().create_task(self._report(openid, fields))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, openid: str, fields: Fields) -> None:
        await self._push(openid, dict(fields))

    def _arrived(self) -> None:
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _stop_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
