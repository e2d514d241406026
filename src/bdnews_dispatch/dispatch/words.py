"""Words for the codes of dispatches and deliveries: one table, for whoever shows them to people.

In: a code of the ledger (a state, a kind, a channel, a reason). Out: Chinese words; JSON keeps the codes. Callers:
cli/, later the console. A reason is one of ours, or what the other side answered: three digits of a relay, a number
of the WeChat platform.
"""

from collections.abc import Mapping

from bdnews_dispatch.dispatch.models import DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.subscribers.models import Channel

KINDS: Mapping[str, str] = {
    DispatchKind.ISSUE: "整期",
    DispatchKind.PERIOD: "周期",
    DispatchKind.BULLETIN: "快讯",
}
CHANNELS: Mapping[str, str] = {Channel.EMAIL: "邮件", Channel.WECHAT: "微信"}
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
    # A person's.
    "decided:sent": "人工决定：视为已发出",
    "decided:resend": "人工决定：重发",
    "decided:failed": "人工决定：视为失败",
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
_RETRY_LIMIT = "retry_limit:"


def reason_words(reason: str) -> str:
    """What a reason means; "" where there is none, or nobody has words for it."""
    if reason.startswith(_RETRY_LIMIT):
        last = reason_words(reason.removeprefix(_RETRY_LIMIT))
        return f"多次重试未成：{last}" if last else "多次重试未成"
    if reason in _REASONS:
        return _REASONS[reason]
    if reason.lstrip("-").isdecimal():
        if len(reason) == 3:
            return {"4": "对方暂时不收", "5": "对方拒收"}.get(reason[0], "")
        return "微信平台拒绝"
    return _CLASSES.get(reason.partition(".")[0], "") if "." in reason else ""


def with_code(words: str, code: str) -> str:
    """The words, with the code beside them for those who search by it."""
    return f"{words}（{code}）" if words and code else words or code


def delivery_state(code: str) -> str:
    return with_code(DELIVERY_STATES.get(code, ""), code)


def dispatch_state(code: str) -> str:
    return with_code(DISPATCH_STATES.get(code, ""), code)


def reason(code: str) -> str:
    return with_code(reason_words(code), code)
