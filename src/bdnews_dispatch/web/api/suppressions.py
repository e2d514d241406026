"""`/suppressions`: addresses that must not be written to."""

from datetime import datetime

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.subscribers import suppressions as rooms
from bdnews_dispatch.subscribers.fields import LONGEST_ADDRESS, address_key, read_address, read_openid
from bdnews_dispatch.subscribers.models import Channel, Suppression
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import Answer, Body, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.keys import CLOCK


class SuppressionAnswer(Answer):
    """A suppression that holds. `target`: the folded address, or the openid."""

    id: int
    channel: Channel
    target: str
    reason: str
    source: str
    evidence: str
    created_at: datetime


class SuppressionsQuery(PageQuery):
    """Which."""

    target: Text = Field(default="", max_length=LONGEST_ADDRESS)


class NewSuppression(Body):
    """Whom nothing may reach from now on, and why."""

    target: Text = Field(min_length=1, max_length=LONGEST_ADDRESS)
    note: Text = Field(min_length=1, max_length=200, pattern=r"\S")


class Lift(NewSuppression):
    """Whom mails may reach again, and why."""


async def index(call: Call) -> Page[SuppressionAnswer]:
    """停发名单，按编号。"""
    query: SuppressionsQuery = call.query
    statement = select(Suppression).where(col(Suppression.id) > read_cursor(query.cursor))
    if query.target:
        statement = statement.where(Suppression.target == _folded(query.target))
    rows = list(
        (await call.session.exec(statement.order_by(col(Suppression.id)).limit(query.limit + 1))).all()
    )
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    return Page(items=[SuppressionAnswer.model_validate(row) for row in shown], next=following)


async def create(call: Call) -> SuppressionAnswer:
    """停发一个邮箱或 openid；已停发的不变。"""
    body: NewSuppression = call.body
    channel, target = _read(body.target)
    await rooms.suppress(
        call.session,
        call.request.app[CLOCK],
        channel,
        target,
        reason="admin",
        source="api",
        evidence=body.note,
    )
    call.tell(channel=channel.value)
    statement = select(Suppression).where(Suppression.channel == channel, Suppression.target == target)
    return SuppressionAnswer.model_validate((await call.session.exec(statement)).one())


async def lift(call: Call) -> None:
    """解除停发，并说明为什么；为何停发、为何解除都保留。"""
    body: Lift = call.body
    channel, target = _read(body.target)
    await rooms.lift(call.session, call.request.app[CLOCK], channel, target, note=body.note)
    call.tell(channel=channel.value)


def _read(target: str) -> tuple[Channel, str]:
    if "@" in target:
        return Channel.EMAIL, read_address(target).key
    return Channel.WECHAT, read_openid(target)


def _folded(target: str) -> str:
    return address_key(target.strip()) if "@" in target else target.strip()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/suppressions",
        Right.SUPPRESSIONS_READ,
        index,
        Page[SuppressionAnswer],
        query=SuppressionsQuery,
    ),
    Endpoint(
        "POST", "/suppressions", Right.SUPPRESSIONS_WRITE, create, SuppressionAnswer, 201, body=NewSuppression
    ),
    Endpoint(
        "POST",
        "/suppressions/lift",
        Right.SUPPRESSIONS_WRITE,
        lift,
        None,
        204,
        body=Lift,
        faults=frozenset({404}),
    ),
)
