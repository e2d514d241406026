"""`/dispatches`: started, watched, paused, gone on with, cancelled, tried again; what a dispatch would reach; what came
of it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch import control
from bdnews_dispatch.dispatch.drafts import check_again
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.standing import Standing, rows_of
from bdnews_dispatch.dispatch.starting import issue_dispatch, start_again, start_issue, told
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publishing import find_issue
from bdnews_dispatch.subscribers.targeting import Target, read_target
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Body, Id, Moment, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.keys import CARD_ACCOUNTS, CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS
from bdnews_dispatch.web.standing import Stand, stands

_Names = Annotated[list[Annotated[Text, Field(max_length=100)]], Field(max_length=100)]


_COUNTS = frozenset({"deliveries", "counts", "channels", "reasons", "modes"})


class _Described(Answer):
    id: int
    title: str
    kind: DispatchKind
    publication: str
    state: DispatchState
    due_at: datetime
    created_at: datetime
    planned_at: datetime | None
    finished_at: datetime | None
    note: str
    urgent: bool


class DispatchAnswer(_Described):
    """A dispatch. `counts`: deliveries by state; `reasons`: why some were not sent, by reason; `modes`: those
    that were, by the way they went.
    """

    deliveries: int
    counts: dict[str, int]
    channels: dict[str, dict[str, int]]
    reasons: dict[str, int]
    modes: dict[str, int]
    COUNTED: ClassVar[frozenset[str]] = _COUNTS


class DispatchListed(_Described):
    """One of many, which nobody waits for to be counted: those of a large one are of `counted_at`, and null until they
    have been counted for the first time. A `counted_at` of null: of this moment.
    """

    deliveries: int | None
    counts: dict[str, int] | None
    channels: dict[str, dict[str, int]] | None
    reasons: dict[str, int] | None
    modes: dict[str, int] | None
    counted_at: datetime | None
    COUNTED: ClassVar[frozenset[str]] = _COUNTS | {"counted_at"}


class Whom(Body):
    """An issue, and whom it is for; with nothing named: everybody who reads every issue."""

    issue: Id = Field(description="总期数。")
    publication: Text | None = Field(default=None, max_length=40)
    lists: _Names = Field(default_factory=list)
    segments: _Names = Field(default_factory=list)
    except_lists: _Names = Field(default_factory=list)
    except_segments: _Names = Field(default_factory=list)


class NewDispatch(Whom):
    """A dispatch to start; the same one again is the one that is there."""

    at: Moment | None = Field(default=None, description="何时；不写是现在。")


class Cards(Answer):
    """The cards of it. `modes`: by the first mode that is open; `closed`: followers by `mode:code` of what is not;
    `by_email`, `nobody`: cards that no mode takes.
    """

    modes: dict[str, int]
    closed: dict[str, int]
    by_email: int
    nobody: int
    masses_used_up: int
    templates_left: int | None


class Audience(Answer):
    """Whom a dispatch would reach, and whom each rule leaves out."""

    subscribed: int
    not_named: int
    excluded: dict[str, int]
    left: int
    planned: dict[str, int]
    left_out: dict[str, int]
    wechat: Cards


class Note(Body):
    """Why."""

    note: Text = Field(default="", max_length=200)


async def index(call: Call) -> Page[DispatchListed]:
    """发送任务，按编号；很大的任务，数量是 counted_at 时统计的，还没有统计过的是 null。"""
    query: PageQuery = call.query
    statement = (
        select(Dispatch)
        .where(col(Dispatch.id) > read_cursor(query.cursor))
        .order_by(col(Dispatch.id))
        .limit(query.limit + 1)
    )
    rows = list((await call.session.exec(statement)).all())
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    found = await stands(call.request, call.session, shown)
    named = await titles(call.session, list(found))
    return Page(items=[_listed(row, found[row.id or 0], named) for row in shown], next=following)


async def show(call: Call) -> DispatchAnswer:
    """一个发送任务：各状态、各渠道的数量，未发的原因。"""
    return await _one(call, call.path.id)


async def start(call: Call) -> Created:
    """分发一期。再次执行只会发给还没有收到的人，不会重复。"""
    body: NewDispatch = call.body
    issue, target = await _wanted(call, body)
    started = await start_issue(call.session, call.request.app[CLOCK], issue, target=target, at=body.at)
    assert started.dispatch.id is not None  # noqa: S101  # flushed
    if started.fresh:
        call.tell(**told(started.dispatch))
    return Created(await _one(call, started.dispatch.id), f"/dispatches/{started.dispatch.id}")


async def audience(call: Call) -> Audience:
    """先看会发给谁：各条规则各减去多少人，各渠道多少份，其余为何不发。不写入任何内容。"""
    app = call.request.app
    issue, target = await _wanted(call, call.body)
    planner = Planner(app[DATABASE], app[CLOCK], app[PUBLICATIONS], app[LINKS])
    found = await planner.forecast(
        call.session, issue_dispatch(app[CLOCK], issue, target), app[CARD_ACCOUNTS]
    )
    return Audience.model_validate(found.as_json(), extra="ignore")


async def pause(call: Call) -> DispatchAnswer:
    """暂停：不再开始新的投递，正在发出的发完。"""
    body: Note = call.body
    await control.pause(call.session, call.path.id, note=body.note or call.origin)
    return await _one(call, call.path.id)


async def resume(call: Call) -> DispatchAnswer:
    """从停下的地方继续。"""
    await control.resume(call.session, call.path.id)
    return await _one(call, call.path.id)


async def cancel(call: Call) -> DispatchAnswer:
    """取消：还没有发出的不再发。"""
    body: Note = call.body
    await control.cancel(call.session, call.request.app[CLOCK], call.path.id, note=body.note or call.origin)
    return await _one(call, call.path.id)


async def retry(call: Call) -> DispatchAnswer:
    """再发给没有收到的人：答复是新的发送任务，[console] undo_seconds 之后开始；没有人要再发时是原来的。"""
    app = call.request.app
    dispatch = await control.find_dispatch(call.session, call.path.id)
    await check_again(call.session, dispatch)
    at = app[CLOCK]() + timedelta(seconds=app[SETTINGS].console.undo_seconds)
    started = await start_again(call.session, app[CLOCK], dispatch, at=at)
    assert started.dispatch.id is not None  # noqa: S101  # flushed
    if started.fresh:
        call.tell(dispatch=started.dispatch.id, **told(started.dispatch))
    return await _one(call, started.dispatch.id)


async def _wanted(call: Call, body: Whom) -> tuple[Issue, Target]:
    publication = call.request.app[PUBLICATIONS].named(body.publication)
    issue = await find_issue(call.session, publication.key, body.issue)
    target = await read_target(
        call.session,
        lists=body.lists,
        segments=body.segments,
        excluded_lists=body.except_lists,
        excluded_segments=body.except_segments,
    )
    return issue, target


async def _one(call: Call, dispatch_id: int) -> DispatchAnswer:
    dispatch = await control.find_dispatch(call.session, dispatch_id)
    counted = await rows_of(call.session, [dispatch_id])
    standing = Standing.read({"rows": counted.get(dispatch_id, [])})
    named = await titles(call.session, [dispatch_id])
    return DispatchAnswer.model_validate(_described(dispatch, standing, named), extra="ignore")


def _listed(dispatch: Dispatch, stand: Stand, named: Mapping[int, str]) -> DispatchListed:
    told = {**_described(dispatch, stand.standing, named), "counted_at": stand.at}
    if not stand.known:
        told |= dict.fromkeys(_COUNTS)
    return DispatchListed.model_validate(told, extra="ignore")


def _described(dispatch: Dispatch, standing: Standing, named: Mapping[int, str]) -> dict[str, Any]:
    return {
        **control.described(dispatch, standing),
        "title": named.get(dispatch.id or 0, ""),
        "planned_at": dispatch.planned_at,
        "created_at": dispatch.created_at,
        "finished_at": dispatch.finished_at,
    }


_READ, _WRITE = Right.DISPATCHES_READ, Right.DISPATCHES_WRITE
_ONE = "/dispatches/{id}"
_STATE = frozenset({409})
ENDPOINTS = (
    Endpoint("GET", "/dispatches", _READ, index, Page[DispatchListed], query=PageQuery),
    Endpoint(
        "POST",
        "/dispatches",
        _WRITE,
        start,
        DispatchAnswer,
        201,
        body=NewDispatch,
        faults=frozenset({404, 409}),
    ),
    Endpoint("POST", "/audiences", _READ, audience, Audience, body=Whom, faults=frozenset({404, 409})),
    Endpoint("GET", _ONE, _READ, show, DispatchAnswer, path_model=Numbered),
    Endpoint(
        "POST",
        f"{_ONE}/pause",
        _WRITE,
        pause,
        DispatchAnswer,
        path_model=Numbered,
        body=Note,
        faults=_STATE,
        current=show,
    ),
    Endpoint(
        "POST",
        f"{_ONE}/resume",
        _WRITE,
        resume,
        DispatchAnswer,
        path_model=Numbered,
        faults=_STATE,
        current=show,
    ),
    Endpoint(
        "POST",
        f"{_ONE}/cancel",
        _WRITE,
        cancel,
        DispatchAnswer,
        path_model=Numbered,
        body=Note,
        faults=_STATE,
        current=show,
    ),
    Endpoint(
        "POST",
        f"{_ONE}/retry",
        _WRITE,
        retry,
        DispatchAnswer,
        path_model=Numbered,
        faults=_STATE,
        current=show,
    ),
)
