"""What every room of the console shares: a page with its frame, a line in the audit log, the way back with a word.

In: a request that guests.py has let in. Out: pages, redirects. Callers: the rooms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.web.addresses import beginning_of
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CLOCK, PAGES, SETTINGS
from bdnews_dispatch.web.language import here_of

#: Of a page of a table.
ROWS = 50


@dataclass(frozen=True, slots=True)
class Door:
    """A word of the navigation.

    Attributes:
        beside: the rooms that open from it, itself the first; none: it is one room.
    """

    path: str
    name: str
    right: Right
    beside: tuple["Door", ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a page is in this room, or in one that opens from it."""
        return path == self.path or path.startswith(f"{self.path}/")

    def room_of(self, path: str) -> "Door | None":
        """Which of the rooms beside it a page is in; of one within another, the inner one."""
        held = [one for one in self.beside if one.holds(path)]
        return max(held, key=lambda one: len(one.path), default=None)


#: Seven words (look.md); what belongs together opens from one of them.
DOORS = (
    Door(
        "/console/today",
        N_("今日"),
        Right.SETTINGS_READ,
        (
            Door("/console/today", N_("今日"), Right.SETTINGS_READ),
            Door("/console/calendar", N_("日历"), Right.DISPATCHES_READ),
        ),
    ),
    Door("/console/issues", N_("各期"), Right.ISSUES_READ),
    Door("/console/bulletins", N_("快讯"), Right.BULLETINS_READ),
    Door("/console/dispatches", N_("发送"), Right.DISPATCHES_READ),
    Door(
        "/console/reports",
        N_("报告"),
        Right.REPORTS_READ,
        (
            Door("/console/reports", N_("各次发送"), Right.REPORTS_READ),
            Door("/console/reports/sections", N_("各栏目的一年"), Right.REPORTS_READ),
        ),
    ),
    Door(
        "/console/subscribers",
        N_("订阅者"),
        Right.SUBSCRIBERS_READ,
        (
            Door("/console/subscribers", N_("查找"), Right.SUBSCRIBERS_READ),
            Door("/console/lists", N_("名单"), Right.SUBSCRIBERS_READ),
            Door("/console/segments", N_("细分"), Right.SUBSCRIBERS_READ),
            Door("/console/imports", N_("导入"), Right.SUBSCRIBERS_READ),
            Door("/console/suppressions", N_("停发"), Right.SUPPRESSIONS_READ),
        ),
    ),
    Door(
        "/console/settings",
        N_("设置"),
        Right.SETTINGS_READ,
        (
            Door("/console/settings", N_("概览"), Right.SETTINGS_READ),
            Door("/console/sources", N_("来源"), Right.SETTINGS_READ),
            Door("/console/webhooks", N_("推送"), Right.SETTINGS_READ),
            Door("/console/tokens", N_("令牌"), Right.SETTINGS_READ),
            Door("/console/users", N_("用户"), Right.USERS_WRITE),
            Door("/console/audit", N_("操作记录"), Right.AUDIT_READ),
        ),
    ),
)
#: What a page says at its top when something was done, by the word in its address.
DONE = {
    "added": N_("已添加。"),
    "changed": N_("已更改。"),
    "unchanged": N_("没有需要更改的。"),
    "unsubscribed": N_("已退订；此后导入也不会让此人回来。"),
    "tagged": N_("标签已更改。"),
    "joined": N_("已加入名单。"),
    "left": N_("已移出名单，曾在其中的记录保留。"),
    "suppressed": N_("已停发。"),
    "lifted": N_("已解除停发。"),
    "erased": N_("此人的全部数据已删除；正在寄送途中的一封可能仍会到达。"),
    "signed_out": N_("已在那里退出。"),
    "revoked": N_("已作废，立即生效。"),
    "saved": N_("已保存。"),
    "removed": N_("已删除。"),
    "started": N_("已开始，由后台完成；关掉页面也会继续。"),
    "asked_second": N_("已送审；另一个人批准后才会发出。"),
    "given_back": N_("已退回，写的人会看到您的话。"),
    "discarded": N_("已丢弃，没有发给任何人。"),
    "asked": N_("马上就读；结果稍后见这里。"),
    "cancelled": N_("已取消；已导入的保留。"),
    "begun": N_("已排好，开始之前可以撤回。"),
    "there": N_("已有这样的发送任务，没有再建一个。"),
    "paused": N_("已暂停：不再开始新的，正在发出的会发完。"),
    "resumed": N_("已从停下的地方继续。"),
    "ended": N_("已取消：已发出的无法收回，其余不再发出。"),
    "undone": N_("已撤回，没有发给任何人。"),
    "nobody_left": N_("没有需要再发的：每个人都已收到，或不在可发之列。"),
    "decided": N_("已决定。"),
    "checked": N_("已核对，这条提示不再显示。"),
    "unedited": N_("已撤销这处更改，其余更改保留。"),
    "withdrawn": N_("已撤回：网页不再显示，未发完的停止；已发出的无法收回。"),
    "published": N_("已重新发布；不会再次发给任何人。"),
    "address_made": N_("这是您的新地址；此前的一个从现在起打不开。"),
    "address_ended": N_("地址已停用，日历程序不会再得到更新。"),
    "tested": N_("测试邮件已交给发送进程，寄往您登录用的邮箱。"),
}


def door_of(path: str) -> Door | None:
    """The word of the navigation under which a page stands."""
    return next((door for door in DOORS if any(one.holds(path) for one in (door, *door.beside))), None)


def page(request: web.Request, template: str, *, status: int = 200, **data: Any) -> web.Response:
    """A page of the console."""
    who = request[WHO]
    settings = request.app[SETTINGS]
    current = door_of(request.path)
    return request.app[PAGES].response(
        request,
        f"console/{template}",
        status=status,
        who=who,
        doors=[door for door in DOORS if who.may(door.right)],
        current=current,
        inner=current.room_of(request.path) if current else None,
        may={right.value: who.may(right) for right in Right},
        done=DONE.get(request.query.get("done", ""), ""),
        here=str(here_of(request).without_query_params("done")),
        # An address of another program, which may be a secret: whole for who may change it.
        address_shown=str if who.may(Right.SETTINGS_WRITE) else beginning_of,
        to_sandbox=settings.delivery.allow != "everybody",
        **data,
    )


def back(path: str, done: str = "", **query: str) -> web.HTTPSeeOther:
    """To a page, which says what was done. Args: path: already quoted."""
    told = {key: value for key, value in {"done": done, **query}.items() if value}
    return web.HTTPSeeOther(f"{path}?{urlencode(told)}" if told else path)


async def note(
    request: web.Request,
    session: AsyncSession,
    action: str,
    subject: str,
    change: Mapping[str, Any] | None = None,
) -> None:
    """Into the audit log, in the transaction of what was done. Args: change: no addresses."""
    await audit.record(
        session,
        request.app[CLOCK],
        actor=request[WHO].actor,
        action=action,
        subject=subject,
        change=change,
        network=network_of(request),
    )


def field(request: web.Request, name: str, most: int = 200) -> str:
    """A field of the form: one line, printable, of bounded length; "" where it is not there."""
    return _plain(str(request[FORM].get(name, "")), most)


def asked(request: web.Request, name: str, most: int = 200) -> str:
    """The same of what stands behind the address's question mark."""
    return _plain(request.query.get(name, ""), most)


def _plain(text: str, most: int) -> str:
    """Nothing that a database can't hold: PostgreSQL takes no NUL in a text."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:most]


def number(text: str) -> int:
    """A number out of an address. Raises: web.HTTPNotFound: it is none."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10):
        raise web.HTTPNotFound
    return int(text)
