"""`/calendar.ics`: what is to be sent, for calendar programs that can show a token."""

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.scheduling.calendar_file import CONTENT_TYPE
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.calendar_feed import calendar_of


async def calendar(call: Call) -> bytes:
    """今后半年要发送的与过去一个月发送的，iCalendar 格式；定了时间的快讯草稿要有 bulletins.read 才在其中。"""
    return await calendar_of(call.request, call.session, lambda right: right in call.bearer.scope)


ENDPOINTS = (
    Endpoint("GET", "/calendar.ics", Right.DISPATCHES_READ, calendar, None, file=CONTENT_TYPE, whole=True),
)
