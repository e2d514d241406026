"""The room of the Official Account: modes and what they need, menu, tags, token, quotas; tried from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bdnews_dispatch.channels.mode_words import MODE_WORDS
from bdnews_dispatch.channels.wechat.checking import check_account
from bdnews_dispatch.channels.wechat.client import UnreachableError
from bdnews_dispatch.channels.wechat.modes import Chances, plan_of
from bdnews_dispatch.channels.wechat.token import FORCE_A_DAY
from bdnews_dispatch.dispatch import words
from bdnews_dispatch.errors import ChannelError, SettingsError
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.official_account.menu import menu_of
from bdnews_dispatch.official_account.quotas import platform_quotas, used_quotas
from bdnews_dispatch.official_account.standing import templates_left
from bdnews_dispatch.official_account.tokens import token_state
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.web.console.desk import field, note, page
from bdnews_dispatch.web.console.settings.trying import ANSWER_SECONDS, Outcome, Passed, attempt
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CARD_ACCOUNTS, CLOCK, DATABASE, LINKS, PUBLICATIONS, READ

ROOM = "/console/settings/wechat"
#: What each mode needs, and whom it reaches.
NEEDS = {
    "custom": N_("刚刚说过话、点过菜单、关注或扫码的人；不需要模板"),
    "subscribe_long": N_("同意过长期模板的人；需要 wechat.long_term_template_id"),
    "subscribe_once": N_("还有剩余次数的人；需要 wechat.one_time_template_id"),
    "template": N_("所有关注者；需要 wechat.template_id，用掉当日的一条"),
    "mass": N_("前几种都不可用的关注者；用掉每人每月四条之一"),
}
#: What to do about an answer of the platform's to our very first call.
_HINTS = {
    40001: N_(
        "wechat.secret 不对，或令牌已被别的程序换掉：请核对 AppSecret，其他程序也应改用 stable_token。"
    ),
    40013: N_("wechat.appid 不对：请在公众平台“设置与开发 › 基本配置”核对。"),
    40125: N_("wechat.secret 不对：请在公众平台“设置与开发 › 基本配置”核对或重置 AppSecret。"),
    40164: N_("本机的地址不在白名单里：请在公众平台“基本配置 › IP 白名单”加入上面这个地址。"),
    48001: N_("这个账号没有这个接口的权限：请从 wechat.modes 去掉对应的方式，或完成认证。"),
}


@dataclass(frozen=True, slots=True)
class ModeRow:
    """One mode. `place`: in the order of trying, from 1; 0: not used. `why`: it can't be used now."""

    name: str
    words: str
    needs: str
    place: int
    why: str


async def show(request: web.Request) -> web.Response:
    """All of it."""
    return await _page(request)


async def test(request: web.Request) -> web.Response:
    """A token, a call that changes nothing, the templates, the platform's own counts. Nobody gets anything."""
    app, which = request.app, field(request, "which")
    account = {"account": app[READ].settings.wechat, "sandbox": app[CARD_ACCOUNTS].sandbox}.get(which)
    if account is None or not account.appid:
        raise web.HTTPBadRequest
    asked: list[dict[str, Any]] = []
    outcome = await _try(request, account, asked, real=which == "account")
    async with app[DATABASE].write() as session:
        failed = [step.name for step in outcome.steps if step.state == "failed"]
        await note(request, session, "settings.test_wechat", f"wechat:{which}", {"failed": failed})
    return await _page(request, outcome=outcome, which=which, asked=asked)


async def _try(
    request: web.Request, account: WeChatSettings, asked: list[dict[str, Any]], *, real: bool
) -> Outcome:
    app = request.app
    hasty = account.model_copy(update={"timeout_seconds": min(account.timeout_seconds, ANSWER_SECONDS)})

    async def work(passed: Passed) -> str:
        async with open_account(hasty, app[CLOCK], app[DATABASE] if real else None) as opened:
            try:
                said = await check_account(opened.client, hasty, passed)
                asked.extend(await platform_quotas(opened.client))
            except ChannelError as error:
                raise _with_hint(error) from error
            passed("quota")
            return said

    return await attempt(app[CLOCK], _steps(account), work)


def _steps(account: WeChatSettings) -> list[str]:
    notices = [mode for mode in account.modes if mode in {"subscribe_long", "subscribe_once"}]
    return ["token", "call", *(["template"] if "template" in account.modes else []), *notices, "quota"]


def _with_hint(error: ChannelError) -> ChannelError:
    """The platform says what is wrong; what to do about it is said here."""
    if error.hint or isinstance(error, UnreachableError):
        return error
    hint = _HINTS.get(getattr(error, "code", 0), N_("错误码的含义见公众平台的“返回码说明”。"))
    return ChannelError(error.message, hint=hint)


async def _page(
    request: web.Request,
    *,
    outcome: Outcome | None = None,
    which: str = "account",
    asked: Sequence[dict[str, Any]] = (),
) -> web.Response:
    app = request.app
    account = app[READ].settings.wechat
    async with app[DATABASE].read() as session:
        token = await token_state(session, app[CLOCK], account.appid)
        quotas = await used_quotas(session, app[CLOCK], account)
        left = await templates_left(session, app[CLOCK], account)
    menu, problem = [], None
    try:
        menu = menu_of(account.menu, app[PUBLICATIONS].named(None), app[LINKS])
    except SettingsError as error:
        problem = error
    return page(
        request,
        "settings_wechat.html",
        account=account,
        callback=f"{app[LINKS].base_url}/wechat/callback",
        sandbox=app[CARD_ACCOUNTS].sandbox,
        modes=_modes(account, templates_left=left > 0),
        token=token,
        token_ended=token.ends_at is not None and token.ends_at <= app[CLOCK](),
        force_a_day=FORCE_A_DAY,
        quotas=[(words.QUOTAS[row["quota"]], row["used"], row["limit"]) for row in quotas],
        menu=menu,
        problem=problem,
        outcome=outcome,
        which=which,
        asked=asked,
    )


def _modes(account: WeChatSettings, *, templates_left: bool) -> list[ModeRow]:
    """In the order of trying, then the others: as they are for somebody whom nothing of their own stands against."""
    willing = Chances(window=True, long_term=True, credits=1, templates_left=templates_left, masses_left=True)
    closed = plan_of(account, willing).closed
    used = [
        ModeRow(mode, MODE_WORDS[mode], NEEDS[mode], place, closed[mode].reason if mode in closed else "")
        for place, mode in enumerate(account.modes, 1)
    ]
    return [
        *used,
        *(ModeRow(mode, MODE_WORDS[mode], NEEDS[mode], 0, "") for mode in NEEDS if mode not in account.modes),
    ]
