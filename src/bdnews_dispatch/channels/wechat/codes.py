"""What the platform's error codes mean: one row each, with where it is known from.

In: an errcode. Out: a `Row`. Called by client.py (renew the token?) and outcomes.py. A code that is not here
is never retried; it is kept with its rid, by which the platform's support finds the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_GLOBAL = "developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html"
_STABLE = "…/Basic_Information/getStableAccessToken.html"
_CUSTOM = "…/Message_Management/Service_Center_messages.html"
_TEMPLATE = "…/Message_Management/Template_Message_Interface.html"
_SUBSCRIBE = "…/Subscription_Messages/api.html"
_MASS = "…/Message_Management/Batch_Sends_and_Originality_Checks.html"
_DRAFT = "…/Draft_Box/Add_draft.html, …/Publish/Publish.html"
_MENU = "…/Getting_Started/Global_Return_Code.html (rights)"


class Action(StrEnum):
    """What follows from a code."""

    #: The token: renew it, try once more (client.py does it).
    RENEW = "renew"
    #: Our configuration is wrong, for the whole channel.
    STOP = "stop"
    #: Theirs, for the moment.
    BACK_OFF = "back_off"
    #: Too much in this minute.
    NEXT_MINUTE = "next_minute"
    #: The day's number is used up; it starts again at 00:00 in Shanghai.
    NEXT_DAY = "next_day"
    #: Too much for this one user.
    DEFER_USER = "defer_user"
    #: WeChat is off for this user.
    SUPPRESS = "suppress"
    #: Ask user/info whether the openid is ours before it is given up.
    ASK_USER = "ask_user"
    #: Not by this mode, for this user, now.
    NEXT_MODE = "next_mode"
    #: This mode is not usable by the account until somebody mends it.
    MODE_OFF = "mode_off"
    #: What we sent breaks a rule; sending it again breaks it again.
    CONTENT = "content"
    #: An admin of the account must confirm; then the platform sends it and tells so. Never again by us.
    AWAIT = "await"
    #: Draft or material: a person decides.
    PERSON = "person"
    #: It is there already, under the same idempotency key.
    DONE = "done"
    #: None of the above: a person looks.
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Row:
    """One code: what to do, what it says in Chinese, where it is known from."""

    action: Action
    words: str
    source: str


def _rows(action: Action, source: str, **words: str) -> dict[int, Row]:
    return {
        int(code.removeprefix("c").replace("m", "-")): Row(action, text, source)
        for code, text in words.items()
    }


TABLE: Mapping[int, Row] = {
    **_rows(
        Action.RENEW,
        _GLOBAL,
        c40001="access_token 无效或不是最新的",
        c40014="access_token 不合法",
        c42001="access_token 已过期",
    ),
    **_rows(
        Action.STOP,
        _STABLE,
        c40013="appid 不合法",
        c40125="secret 不正确",
        c40164="本机 IP 不在公众号的 IP 白名单里",
        c40243="secret 已被冻结",
        c89503="此次调用须管理员确认",
        c89506="24 小时内该 IP 被管理员拒绝",
        c89507="1 小时内该 IP 被管理员拒绝",
    ),
    **_rows(
        Action.AWAIT,
        _MASS,
        c89504="须由管理员在“公众平台安全助手”确认，确认后微信会发出；不会重发",
        c89505="正等待管理员确认，确认后微信会发出；不会重发",
    ),
    **_rows(
        Action.PERSON,
        _DRAFT,
        c53503="草稿没有通过发布检查",
        c53504="这份草稿须到公众平台网站上使用",
        c53505="草稿须先在公众平台网站上手动保存",
        c48021="公众号不能使用这个素材",
        c45166="内容不合平台的规定",
    ),
    **_rows(Action.NEXT_MODE, _MASS, c45028="群发的条数已用完"),
    **_rows(
        Action.CONTENT,
        _MASS,
        c40130="收件的 openid 少于两个",
        c40032="收件的 openid 个数不合法",
        c40007="没有这份草稿或素材",
    ),
    **_rows(Action.BACK_OFF, _GLOBAL, cm1="微信系统繁忙"),
    **_rows(
        Action.NEXT_MINUTE, _GLOBAL, c45011="这一分钟的调用次数用完", c45066="相同 clientmsgid 的请求太快"
    ),
    **_rows(Action.NEXT_DAY, _GLOBAL, c45009="当日调用次数用完"),
    **_rows(Action.DEFER_USER, _TEMPLATE, c43117="对该用户下发过于频繁"),
    **_rows(
        Action.SUPPRESS,
        _GLOBAL,
        c43004="对方没有关注公众号",
        c50005="对方没有关注公众号",
        c46004="没有这个用户",
        c43019="对方拒收公众号消息",
        c48002="对方拒收公众号消息",
    ),
    **_rows(Action.ASK_USER, _GLOBAL, c40003="openid 不合法", c49003="openid 与公众号不符"),
    **_rows(Action.NEXT_MODE, _CUSTOM, c45015="客服窗口已关闭", c45047="客服窗口内的条数已用完"),
    **_rows(Action.NEXT_MODE, _SUBSCRIBE, c43101="用户没有同意或同意已用完"),
    **_rows(
        Action.MODE_OFF,
        _TEMPLATE,
        c40036="模板编号长度不合法",
        c40037="模板编号不正确",
        c40249="模板含营销内容，已被停用",
        c43116="模板因滥用被停用",
    ),
    **_rows(
        Action.MODE_OFF,
        _MENU,
        c48001="公众号没有这个接口的权限",
        c48004="公众号的这个接口被封禁",
        c48008="公众号没有这类消息的发送权限",
        c50002="用户受限：公众号可能违规",
    ),
    **_rows(
        Action.CONTENT,
        _GLOBAL,
        c47003="模板字段不合规则",
        c45003="标题过长",
        c45004="描述过长",
        c45005="链接过长",
        c45008="图文条数超限",
        c47001="请求内容不是正确的 JSON",
        c40035="参数不合法",
    ),
    **_rows(Action.DONE, _MASS, c45065="同一条消息已经发过"),
}

UNKNOWN = Row(Action.REFUSE, "微信返回了未收录的错误码", _GLOBAL)


def row_for(code: int) -> Row:
    """The row of a code; `UNKNOWN` where there is none."""
    return TABLE.get(code, UNKNOWN)
