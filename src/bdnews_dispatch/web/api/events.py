"""`/events`: what happened, in the order of commits: a cursor passes none by (see `outbox.record`)."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import col, func, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import HIGHEST_LONG, Answer, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import cursor_of, page_of, read_cursor
from bdnews_dispatch.webhooks.sending import INTERNAL


class EventAnswer(Answer):
    """Something that happened. `data` holds ids, never an address."""

    id: int
    name: str
    at: datetime
    data: dict[str, Any]


class Events(Page[EventAnswer]):
    """Events; `next` is there even where there are no more yet: ask again with it later."""

    next: str = Field(description="同一个 name 看过的最后一件之后的游标：此后发生的都在它后面。")


class EventsQuery(PageQuery):
    """Which."""

    name: Text = Field(default="", max_length=64, description="如 dispatch.created。")


async def index(call: Call) -> Events:
    """发生过的事，按发生的先后；记住 next，下次从那里接着取。"""
    query: EventsQuery = call.query
    after = read_cursor(query.cursor, highest=HIGHEST_LONG)
    statement = (
        select(Event)
        .where(col(Event.id) > after, col(Event.name).not_in(INTERNAL))
        .order_by(col(Event.id))
        .limit(query.limit + 1)
    )
    if query.name:
        statement = statement.where(Event.name == query.name)
    newest = (await call.session.exec(select(func.max(Event.id)))).one() or 0
    found = list((await call.session.exec(statement)).all())
    rows, following = page_of(found, query.limit, lambda row: row.id)
    items = [
        EventAnswer(id=row.id, name=row.name, at=row.created_at, data=row.payload)
        for row in rows
        if row.id is not None
    ]
    # Behind all that was looked at: who asks for a rare name again would else go through the same months each time.
    return Events(items=items, next=following or cursor_of(max(newest, after)) or "")


ENDPOINTS = (Endpoint("GET", "/events", Right.EVENTS_READ, index, Events, query=EventsQuery),)
