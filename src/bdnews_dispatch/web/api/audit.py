"""`/audit`: who did what to what."""

from datetime import datetime
from typing import Any

from pydantic import Field

from bdnews_dispatch.accounts.audit import entries
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import HIGHEST_LONG, Answer, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor


class AuditAnswer(Answer):
    """An entry. `actor`: `user:3`, `token:2 name`, `cli`; `change`: what was decided, or before and after.

    `hash` covers this entry and the one before: the log can be held to one that was kept elsewhere.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    change: dict[str, Any]
    network: str
    hash: str


class AuditQuery(PageQuery):
    """Which."""

    actor: Text = Field(default="", max_length=40, description="如条目中所写，例如 user:3。")
    action: Text = Field(default="", max_length=60, description="如 dispatch.start。")
    oldest_first: bool = Field(default=False, description="不写：从最新的开始。")


async def index(call: Call) -> Page[AuditAnswer]:
    """操作记录：谁对什么做了什么，最近的在前；可按人、按动作筛选。"""
    query: AuditQuery = call.query
    rows = await entries(
        call.session,
        after=read_cursor(query.cursor, highest=HIGHEST_LONG),
        limit=query.limit + 1,
        newest_first=not query.oldest_first,
        actors=[query.actor] if query.actor else (),
        actions=[query.action] if query.action else (),
    )
    shown, following = page_of(list(rows), query.limit, lambda row: row.id)
    return Page(items=[AuditAnswer.model_validate(row) for row in shown], next=following)


ENDPOINTS = (Endpoint("GET", "/audit", Right.AUDIT_READ, index, Page[AuditAnswer], query=AuditQuery),)
