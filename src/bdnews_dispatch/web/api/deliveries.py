"""`/deliveries`: single messages of a dispatch, what came of each try, and what a person decides of those in doubt."""

from datetime import datetime
from typing import Literal

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.settling import resolve, resolve_all, tries_of
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import (
    HIGHEST_LONG,
    Answer,
    Asked,
    Body,
    Id,
    LongId,
    Numbered,
    Page,
    PageQuery,
    Text,
)
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.keys import CLOCK


class DeliveryAnswer(Answer):
    """A delivery. `subscriber`: their id; addresses are at /subscribers. `mode`: the way it went."""

    id: int
    key: str
    dispatch: int
    subscriber: int
    channel: Channel
    sections: list[str]
    state: DeliveryState
    reason: str
    mode: str
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    updated_at: datetime


class OneDelivery(Asked):
    """A path with a delivery."""

    id: LongId


class Try(Answer):
    """One try. `text`: what the other side said, and why the modes before were not possible."""

    at: datetime
    outcome: str
    code: str
    text: str
    mode: str
    reference: str


class DeliveryTries(DeliveryAnswer):
    """A delivery with its tries, the first one first."""

    tries: list[Try]


class DeliveriesQuery(PageQuery):
    """Which."""

    dispatch: Id | None = None
    subscriber: Id | None = None
    state: DeliveryState | None = None
    reason: Text = Field(default="", max_length=100, description="原因的开头。")


class Decision(Body):
    """What is decided of a delivery in doubt, behind a look into the relay's log."""

    decision: Literal["sent", "resend", "failed"]


class Decided(Answer):
    """How many were decided."""

    decided: int


async def index(call: Call) -> Page[DeliveryAnswer]:
    """投递，按编号；可按发送任务、订阅者、状态、原因筛选。"""
    query: DeliveriesQuery = call.query
    statement = select(Delivery).where(col(Delivery.id) > read_cursor(query.cursor, highest=HIGHEST_LONG))
    if query.dispatch is not None:
        statement = statement.where(Delivery.dispatch_id == query.dispatch)
    if query.subscriber is not None:
        statement = statement.where(Delivery.subscriber_id == query.subscriber)
    if query.state is not None:
        statement = statement.where(Delivery.state == query.state)
    if query.reason:
        statement = statement.where(col(Delivery.reason).startswith(query.reason, autoescape=True))
    rows = list((await call.session.exec(statement.order_by(col(Delivery.id)).limit(query.limit + 1))).all())
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    return Page(items=[_answer(row) for row in shown], next=following)


async def show(call: Call) -> DeliveryTries:
    """一份投递与它的每次尝试：以何种方式，对方如何答复。"""
    found, tries = await tries_of(call.session, str(call.path.id))
    return DeliveryTries(
        **_answer(found).model_dump(), tries=[Try.model_validate(_try(one)) for one in tries]
    )


async def decide(call: Call) -> DeliveryTries:
    """决定一份没有得到答复的投递（uncertain）：视为已发、重发一次，或视为失败。"""
    body: Decision = call.body
    await resolve(call.session, call.request.app[CLOCK], [str(call.path.id)], body.decision)
    call.tell(decision=body.decision)
    return await show(call)


async def decide_all(call: Call) -> Decided:
    """决定一个发送任务中所有没有得到答复的投递。"""
    body: Decision = call.body
    number = await resolve_all(call.session, call.request.app[CLOCK], call.path.id, body.decision)
    call.tell(decision=body.decision, deliveries=number)
    return Decided(decided=number)


def _answer(row: Delivery) -> DeliveryAnswer:
    assert row.id is not None  # noqa: S101  # read from the database
    return DeliveryAnswer(
        id=row.id,
        key=row.key,
        dispatch=row.dispatch_id,
        subscriber=row.subscriber_id,
        channel=row.channel,
        sections=list(row.sections),
        state=row.state,
        reason=row.reason,
        mode=row.mode,
        attempts=row.attempts,
        due_at=row.due_at,
        sent_at=row.sent_at,
        updated_at=row.updated_at,
    )


def _try(attempt: Attempt) -> dict[str, object]:
    return attempt.model_dump(include=set(Try.model_fields))


_READ, _WRITE = Right.DISPATCHES_READ, Right.DISPATCHES_WRITE
_STATE = frozenset({409})
ENDPOINTS = (
    Endpoint("GET", "/deliveries", _READ, index, Page[DeliveryAnswer], query=DeliveriesQuery),
    Endpoint("GET", "/deliveries/{id}", _READ, show, DeliveryTries, path_model=OneDelivery),
    Endpoint(
        "POST",
        "/deliveries/{id}/resolve",
        _WRITE,
        decide,
        DeliveryTries,
        path_model=OneDelivery,
        body=Decision,
        faults=_STATE,
        current=show,
    ),
    Endpoint(
        "POST",
        "/dispatches/{id}/resolve",
        _WRITE,
        decide_all,
        Decided,
        path_model=Numbered,
        body=Decision,
        faults=_STATE,
    ),
)
