"""bdnews wechat …"""

from typing import Any

import click

from bdnews_dispatch.cli.session import emit, json_option, publication_option, table, with_parts
from bdnews_dispatch.dispatch import words
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.official_account.menu import menu_of
from bdnews_dispatch.official_account.quotas import platform_quotas, used_quotas
from bdnews_dispatch.official_account.tags import mend_tags
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account

sandbox_option = click.option("--sandbox", is_flag=True, help="沙箱的公众号，而不是真实的。")


@click.group()
def wechat() -> None:
    """公众号：菜单、标签、配额。"""


@wechat.group()
def menu() -> None:
    """菜单：查看设置里的，放到公众号上。"""


@menu.command(name="show")
@publication_option
@json_option
def show_menu(publication: str | None, *, as_json: bool) -> None:
    """按设置（wechat.menu）将是什么样。不联系微信。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        chosen = parts.publications.named(publication)
        return menu_of(parts.settings.wechat.menu, chosen, parts.links)

    found = with_parts(work)
    emit(found, as_json=as_json, text=lambda: _said(found))


@menu.command(name="push")
@publication_option
@sandbox_option
@json_option
def push_menu(publication: str | None, *, sandbox: bool, as_json: bool) -> None:
    """把设置里的菜单放到公众号上，代替原来的。读者最迟一天内看到。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        buttons = menu_of(parts.settings.wechat.menu, parts.publications.named(publication), parts.links)
        async with _account(parts, sandbox=sandbox) as account:
            await account.client.post("menu/create", data={"button": buttons})
        return buttons

    found = with_parts(work)
    emit(found, as_json=as_json, text=lambda: f"{_said(found)}\n已放到公众号上。")


@wechat.command()
@click.option("--afresh", is_flag=True, help="先向微信查明现有的标签，而不依据上次的记录。")
@publication_option
@sandbox_option
@json_option
def tags(publication: str | None, *, afresh: bool, sandbox: bool, as_json: bool) -> None:
    """让微信的标签与关注者所选的栏目一致。以本系统为准。"""

    async def work(parts: Parts) -> dict[str, int]:
        async with _account(parts, sandbox=sandbox) as account:
            done = await mend_tags(
                parts.database, account.client, parts.publications.named(publication), afresh=afresh
            )
        return {"tagged": done.tagged, "untagged": done.untagged, "failed": done.failed}

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: (
            f"加上 {found['tagged']} 个，去掉 {found['untagged']} 个"
            + (f"；微信拒绝了 {found['failed']} 个，下次再试" if found["failed"] else "")
            + "。"
        ),
    )


@wechat.command()
@click.option("--ask", is_flag=True, help="问微信各接口今日用了多少次，同一公众号的其他程序也算在内。")
@sandbox_option
@json_option
def quota(*, ask: bool, sandbox: bool, as_json: bool) -> None:
    """今日与本月用掉多少：模板消息、群发。按北京时间。"""
    if ask:
        _ask_quotas(sandbox=sandbox, as_json=as_json)
        return

    async def work(parts: Parts) -> list[dict[str, Any]]:
        accounts = [parts.settings.wechat] if parts.settings.wechat.appid else []
        async with parts.database.read() as session:
            found = []
            for account in [*accounts, with_sandbox_account(parts.settings).wechat]:
                rows = await used_quotas(session, parts.clock, account)
                found += [{"appid": account.appid, **row} for row in rows]
        return found

    found = with_parts(work)
    rows = [[row["appid"], words.QUOTAS[row["quota"]], row["used"], row["limit"]] for row in found]
    emit(found, as_json=as_json, text=lambda: table(rows, ["公众号", "配额", "已用", "上限"]))


def _ask_quotas(*, sandbox: bool, as_json: bool) -> None:
    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with _account(parts, sandbox=sandbox) as account:
            return await platform_quotas(account.client)

    found = with_parts(work)
    rows = [[row["call"], row["used"], row["limit"]] for row in found]
    emit(found, as_json=as_json, text=lambda: table(rows, ["接口", "今日已用", "上限"]))


def _account(parts: Parts, *, sandbox: bool) -> Any:
    if sandbox:
        return open_account(with_sandbox_account(parts.settings).wechat, parts.clock, None)
    if not parts.settings.wechat.appid:
        raise SettingsError(
            "还没有设置公众号", hint="请填写 wechat.appid 与 secret；或加 --sandbox 用沙箱试一次。"
        )
    return open_account(parts.settings.wechat, parts.clock, parts.database)


def _said(buttons: list[dict[str, Any]]) -> str:
    lines = []
    for button in buttons:
        lines.append(_line(button, ""))
        lines += [_line(below, "  ") for below in button.get("sub_button", [])]
    return "\n".join(lines) or "没有设置菜单（wechat.menu）。"


def _line(button: dict[str, Any], before: str) -> str:
    target = button.get("url") or (f"回复“{button['key']}”" if "key" in button else "")
    return f"{before}{button['name']}" + (f" → {target}" if target else "")
