"""Words for what stands in the audit log: actions, and what an entry tells of a change. The one table of both.

In: codes, as the log keeps them and `bdnews audit list` shows them. Out: words to be translated. Caller: log.py. A test
walks the code for actions: one that is new and has no words here fails. What the log holds outlives the code that wrote
it, so words of actions that are no longer written stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bdnews_dispatch.web.faults import N_


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that belong together. Attributes: actions: code → words; the console's before the API's."""

    name: str
    actions: Mapping[str, str]


GROUPS: Sequence[Group] = (
    Group(
        N_("登录与账户"),
        {
            "sign_in": N_("登录"),
            "sign_in.failed": N_("没有登录成"),
            "sign_out": N_("退出"),
            "session.end": N_("在别处退出"),
            "password": N_("设密码"),
            "password.refused": N_("现在的密码没有写对"),
            "second_factor.confirm": N_("开启第二重验证"),
            "second_factor.codes": N_("更换备用码"),
            "second_factor.off": N_("关闭第二重验证"),
            "second_factor.refused": N_("验证码没有写对"),
            "calendar.renewed": N_("要一个日历地址"),
            "calendar.ended": N_("停用日历地址"),
        },
    ),
    Group(
        N_("用户与令牌"),
        {
            "user.first": N_("建立第一位管理员"),
            "user.invite": N_("邀请用户"),
            "user.link": N_("给设密码的链接"),
            "user.reset": N_("给设密码的链接"),
            "user.role": N_("更改角色"),
            "user.name": N_("更改用户的称呼"),
            "user.disable": N_("停用用户"),
            "user.enable": N_("启用用户"),
            "user.end": N_("让用户在各处退出"),
            "user.factor": N_("关闭用户的第二重验证"),
            "identity.bound": N_("绑定登录服务"),
            "user.identity": N_("解除与登录服务的绑定"),
            "token.add": N_("新建令牌"),
            "token.revoke": N_("作废令牌"),
        },
    ),
    Group(
        N_("订阅者"),
        {
            "subscriber.add": N_("添加订阅者"),
            "subscriber.unsubscribe": N_("替人退订"),
            "subscriber.tag": N_("加标签"),
            "subscriber.untag": N_("去掉标签"),
            "subscriber.copy": N_("取得本人数据的副本"),
            "subscriber.erase": N_("删除本人的数据"),
            "suppression.add": N_("停发一个地址"),
            "suppression.lift": N_("解除一个地址的停发"),
            "list.save": N_("保存名单"),
            "list.join": N_("加入名单"),
            "list.leave": N_("移出名单"),
            "segment.save": N_("保存细分"),
            "segment.remove": N_("删除细分"),
            "import.bring": N_("上传名单文件"),
            "import.start": N_("开始导入"),
            "import.cancel": N_("取消导入"),
            "import.result": N_("取得未导入的行"),
            "api.subscribers_create": N_("添加订阅者"),
            "api.subscribers_end": N_("替人退订"),
            "api.subscribers_add_tag": N_("加标签"),
            "api.subscribers_remove_tag": N_("去掉标签"),
            "api.subscribers_put_attribute": N_("写一项其他信息"),
            "api.subscribers_copy": N_("取得本人数据的副本"),
            "api.subscribers_erase": N_("删除本人的数据"),
            "api.suppressions_create": N_("停发一个地址"),
            "api.suppressions_lift": N_("解除一个地址的停发"),
            "api.lists_create": N_("保存名单"),
            "api.lists_change": N_("保存名单"),
            "api.lists_join": N_("加入名单"),
            "api.lists_leave": N_("移出名单"),
            "api.segments_save": N_("保存细分"),
            "api.segments_remove": N_("删除细分"),
            "api.imports_upload": N_("上传名单文件"),
            "api.imports_start": N_("开始导入"),
            "api.imports_stop": N_("取消导入"),
            "api.imports_result": N_("取得未导入的行"),
        },
    ),
    Group(
        N_("各期与快讯"),
        {
            "issue.edit": N_("更正一期"),
            "issue.check": N_("核对一条提示"),
            "issue.undo": N_("撤销一处更正"),
            "issue.publish": N_("发布"),
            "issue.published": N_("重新发布"),
            "issue.withdrawn": N_("撤回一期"),
            "preview.test": N_("寄测试邮件给自己"),
            "bulletin.write": N_("写一则快讯"),
            "bulletin.change": N_("改快讯"),
            "bulletin.ask": N_("送审"),
            "bulletin.approve": N_("批准一则快讯"),
            "bulletin.give_back": N_("退回快讯"),
            "bulletin.send": N_("发送快讯"),
            "bulletin.discard": N_("丢弃快讯"),
            "api.issues_push": N_("送来一期"),
            "api.issues_publish": N_("发布"),
            "api.issues_withdraw": N_("撤回一期"),
            "api.bulletins_send": N_("发送快讯"),
            "api.drafts_create": N_("写一则快讯"),
            "api.drafts_change": N_("改快讯"),
            "api.drafts_ask": N_("送审"),
            "api.drafts_approve": N_("批准一则快讯"),
            "api.drafts_give_back": N_("退回快讯"),
            "api.drafts_send": N_("发送快讯"),
            "api.drafts_discard": N_("丢弃快讯"),
        },
    ),
    Group(
        N_("发送"),
        {
            "dispatch.start": N_("开始发送"),
            "dispatch.pause": N_("暂停发送"),
            "dispatch.resume": N_("继续发送"),
            "dispatch.cancel": N_("取消发送"),
            "dispatch.undo": N_("发出之前撤回"),
            "dispatch.decide": N_("决定存疑的投递"),
            "api.dispatches_start": N_("开始发送"),
            "api.dispatches_pause": N_("暂停发送"),
            "api.dispatches_resume": N_("继续发送"),
            "api.dispatches_cancel": N_("取消发送"),
            "api.dispatches_retry": N_("再发给没有收到的人"),
            "api.deliveries_decide": N_("决定存疑的投递"),
            "api.deliveries_decide_all": N_("决定存疑的投递"),
        },
    ),
    Group(
        N_("来源、推送与设置"),
        {
            "feed.add": N_("添加来源"),
            "feed.read": N_("马上读来源"),
            "feed.enable": N_("启用来源"),
            "feed.disable": N_("停用来源"),
            "feed.remove": N_("删除来源"),
            "webhook.add": N_("添加推送"),
            "webhook.enable": N_("启用推送"),
            "webhook.disable": N_("停用推送"),
            "webhook.rotate": N_("更换推送的密钥"),
            "webhook.replay": N_("重送推送"),
            "webhook.remove": N_("删除推送"),
            "settings.test_mail": N_("试连邮件服务器"),
            "settings.test_letter": N_("寄测试信给自己"),
            "settings.test_wechat": N_("试连公众号"),
            "api.feeds_create": N_("添加来源"),
            "api.feeds_read": N_("马上读来源"),
            "api.feeds_switch": N_("启用或停用来源"),
            "api.feeds_remove": N_("删除来源"),
            "api.webhooks_create": N_("添加推送"),
            "api.webhooks_switch": N_("启用或停用推送"),
            "api.webhooks_rotate": N_("更换推送的密钥"),
            "api.webhooks_replay": N_("重送推送"),
            "api.webhooks_remove": N_("删除推送"),
        },
    ),
)
ACTIONS: Mapping[str, str] = {code: words for group in GROUPS for code, words in group.actions.items()}


def same(action: str) -> Sequence[str]:
    """The codes of all actions that are called as this one is: the console's, the command line's and the API's."""
    words = ACTIONS.get(action)
    return [code for code, others in ACTIONS.items() if others == words] or [action]


def choices() -> Sequence[tuple[str, Mapping[str, str]]]:
    """What a page offers, by group: of each word its first code."""
    told: list[tuple[str, Mapping[str, str]]] = []
    for group in GROUPS:
        first = {words: code for code, words in reversed(tuple(group.actions.items()))}
        told.append(
            (group.name, {code: words for code, words in group.actions.items() if first[words] == code})
        )
    return told


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an entry tells of a change. Attributes: kind: how its value is shown, as audit.html has it."""

    name: str
    kind: str = ""


#: By the name that it has in the log.
FIELDS: Mapping[str, Field] = {
    "role": Field(N_("角色"), "role"),
    "publications": Field(N_("刊物"), "publications"),
    "publication": Field(N_("刊物"), "publication"),
    "scope": Field(N_("可以做什么"), "rights"),
    "ends_at": Field(N_("到期"), "moment"),
    "due_at": Field(N_("开始"), "moment"),
    "at": Field(N_("时间"), "moment"),
    "sections": Field(N_("栏目"), "sections"),
    "section": Field(N_("栏目"), "sections"),
    "channel": Field(N_("渠道"), "word"),
    "mode": Field(N_("方式"), "word"),
    "kind": Field(N_("种类"), "word"),
    "status": Field(N_("结果"), "word"),
    "decision": Field(N_("决定"), "word"),
    "which": Field(N_("哪里"), "word"),
    "by": Field(N_("经由"), "word"),
    "issuer": Field(N_("登录服务")),
    "deliveries": Field(N_("份数")),
    "dispatch": Field(N_("发送任务的编号")),
    "subscriber": Field(N_("哪位订阅者")),
    "attribute": Field(N_("哪一项信息")),
    "on": Field(N_("是否启用")),
    "rows": Field(N_("行数")),
    "list": Field(N_("名单")),
    "lists": Field(N_("名单")),
    "tag": Field(N_("标签")),
    "public": Field(N_("公开")),
    "publish": Field(N_("收到即发布")),
    "resubscribe": Field(N_("重新订阅")),
    "names": Field(N_("事件")),
    "failed": Field(N_("没有通过的")),
    "rule": Field(N_("规则"), "rule"),
    "whom": Field(N_("发给"), "whom"),
    "title": Field(N_("标题")),
    "characters": Field(N_("正文字数")),
    "urgent": Field(N_("紧急")),
    "ad": Field(N_("广告")),
    "version": Field(N_("版本")),
    "words": Field(N_("说明")),
    "article": Field(N_("第几篇")),
    "edit": Field(N_("更正的编号")),
    "then": Field(N_("改为")),
    "line": Field(N_("第几行")),
    "code": Field(N_("提示"), "code"),
    "tokens_ended": Field(N_("作废的令牌")),
    "calendar_ended": Field(N_("停用日历地址")),
}
#: Values that are words of ours. What is not here is shown as it is.
WORDS: Mapping[str, Mapping[str, str]] = {
    "channel": {"email": N_("邮件"), "wechat": N_("微信")},
    "mode": {
        "add": N_("只添加新人"),
        "update": N_("添加与更新"),
        "replace-list": N_("使名单恰为文件中的人"),
        "unsubscribe": N_("退订"),
        "suppress": N_("永不再发"),
    },
    "kind": {
        "issue": N_("整期"),
        "period": N_("周期"),
        "bulletin": N_("快讯"),
        "title": N_("题目"),
        "source": N_("来源"),
        "note": N_("编者按"),
        "place": N_("位置"),
        "omitted": N_("本期不收"),
    },
    "status": {"added": N_("新增"), "changed": N_("更新"), "unchanged": N_("未变")},
    "decision": {"sent": N_("视为已发"), "resend": N_("重发一次"), "failed": N_("视为失败")},
    "which": {"others": N_("其他各处")},
    "by": {
        "password": N_("密码"),
        "code": N_("验证码或备用码"),
        "provider": N_("登录服务"),
        "demo": N_("演示的链接"),
    },
}
