"""The web application beside the sandbox's Official Account, each pushing to the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from sqlmodel import col, select
from tests.integration.web.readers_site import Site, open_site
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.official_account.follower_tables import WeChatScene
from bdnews_dispatch.sandbox import (
    SANDBOX_AES_KEY,
    SANDBOX_APPID,
    SANDBOX_CALLBACK_TOKEN,
    SANDBOX_SECRET,
    Sandbox,
)


@dataclass
class AccountSite(Site):
    """A site with its sandbox."""

    sandbox: Sandbox = None  # type: ignore[assignment]  # always given; the fields before it have defaults

    async def scenes(self) -> list[WeChatScene]:
        async with self.database.read() as session:
            return list((await session.exec(select(WeChatScene).order_by(col(WeChatScene.made_at)))).all())

    async def scene(self) -> str:
        """The newest one's word, as the code says it."""
        return (await self.scenes())[-1].scene


@asynccontextmanager
async def open_account_site(
    database: Database, clock: HandClock, folder: Path, *, demo: bool = False
) -> AsyncIterator[AccountSite]:
    """Both, on ports of their own."""
    sandbox = Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=folder / "sandbox",
        clock=clock,
    )
    async with sandbox:
        wechat = {
            "api_base": sandbox.api_base,
            "authorize_base": sandbox.api_base,
            "page_script": f"{sandbox.api_base}/jweixin.js",
            "appid": SANDBOX_APPID,
            "secret": SANDBOX_SECRET,
            "token": SANDBOX_CALLBACK_TOKEN,
            "aes_key": SANDBOX_AES_KEY,
        }
        async with open_site(database, clock, folder, wechat=wechat, sandbox=sandbox, demo=demo) as site:
            sandbox.set_callback(
                f"{site.links.base_url}/wechat/callback", SANDBOX_CALLBACK_TOKEN, SANDBOX_AES_KEY
            )
            own = {each.name: getattr(site, each.name) for each in fields(Site)}
            yield AccountSite(**own, sandbox=sandbox)
