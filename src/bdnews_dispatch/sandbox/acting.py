"""What people do as the sandbox's users, and what came of it. Callers: pages.py, phone.py."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from aiohttp import web

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.sandbox.wechat_push import Reply

_KEPT = 500


class Actors(Protocol):
    """What simulated users can do; `Sandbox` is one."""

    async def follow(self, openid: str, scene: str = "") -> Reply: ...
    async def unfollow(self, openid: str) -> Reply: ...
    async def say(self, openid: str, text: str) -> Reply: ...
    async def click(self, openid: str, key: str) -> Reply: ...
    async def scan(self, openid: str, scene: str) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a user did. `said`: their own words; else `words` names the act."""

    at: datetime
    openid: str
    words: str
    said: str
    reply: Reply


@dataclass(slots=True)
class Acting:
    """Acts, and the journal of the newest ones; oldest first."""

    actors: Actors
    clock: Clock
    journal: list[Act] = field(default_factory=list)

    async def act(self, what: str, openid: str, text: str) -> None:
        """Do it.

        Raises:
            HTTPBadRequest, HTTPConflict: it can't be done; the text says why.
        """
        if not openid or len(openid) > 64 or not openid.replace("-", "").replace("_", "").isalnum():
            raise web.HTTPBadRequest(text="openid 由 1 至 64 个字母、数字、_ 或 - 组成。\n")
        actors = self.actors
        acts: dict[str, tuple[str, Callable[[], Awaitable[Reply]]]] = {
            "follow": ("关注", lambda: actors.follow(openid, text)),
            "unfollow": ("取消关注", lambda: actors.unfollow(openid)),
            "say": (f"说“{text}”", lambda: actors.say(openid, text)),
            "click": (f"点菜单“{text}”", lambda: actors.click(openid, text)),
            "scan": ("扫码", lambda: actors.scan(openid, text)),
        }
        if what not in acts:
            raise web.HTTPBadRequest(text="没有这个动作。\n")
        words, call = acts[what]
        at = self.clock()
        try:
            reply = await call()
        except ValueError as error:
            raise web.HTTPConflict(text=f"{error}\n") from error
        self.journal[:] = [
            *self.journal[1 - _KEPT :],
            Act(at, openid, words, text if what == "say" else "", reply),
        ]
