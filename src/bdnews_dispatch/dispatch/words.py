"""Words for the codes of dispatches and deliveries: one table, for whoever shows them to people.

In: a code of the ledger (a state, a kind, a channel, a reason). Out: Chinese words, which an English page translates;
JSON keeps the codes. Callers: cli/, the console. A reason is one of ours, or what the other side answered: three
digits of a relay, a number of the WeChat platform.
"""

from collections.abc import Mapping
from typing import Any

from bdnews_dispatch.channels.mode_words import MODE_WORDS
from bdnews_dispatch.dispatch.models import DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import Phrase
from bdnews_dispatch.subscribers.models import Channel

KINDS: Mapping[str, str] = {
    DispatchKind.ISSUE: "整期",
    DispatchKind.PERIOD: "周期",
    DispatchKind.BULLETIN: "快讯",
}
CHANNELS: Mapping[str, str] = {Channel.EMAIL: "邮件", Channel.WECHAT: "微信"}
#: Of `official_account.quotas.used_quotas`.
QUOTAS: Mapping[str, str] = {
    "templates": "今日模板消息（条）",
    "mass_calls": "今日群发（次）",
    "mass_full": "本月群发已满的关注者（人，上限为收到过群发的）",
}
DISPATCH_STATES: Mapping[str, str] = {
    DispatchState.SCHEDULED: "待开始",
    DispatchState.PLANNING: "计划中",
    DispatchState.SENDING: "发送中",
    DispatchState.PAUSED: "已暂停",
    DispatchState.FINISHED: "已结束",
    DispatchState.CANCELLED: "已取消",
}
DELIVERY_STATES: Mapping[str, str] = {
    DeliveryState.PLANNED: "待发送",
    DeliveryState.CLAIMED: "已认领",
    DeliveryState.IN_FLIGHT: "正在发出",
    DeliveryState.SENT: "已发出",
    DeliveryState.DEFERRED: "稍后再试",
    DeliveryState.UNCERTAIN: "存疑",
    DeliveryState.FAILED: "未能发出",
    DeliveryState.SKIPPED: "不需发送",
    DeliveryState.CANCELLED: "已取消",
    DeliveryState.DELIVERED: "已送达",
    DeliveryState.BOUNCED: "被退回",
    DeliveryState.COMPLAINED: "被投诉",
}
_REASONS: Mapping[str, str] = {
    # Planning.
    "no_matching_section": "没有所选栏目的内容",
    "empty_issue": "本期没有内容",
    "cadence_issue": "每期收，不在此列",
    "cadence_weekly": "每周收，随周报发",
    "cadence_monthly": "每月收，随月报发",
    "cadence_bulletins": "只收快讯",
    "paused": "读者暂停接收",
    "already_sent": "此前已发过",
    "suppressed": "在停发名单中",
    "no_email": "没有邮箱",
    "no_openid": "没有 openid",
    "no_address": "已没有可用的地址",
    "not_following": "未关注公众号",
    # On the way.
    "not_wanted": "发送前已退订",
    "dispatch_cancelled": "任务已取消",
    "dispatch_stopped": "任务已暂停或取消",
    "stopping": "发送进程停止，未发出",
    "breaker": "通道暂停使用，稍后再试",
    "paced": "按对方的限速，稍后再发",
    "lost_answer": "没有得到答复",
    "lease_ended": "发送进程中断，没有得到答复",
    "email.not_configured": "邮件没有配置",
    "wechat.not_configured": "微信没有配置",
    "wechat.mass": "等候群发",
    "wechat.mass_alone": "选择同样栏目的只有一人，不能群发",
    "wechat.mass_refused": "微信没有接受这次群发",
    "wechat.by_email": "微信各方式都不可用，改发邮件",
    "wechat.no_mode": "微信各方式都不可用",
    "wechat.window": "客服窗口没有打开",
    "wechat.consent": "没有同意长期订阅通知",
    "wechat.credit": "没有剩余的一次性订阅",
    "wechat.template_id": "没有设置模板编号",
    "wechat.quota": "配额已用完",
    "wechat.same_key": "须用原来的方式再发",
    # A person's.
    "complaint": "读者投诉",
    "decided:sent": "人工决定：视为已发出",
    "decided:resend": "人工决定：重发",
    "decided:failed": "人工决定：视为失败",
}
#: The WeChat platform's, of one person: what an editor can understand without its manual. Others are `微信平台拒绝`.
_PLATFORM: Mapping[str, str] = {
    "43004": "对方没有关注公众号",
    "50005": "对方没有关注公众号",
    "43019": "对方拒收公众号消息",
    "48002": "对方拒收公众号消息",
    "43101": "对方没有同意，或同意已用完",
}
#: By the first part of a dotted name.
_CLASSES: Mapping[str, str] = {
    "address": "地址不能用",
    "answer": "对方的回答无法理解",
    "auth": "登录邮件服务器失败",
    "compose": "无法生成内容",
    "connect": "连不上对方",
    "connection": "连接中断",
    "content": "内容不能写进邮件",
    "lane": "发送时程序出错",
    "ledger": "数据库不能写入",
    "message": "邮件不合格式",
    "reply": "对方的回答无法理解",
    "timeout": "对方没有按时回答",
    "tls": "不能安全地连上对方",
    "wechat": "微信不能这样发",
}
#: Of mail that came back: what stands before the status of RFC 3463.
_VERDICTS: Mapping[str, str] = {"hard": "没有这个邮箱", "soft": "邮箱已满或暂时不收", "blocked": "对方拦下"}
_RETRY_LIMIT = "retry_limit:"


def reason_words(reason: str) -> str:
    """What a reason means; "" where there is none, or nobody has words for it."""
    if reason.startswith(_RETRY_LIMIT):
        last = reason_words(reason.removeprefix(_RETRY_LIMIT))
        return Phrase("多次重试未成：%(reason)s", reason=Phrase(last)) if last else "多次重试未成"
    if reason in _REASONS:
        return _REASONS[reason]
    if reason.partition(":")[0] in _VERDICTS:
        return _VERDICTS[reason.partition(":")[0]]
    if reason in {"89504", "89505"}:
        return "等公众号管理员确认，不会重发"
    if reason.lstrip("-").isdecimal():
        if len(reason) == 3:
            return {"4": "对方暂时不收", "5": "对方拒收"}.get(reason[0], "")
        return _PLATFORM.get(reason, "微信平台拒绝")
    return _CLASSES.get(reason.partition(".")[0], "") if "." in reason else ""


def with_code(words: str, code: str) -> str:
    """The words, with the code beside them for those who search by it."""
    if not (words and code):
        return words or code
    return Phrase("%(words)s（%(code)s）", words=Phrase(words), code=code)


def delivery_state(code: str) -> str:
    return with_code(DELIVERY_STATES.get(code, ""), code)


def dispatch_state(code: str) -> str:
    return with_code(DISPATCH_STATES.get(code, ""), code)


def reason(code: str) -> str:
    return with_code(reason_words(code), code)


def mode(code: str) -> str:
    """By which way a message went."""
    return with_code({**MODE_WORDS, "smtp": "邮件"}.get(code, ""), code)


def of_cards(forecast: Mapping[str, Any]) -> list[list[str | int]]:
    """Rows of what cards would do: `CardForecast.as_json()`."""
    modes, closed = forecast["modes"], forecast["closed"]
    rows: list[list[str | int]] = [
        [Phrase("微信以%(mode)s", mode=Phrase(mode(name))), number, "份"] for name, number in modes.items()
    ]
    if forecast["by_email"]:
        rows.append([reason_words("wechat.by_email"), forecast["by_email"], "份"])
    if forecast["nobody"]:
        rows.append(["微信各方式都不可用，也没有邮件可改发", forecast["nobody"], "份"])
    for name, number in closed.items():
        which, _, code = name.partition(":")
        told = Phrase(
            "不能以%(mode)s：%(reason)s",
            mode=Phrase(MODE_WORDS.get(which, which)),
            reason=Phrase(reason_words(code)),
        )
        rows.append([told, number, "人"])
    if forecast["masses_used_up"]:
        rows.append(["本月群发条数已满，本期不再以群发送达", forecast["masses_used_up"], "人"])
    left = forecast["templates_left"]
    if left is not None and modes.get("template", 0) > left:
        rows.append(["今日模板消息的余额不足，只剩", left, "条"])
    return rows
