"""`/returns`: mail that came back. What it says is a stranger's, and may say of a person more than their number."""

from datetime import datetime

from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import HIGHEST_LONG, Answer, Page, PageQuery
from bdnews_dispatch.web.api.pages import page_of, read_cursor


class ReturnAnswer(Answer):
    """A mail that came back. `delivery`, `letter`: which of ours it is about; null: nobody's that we know.

    `verdict`: of a bounce: hard, soft, blocked; `rule`: which of our rules said so; `status`, `code`, `text`: what the
    other side said, without addresses.
    """

    id: int
    received_at: datetime
    kind: Kind
    verdict: str
    rule: str
    delivery: int | None
    letter: int | None
    status: str
    code: int
    text: str


async def index(call: Call) -> Page[ReturnAnswer]:
    """退回的邮件，最近的在前。"""
    query: PageQuery = call.query
    statement = select(ReturnedMail).order_by(col(ReturnedMail.id).desc()).limit(query.limit + 1)
    if before := read_cursor(query.cursor, highest=HIGHEST_LONG):
        statement = statement.where(col(ReturnedMail.id) < before)
    shown, following = page_of(list(await call.session.exec(statement)), query.limit, lambda row: row.id)
    return Page(items=[_answer(row) for row in shown], next=following)


def _answer(row: ReturnedMail) -> ReturnAnswer:
    told = row.model_dump(include=set(ReturnAnswer.model_fields))
    return ReturnAnswer(**told, delivery=row.delivery_id, letter=row.letter_id)


ENDPOINTS = (Endpoint("GET", "/returns", Right.SUBSCRIBERS_READ, index, Page[ReturnAnswer], query=PageQuery),)
