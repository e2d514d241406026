"""The room of retention: what is kept how long, how much of it is due now, when it goes, when it went last."""

from datetime import timedelta

from aiohttp import web

from bdnews_dispatch.privacy.retention import RULES, SANDBOX, Retention
from bdnews_dispatch.scheduling.daily import last_clean_up, last_due, read_time_of_day
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS

#: What is deleted, and what stays of it.
WORDS = {
    "hits": (N_("打开与点击"), N_("报告停在当时的数字，最近一次打开的时间仍在")),
    "attempts": (N_("发送的尝试与对方的答复"), N_("没有结束的与存疑的不删")),
    "returns": (N_("退信的原文"), N_("结论与那句话仍在")),
    "requests": (N_("没有确认的申请"), N_("从链接失效起算；连同确认信")),
    "letters": (N_("已寄出或未能寄出的信"), N_("确认信、测试信、给管理员的信")),
    "events": (N_("处理完的事件"), N_("没有处理完的不删")),
    SANDBOX: (N_("沙箱收下的邮件与卡片"), N_("只在这台机器上数")),
}


async def show(request: web.Request) -> web.Response:
    """All of it; nothing is deleted."""
    app = request.app
    settings, now = app[SETTINGS], app[CLOCK]()
    retention = Retention(app[DATABASE], app[CLOCK], settings)
    due = await retention.look()
    at, zone = read_time_of_day(settings.retention.at), settings.service.timezone
    async with app[DATABASE].read() as session:
        last = await last_clean_up(session)
    latest = last_due(now, at, zone)
    return page(
        request,
        "settings_retention.html",
        rows=[(name, *WORDS[name], retention.days(name), due[name]) for name in (*RULES, SANDBOX)],
        at=settings.retention.at,
        following=last_due(now + timedelta(days=1), at, zone),
        last=last,
        missed=last is not None and last.due_at < latest,
        keep_imports=settings.imports.keep_days,
    )
