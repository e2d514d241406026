"""`/issues`: handed in, looked at, published, withdrawn."""

import asyncio
import datetime as dt
from hashlib import sha256
from typing import Any

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.issues.intake import Intake, current_revision, take
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publishing import find_issue
from bdnews_dispatch.issues.publishing import publish as publish_issue
from bdnews_dispatch.issues.publishing import withdraw as withdraw_issue
from bdnews_dispatch.web.api.calls import UPLOADED, Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Id, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.api.problems import ApiError
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, SETTINGS


class IssueAnswer(Answer):
    """An issue."""

    id: int
    publication: str
    total_number: int
    number: int | None
    date: dt.date | None
    title: str
    state: IssueState
    revision: int
    created_at: dt.datetime
    published_at: dt.datetime | None


class IssueText(IssueAnswer):
    """An issue with what it says. `document`: sections, articles, sources, as `bdnews issues parse` prints them."""

    document: dict[str, Any]


class Warned(Answer):
    """Something that was read with doubt."""

    code: str
    message: str
    line: int | None


class TakenAnswer(Answer):
    """What came of a file. `intake`: new; the same as before; or a correction, which is not sent again by itself."""

    intake: Intake
    issue: IssueAnswer
    articles: int
    warnings: list[Warned]


class IssuesQuery(PageQuery):
    """Which."""

    publication: Text | None = Field(default=None, max_length=40)
    state: IssueState | None = None


class PushQuery(Asked):
    """What is handed in."""

    file_name: Text = Field(default="push.md", min_length=1, max_length=255, description="给人看的。")
    publication: Text | None = Field(
        default=None,
        max_length=40,
        description="刊物的键；不写：按正文所写，没有写的是默认的。",
    )
    publish: bool = Field(default=False, description="立即发布，随即分发。")


class Named(Asked):
    """A path with an issue."""

    publication: Text = Field(min_length=1, max_length=40)
    total_number: Id


async def index(call: Call) -> Page[IssueAnswer]:
    """各期，按收入的先后。"""
    query: IssuesQuery = call.query
    statement = select(Issue).where(col(Issue.id) > read_cursor(query.cursor))
    if query.publication is not None:
        statement = statement.where(Issue.publication == query.publication)
    if query.state is not None:
        statement = statement.where(Issue.state == query.state)
    rows = list((await call.session.exec(statement.order_by(col(Issue.id)).limit(query.limit + 1))).all())
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    return Page(items=[IssueAnswer.model_validate(row) for row in shown], next=following)


async def push(call: Call) -> Created:
    """交来一期：Markdown（或与图片的 ZIP）、带文字的 PDF、/api/v1/issue.schema.json 所述的 JSON；再交来不会重复。"""
    query: PushQuery = call.query
    app = call.request.app
    data = await _read(call, app[SETTINGS].issues.max_bytes)
    found = await asyncio.to_thread(
        parse_detected,
        data,
        app[PUBLICATIONS],
        query.publication,
        max_bytes=app[SETTINGS].issues.max_bytes,
    )
    async with app[DATABASE].write() as session:
        taken = await take(
            session,
            app[CLOCK],
            found.document,
            source_name=query.file_name,
            source=data,
            publish_now=query.publish,
            pictures=found.pictures.values(),
        )
        answer = TakenAnswer(
            intake=taken.intake,
            issue=IssueAnswer.model_validate(taken.issue),
            articles=sum(1 for _ in found.document.articles()),
            warnings=[Warned(code=w.code, message=w.message, line=w.line) for w in found.document.warnings],
        )
    call.tell(publish=query.publish)
    return Created(answer, f"/issues/{taken.issue.publication}/{taken.issue.total_number}")


async def show(call: Call) -> IssueText:
    """一期的内容。"""
    issue = await _find(call)
    document = (await current_revision(call.session, issue)).document
    return IssueText(**IssueAnswer.model_validate(issue).model_dump(), document=document)


async def publish(call: Call) -> IssueAnswer:
    """发布一期；首次发布会开始分发。"""
    issue = await _find(call)
    await publish_issue(call.session, call.request.app[CLOCK], issue)
    return IssueAnswer.model_validate(issue)


async def withdraw(call: Call) -> IssueAnswer:
    """撤回一期：网页不再显示，未发完的分发停止。已发出的无法收回。"""
    issue = await _find(call)
    await withdraw_issue(call.session, call.request.app[CLOCK], issue)
    return IssueAnswer.model_validate(issue)


async def _find(call: Call) -> Issue:
    publication = call.request.app[PUBLICATIONS].named(call.path.publication)
    return await find_issue(call.session, publication.key, call.path.total_number)


async def _read(call: Call, most_bytes: int) -> bytes:
    data, digest = bytearray(), sha256()
    async for block in call.request.content.iter_chunked(64 * 1024):
        data += block
        digest.update(block)
        if len(data) > most_bytes:
            raise ApiError(413, "too_large", f"文件超过 {most_bytes // 1024 // 1024} MB")
    call.request[UPLOADED] = digest.hexdigest()
    return bytes(data)


_READ, _WRITE = Right.ISSUES_READ, Right.ISSUES_WRITE
_ONE = "/issues/{publication}/{total_number}"
_STATE = frozenset({409})
ENDPOINTS = (
    Endpoint("GET", "/issues", _READ, index, Page[IssueAnswer], query=IssuesQuery),
    Endpoint(
        "POST",
        "/issues",
        _WRITE,
        push,
        TakenAnswer,
        201,
        query=PushQuery,
        upload=True,
        faults=frozenset({404, 409, 413}),
    ),
    Endpoint("GET", _ONE, _READ, show, IssueText, path_model=Named),
    Endpoint(
        "POST", f"{_ONE}/publish", _WRITE, publish, IssueAnswer, path_model=Named, faults=_STATE, current=show
    ),
    Endpoint(
        "POST",
        f"{_ONE}/withdraw",
        _WRITE,
        withdraw,
        IssueAnswer,
        path_model=Named,
        faults=_STATE,
        current=show,
    ),
)
