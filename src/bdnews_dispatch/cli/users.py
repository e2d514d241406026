"""bdnews users …, bdnews audit …"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import click
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit as log
from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.second_factors import turn_off
from bdnews_dispatch.accounts.users import (
    LINK_LASTS,
    add_user,
    change_role,
    disable,
    enable,
    end_sessions,
    first_admin,
    make_link,
    named_user,
)
from bdnews_dispatch.accounts.users import users as everybody
from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.parts import Parts

ROLES = {"admin": "管理员", "editor": "编辑", "reviewer": "审核", "analyst": "分析"}
_role_option = click.option(
    "--role", required=True, type=click.Choice([role.value for role in Role]), help="角色。"
)


_publication_option = click.option(
    "--publication", "publications", multiple=True, help="只管这种刊物；可写多次。省略为全部。"
)


def _known(parts: Parts, publications: Sequence[str]) -> list[str]:
    """Raises: BdnewsError: a publication that is not there."""
    for key in publications:
        parts.publications.named(key)
    return list(publications)


async def invitation_of_the_first(parts: Parts) -> str:
    """Where nobody can sign in yet, how the first admin does; else "". For the terminal alone: it is a secret."""
    host = urlsplit(parts.settings.base_url).hostname or "localhost"
    async with parts.database.write() as session:
        made = await first_admin(session, parts.clock, host)
        if made is None:
            return ""
        user, secret = made
        await log.record(session, parts.clock, actor="start", action="user.first", subject=f"user:{user.id}")
    return (
        "还没有人能进控制台。第一位管理员请在 24 小时内打开下面的链接设密码（只能用一次）：\n"
        f"  {parts.settings.base_url}/console/password/{secret}\n"
        f"登录时邮箱写 {user.email}。"
    )


@click.group()
def users() -> None:
    """控制台的用户：邀请、列出、改角色、停用、重设密码。"""


@users.command()
@click.argument("email")
@_role_option
@click.option("--name", default="", help="称呼。")
@_publication_option
@json_option
def invite(email: str, role: str, name: str, publications: tuple[str, ...], *, as_json: bool) -> None:
    """邀请一位用户：给出一个设置密码的链接，24 小时内用一次。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            user = await add_user(
                session,
                parts.clock,
                email=email,
                name=name,
                role=Role(role),
                publications=_known(parts, publications),
            )
            await log.record(
                session,
                parts.clock,
                actor="cli",
                action="user.invite",
                subject=f"user:{user.id}",
                change={"role": role, "publications": list(user.publications)},
            )
            return _link(parts, user, await make_link(session, parts.clock, user))

    _told_link(with_parts(work), as_json=as_json)


@users.command()
@click.argument("email")
@json_option
def reset(email: str, *, as_json: bool) -> None:
    """给一个重设密码的链接；用了之后，此人在各处都要重新登录。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            user = await named_user(session, email)
            await log.record(
                session, parts.clock, actor="cli", action="user.reset", subject=f"user:{user.id}"
            )
            return _link(parts, user, await make_link(session, parts.clock, user))

    _told_link(with_parts(work), as_json=as_json)


@users.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出用户。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        zone = parts.settings.service.timezone
        async with parts.database.read() as session:
            return [
                {
                    "id": user.id,
                    "email": user.email,
                    "name": user.name,
                    "role": user.role.value,
                    "publications": user.publications,
                    "second_factor": user.totp_since is not None,
                    "state": "停用" if user.disabled_at else "有效" if user.password else "还没有设密码",
                    "created_at": local_time(user.created_at.isoformat(), zone),
                }
                for user in await everybody(session)
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    row["id"],
                    row["email"],
                    row["name"],
                    ROLES[row["role"]],
                    "、".join(row["publications"]) or "全部",
                    "有" if row["second_factor"] else "无",
                    row["state"],
                    row["created_at"],
                ]
                for row in found
            ],
            ["编号", "邮箱", "称呼", "角色", "刊物", "第二重验证", "状态", "建立"],
        ),
    )


@users.command(name="role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@_publication_option
@click.option("--all-publications", "everything", is_flag=True, help="改为管全部刊物。")
def role_(email: str, role: str, publications: tuple[str, ...], *, everything: bool) -> None:
    """改一位用户的角色，立即生效。管哪些刊物不变，除非写明。"""
    if everything and publications:
        raise click.UsageError("--publication 与 --all-publications 只能写一个")

    async def change(session: AsyncSession, parts: Parts, user: User) -> dict[str, Any]:
        before = {"role": user.role.value, "publications": list(user.publications)}
        kept = () if everything else _known(parts, publications) or user.publications
        await change_role(session, user, Role(role), kept)
        return {"before": before, "after": {"role": role, "publications": list(user.publications)}}

    _do(email, "user.role", change)
    click.echo(f"已改为{ROLES[role]}。")


@users.command(name="second-factor-off")
@click.argument("email")
def second_factor_off(email: str) -> None:
    """关闭一位用户的第二重验证：手机与备用码都没有了，而没有另一位管理员时。请先确认是本人。"""

    async def change(session: AsyncSession, _parts: Parts, user: User) -> dict[str, Any]:
        await turn_off(session, user)
        await end_sessions(session, user)
        return {}

    _do(email, "user.factor", change)
    click.echo("已关闭，并已在各处退出；请此人登录后重新设置。")


@users.command(name="disable")
@click.argument("email")
def disable_(email: str) -> None:
    """停用一位用户：立即退出，不能再登录；做过的记录保留。"""

    async def change(session: AsyncSession, parts: Parts, user: User) -> dict[str, Any]:
        await disable(session, parts.clock, user)
        return {}

    _do(email, "user.disable", change)
    click.echo("已停用。")


@users.command(name="enable")
@click.argument("email")
def enable_(email: str) -> None:
    """让一位停用的用户可以再登录。"""

    async def change(session: AsyncSession, _parts: Parts, user: User) -> dict[str, Any]:
        await enable(session, user)
        return {}

    _do(email, "user.enable", change)
    click.echo("已启用。")


@click.group()
def audit() -> None:
    """操作记录：列出，核对有没有被改过。"""


@audit.command(name="list")
@click.option("--limit", default=50, show_default=True, help="最多列出多少条。")
@json_option
def audit_list(limit: int, *, as_json: bool) -> None:
    """列出操作记录，最近的在前。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        zone = parts.settings.service.timezone
        async with parts.database.read() as session:
            return [
                {
                    "id": row.id,
                    "at": local_time(row.at.isoformat(), zone),
                    "actor": row.actor,
                    "action": row.action,
                    "subject": row.subject,
                    "change": row.change,
                }
                for row in await log.entries(session, limit=limit)
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [[row["id"], row["at"], row["actor"], row["action"], row["subject"]] for row in found],
            ["编号", "时间", "谁", "做了什么", "对象"],
        ),
    )


@audit.command()
@json_option
def verify(*, as_json: bool) -> None:
    """核对每一条记录与它前一条的校验；有不符的，退出码为 1。"""

    async def work(parts: Parts) -> tuple[int, int | None, str]:
        async with parts.database.read() as session:
            return await log.verify(session)

    fitting, broken, last = with_parts(work)
    emit(
        {"fitting": fitting, "broken": broken, "last": last},
        as_json=as_json,
        text=lambda: (
            f"{fitting} 条都相符；最后一条的校验 {last or '（还没有记录）'}。另存一份，便可发现末尾有没有被删。"
            if broken is None
            else f"前 {fitting} 条相符，第 {broken} 条起不符：它或它前面的记录被改过或删过。"
        ),
    )
    if broken is not None:
        raise click.exceptions.Exit(1)


def _do(
    email: str, action: str, change: Callable[[AsyncSession, Parts, User], Awaitable[dict[str, Any]]]
) -> None:
    async def work(parts: Parts) -> None:
        async with parts.database.write() as session:
            user = await named_user(session, email)
            told = await change(session, parts, user)
            await log.record(
                session, parts.clock, actor="cli", action=action, subject=f"user:{user.id}", change=told
            )

    with_parts(work)


def _link(parts: Parts, user: User, secret: str) -> dict[str, Any]:
    return {
        "email": user.email,
        "role": user.role.value,
        "link": f"{parts.settings.base_url}/console/password/{secret}",
    }


def _told_link(found: dict[str, Any], *, as_json: bool) -> None:
    hours = int(LINK_LASTS.total_seconds() // 3600)
    emit(
        found,
        as_json=as_json,
        text=lambda: (
            f"{found['link']}\n请交给 {found['email']}：{hours} 小时内用一次，用来设密码；不会再显示。"
        ),
    )
