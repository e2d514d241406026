"""The first of the rooms: the groups of settings in words, what of them is not as shipped, and the other rooms."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.settings.values import Shown, shown
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import READ

ROOM = "/console/settings"


@dataclass(frozen=True, slots=True)
class Room:
    """A room behind this one. `place`: behind `ROOM`."""

    place: str
    name: str
    words: str


ROOMS = (
    Room("all", N_("全部设置"), N_("每一项的值、来自哪里、是什么意思、怎样更改")),
    Room("publications", N_("刊物与栏目"), N_("各刊物的栏目、版面规则、各栏目的读者数")),
    Room("mail", N_("邮件"), N_("邮件服务器、发件人、签名与域名记录、各家限额；现在测试")),
    Room("wechat", N_("公众号"), N_("发送方式、模板、菜单、令牌、配额；现在测试")),
    Room("templates", N_("邮件模板"), N_("读者收到的邮件是什么样：摘要、快讯、确认信")),
    Room("retention", N_("保留多久"), N_("什么保留多久，现在到期的有多少，下次何时清理")),
)
#: What each group is about, in the file's order.
GROUPS: Mapping[str, tuple[str, str]] = {
    "service": (N_("服务"), N_("数据放在哪里、时区、日志")),
    "database": (N_("数据库"), N_("SQLite 文件，或 PostgreSQL 服务器")),
    "security": (N_("签名密钥"), N_("邮件里的链接由它签名；丢失后旧链接失效")),
    "web": (N_("网页"), N_("在哪里应答，读者看到的地址，自己的代理")),
    "publications": (N_("刊物"), N_("刊物的设置文件在哪里，默认是哪一份")),
    "issues": (N_("收入各期"), N_("监视的文件夹，是否等人发布")),
    "delivery": (N_("发送"), N_("可以真正发给谁，没有答复时怎么办，重试")),
    "email": (N_("邮件"), N_("邮件服务器、发件人、DKIM 签名、连接数")),
    "wechat": (N_("公众号"), N_("账号、发送方式、模板、菜单、配额")),
    "webhooks": (N_("推送"), N_("允许推送到的内部主机")),
    "feeds": (N_("来源"), N_("多久读一次，允许读取的内部主机")),
    "returns": (N_("退信入口"), N_("在哪里接收退信，软退信几次后停发")),
    "mailbox": (N_("退信邮箱"), N_("没有 MX 时，从哪个邮箱收退信")),
    "sandbox": (N_("沙箱"), N_("本机的邮件服务器与微信替身在哪里")),
    "schedule": (N_("时间表"), N_("每周、每月的摘要何时发")),
    "retention": (N_("保留多久"), N_("各类数据保留的天数")),
    "imports": (N_("导入"), N_("文件多大，未导入的行保留多久")),
    "console": (N_("控制台"), N_("开始发送后多久可以撤回")),
    "sign_in": (N_("登录"), N_("谁必须有第二重验证，登录服务（OpenID）")),
    "operations": (N_("运维端口"), N_("状态与指标在哪里，追踪发到哪里")),
}


async def show(request: web.Request) -> web.Response:
    """Everything in words."""
    read = request.app[READ]
    changed = Counter[str]()
    number = Counter[str]()
    for one in shown(read, sees_people=False):
        number[one.group] += 1
        changed[one.group] += one.changed
    return page(
        request,
        "settings.html",
        rooms=ROOMS,
        groups=[(key, name, words, number[key], changed[key]) for key, (name, words) in GROUPS.items()],
        file=str(read.file) if read.file else "",
    )


def by_group(found: list[Shown]) -> list[tuple[str, str, list[Shown]]]:
    """Key, name and settings of each group that has any."""
    sorted_ = [(key, name, [one for one in found if one.group == key]) for key, (name, _) in GROUPS.items()]
    return [group for group in sorted_ if group[2]]
