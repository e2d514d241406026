"""Does the account have what the settings say? Asked at the start of a worker and by `bdnews doctor`.

In: the client, the settings. Out: one line of what the platform said, or a `ChannelError` that names the setting.
Called by channel.py and by the console.

Source: Template_Message_Interface.html (get_all_private_template), Subscription_Messages/api.html
(wxaapi/newtmpl/gettemplate: `type` 2 is a one-time template, 3 a long-term one), Get_the_WeChat_server_IP_address.html
(getcallbackip).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient
from bdnews_dispatch.channels.wechat.fields import check_template
from bdnews_dispatch.channels.wechat.modes import ModeSettings
from bdnews_dispatch.errors import ChannelError, Phrase

_NOTICES = "https://api.weixin.qq.com/wxaapi/newtmpl/gettemplate"
_ONE_TIME, _LONG_TERM = 2, 3


class CheckedSettings(ModeSettings, Protocol):
    """What is checked of `WeChatSettings`."""

    @property
    def api_base(self) -> str: ...
    @property
    def appid(self) -> str: ...
    @property
    def template_fields(self) -> Mapping[str, str]: ...
    @property
    def long_term_fields(self) -> Mapping[str, str]: ...
    @property
    def one_time_fields(self) -> Mapping[str, str]: ...


def _unheard(_step: str) -> None:
    """Nobody wants to know."""


async def check_account(
    client: AsyncWeChatClient, settings: CheckedSettings, passed: Callable[[str], None] = _unheard
) -> str:
    """Get a token, use it for a call that changes nothing; compare each configured template with the account's.

    Args:
        passed: told of each step that is done: `token`, `call`, then the modes whose templates were compared.

    Returns:
        What the platform said, one line.

    Raises:
        ChannelError: it can't be used; the text says which setting, and what to do.
    """
    await client.token()
    passed("token")
    await client.get(
        "getcallbackip"
    )  # a token may be one that was taken away since; an address, one not allowed
    passed("call")
    said = Phrase("%(api)s，appid %(appid)s：access_token 正常", api=settings.api_base, appid=settings.appid)
    if "template" in settings.modes:
        answer = await client.template.get_all_private_template()
        known = {
            str(row.get("template_id")): str(row.get("content", ""))
            for row in answer.get("template_list", [])
        }
        _check(
            "template_id",
            "template_fields",
            "template",
            settings.template_id,
            settings.template_fields,
            known,
        )
        more = Phrase("模板可用，字段 %(fields)s 相符", fields=list(settings.template_fields))
        said = Phrase("%(said)s，%(more)s", said=said, more=more)
        passed("template")
    notices = {
        "subscribe_long": (
            "long_term",
            settings.long_term_template_id,
            settings.long_term_fields,
            _LONG_TERM,
        ),
        "subscribe_once": ("one_time", settings.one_time_template_id, settings.one_time_fields, _ONE_TIME),
    }
    wanted = [mode for mode in settings.modes if mode in notices]
    if wanted:
        rows = (await client.get(_NOTICES)).get("data", [])
        for mode in wanted:
            name, template_id, fields, kind = notices[mode]
            known = {
                str(row.get("priTmplId")): str(row.get("content", ""))
                for row in rows
                if row.get("type") == kind
            }
            _check(f"{name}_template_id", f"{name}_fields", mode, template_id, fields, known)
            more = Phrase("订阅通知模板可用，字段 %(fields)s 相符", fields=list(fields))
            said = Phrase("%(said)s，%(more)s", said=said, more=more)
            passed(mode)
    return said


def _check(
    setting: str,
    fields_setting: str,
    mode: str,
    template_id: str,
    fields: Mapping[str, str],
    known: Mapping[str, str],
) -> None:
    """Raises: ChannelError: there is no such template, or its fields are others."""
    if not template_id:
        raise ChannelError(
            "没有设置模板编号",
            hint=Phrase(
                "请填写 wechat.%(setting)s，或从 wechat.modes 去掉 %(mode)s。", setting=setting, mode=mode
            ),
        )
    if template_id not in known:
        raise ChannelError(
            Phrase(
                "公众号里没有 wechat.%(setting)s 这个模板（同类的共有 %(number)s 个）",
                setting=setting,
                number=len(known),
            ),
            hint="请在公众平台“模板消息”或“订阅通知”里核对模板编号。",
        )
    check_template(fields, known[template_id], setting=f"wechat.{fields_setting}")
