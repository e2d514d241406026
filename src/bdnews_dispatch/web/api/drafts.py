"""`/drafts`: bulletins as they are written: saved, put before a second person, approved or given back, sent.

A token that belongs to a user acts as that user: what they have written, no token of theirs approves. The rules are
those of the console's room: bulletins/drafting.py and dispatch/drafts.py.
"""

from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.bulletins import drafting
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.dispatch.drafts import send_draft, target_of_draft
from bdnews_dispatch.dispatch.starting import dispatches_of_bulletin
from bdnews_dispatch.web.api.bulletins import BulletinWords, written_of
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint, Function
from bdnews_dispatch.web.api.models import HIGHEST_ID, Answer, Body, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.api.problems import CHANGED, ApiError, Detail
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS, SETTINGS


class DraftAnswer(Answer):
    """A bulletin that is being written. `writers`, `decided_by`: `user:3`, `token:2`; `words`: why it was given back.

    `second_person`: it takes one, for it is urgent or for everybody; `version`: one more with each change; `bulletin`,
    `dispatches`: once it is sent.
    """

    id: int
    publication: str
    title: str
    body: str
    urgent: bool
    ad: bool
    sections: list[str]
    lists: list[str]
    segments: list[str]
    except_lists: list[str]
    except_segments: list[str]
    at: datetime | None
    state: DraftState
    version: int
    second_person: bool
    writers: list[str]
    asked_at: datetime | None
    decided_by: str
    decided_at: datetime | None
    words: str
    bulletin: int | None
    dispatches: list[int]
    created_at: datetime
    changed_at: datetime
    COUNTED: ClassVar[frozenset[str]] = frozenset({"dispatches"})


class DraftsQuery(PageQuery):
    """Which."""

    state: DraftState | None = Field(default=None, description="不写：除已丢弃的以外全部。")


class NewDraft(BulletinWords):
    """A bulletin to write; nobody gets it yet."""

    publication: Text | None = Field(default=None, max_length=40)


class DraftChange(BulletinWords):
    """All of it anew: what is left out is as in a new one."""

    version: int | None = Field(
        default=None,
        ge=1,
        le=HIGHEST_ID,
        description="从哪一版改起；带 If-Match 时可以不写。",
    )


class Approval(Body):
    """Yes, to what was seen."""

    version: int = Field(ge=1, le=HIGHEST_ID, description="看过的那一版。")


class GivenBack(Body):
    """No, and why."""

    words: Text = Field(min_length=1, max_length=300, pattern=r"\S", description="写稿的人会读到。")


async def index(call: Call) -> Page[DraftAnswer]:
    """快讯的草稿，按编号；不写 state 时不含已丢弃的。"""
    query: DraftsQuery = call.query
    statement = select(BulletinDraft).where(col(BulletinDraft.id) > read_cursor(query.cursor))
    if query.state is None:
        statement = statement.where(BulletinDraft.state != DraftState.DISCARDED)
    else:
        statement = statement.where(BulletinDraft.state == query.state)
    statement = statement.order_by(col(BulletinDraft.id)).limit(query.limit + 1)
    shown, following = page_of(list(await call.session.exec(statement)), query.limit, lambda row: row.id)
    return Page(items=[await _answer(call, row) for row in shown], next=following)


async def create(call: Call) -> Created:
    """写一则快讯，存为草稿；还不会发给任何人。"""
    body: NewDraft = call.body
    app = call.request.app
    publication = app[PUBLICATIONS].named(body.publication)
    written = written_of(body, publication)
    await target_of_draft(call.session, written)
    draft = await drafting.begin(call.session, app[CLOCK], publication.key, call.bearer.actor, written)
    call.tell(**drafting.told(draft))
    return Created(await _answer(call, draft), f"/drafts/{draft.id}")


async def show(call: Call) -> DraftAnswer:
    """一则草稿：内容、对象与时间，状态，谁写过，谁批准或退回。"""
    return await _answer(call, await drafting.find(call.session, call.path.id))


async def change(call: Call) -> DraftAnswer:
    """改写一则草稿：以 version 或 If-Match 写明从哪一版改起；送审后再改，送审自动撤回。"""
    body: DraftChange = call.body
    app = call.request.app
    draft = await drafting.find(call.session, call.path.id)
    if body.version is None and "If-Match" not in call.request.headers:
        where = Detail(pointer="#/version", detail="必须写，或带 If-Match")
        raise ApiError(428, "version.required", "没有写明从哪一版改起", hint=CHANGED, errors=[where])
    written = written_of(body, app[PUBLICATIONS].named(draft.publication))
    await target_of_draft(call.session, written)
    before, version = drafting.told(draft), draft.version if body.version is None else body.version
    draft = await drafting.change(
        call.session, app[CLOCK], call.path.id, call.bearer.actor, written, version=version
    )
    call.tell(before=before, after=drafting.told(draft))
    return await _answer(call, draft)


async def ask(call: Call) -> DraftAnswer:
    """送审：请另一个人批准。"""
    return await _answer(call, await drafting.ask(call.session, call.request.app[CLOCK], call.path.id))


async def send(call: Call) -> DraftAnswer:
    """发送不必批准的快讯；最早在 [console] undo_seconds 之后、或到了它的时间才开始，此前可以取消。"""
    return await _send(call, await drafting.find(call.session, call.path.id))


async def approve(call: Call) -> DraftAnswer:
    """批准并发出：写明看的是哪一版。写过它的人不能批准，他们的令牌也不能。"""
    body: Approval = call.body
    draft = await drafting.approve(
        call.session, call.request.app[CLOCK], call.path.id, call.bearer.actor, version=body.version
    )
    return await _send(call, draft)


async def give_back(call: Call) -> DraftAnswer:
    """退回，并写明要改什么。"""
    body: GivenBack = call.body
    draft = await drafting.give_back(
        call.session, call.request.app[CLOCK], call.path.id, call.bearer.actor, body.words
    )
    call.tell(words=draft.words)
    return await _answer(call, draft)


async def discard(call: Call) -> DraftAnswer:
    """丢弃：不再列出，谁也不会收到。"""
    return await _answer(call, await drafting.discard(call.session, call.request.app[CLOCK], call.path.id))


async def _send(call: Call, draft: BulletinDraft) -> DraftAnswer:
    app = call.request.app
    soonest = app[CLOCK]() + timedelta(seconds=app[SETTINGS].console.undo_seconds)
    started = await send_draft(call.session, app[CLOCK], draft, soonest=soonest)
    due_at = started.dispatch.due_at.isoformat()
    call.tell(version=draft.version, dispatch=started.dispatch.id, due_at=due_at)
    return await _answer(call, draft)


async def _answer(call: Call, row: BulletinDraft) -> DraftAnswer:
    sent = await dispatches_of_bulletin(call.session, row.bulletin_id) if row.bulletin_id else []
    return DraftAnswer(
        **row.model_dump(exclude={"whom", "bulletin_id"}),
        lists=row.whom.get("list", []),
        segments=row.whom.get("segment", []),
        except_lists=row.whom.get("except_list", []),
        except_segments=row.whom.get("except_segment", []),
        second_person=drafting.needs_second(row),
        bulletin=row.bulletin_id,
        dispatches=[one.id for one in sent if one.id is not None],
    )


_READ, _WRITE, _APPROVE = Right.BULLETINS_READ, Right.BULLETINS_WRITE, Right.BULLETINS_APPROVE
_ONE = "/drafts/{id}"
_STATE = frozenset({409})


def _step(path: str, right: Right, handle: Function, body: type[Body] | None = None) -> Endpoint:
    """What is done with a draft."""
    return Endpoint(
        "POST",
        f"{_ONE}/{path}",
        right,
        handle,
        DraftAnswer,
        path_model=Numbered,
        body=body,
        faults=_STATE,
        current=show,
    )


ENDPOINTS = (
    Endpoint("GET", "/drafts", _READ, index, Page[DraftAnswer], query=DraftsQuery),
    Endpoint("POST", "/drafts", _WRITE, create, DraftAnswer, 201, body=NewDraft, faults=frozenset({404})),
    Endpoint("GET", _ONE, _READ, show, DraftAnswer, path_model=Numbered),
    Endpoint(
        "PUT",
        _ONE,
        _WRITE,
        change,
        DraftAnswer,
        path_model=Numbered,
        body=DraftChange,
        faults=frozenset({409, 428}),
        current=show,
    ),
    _step("ask", _WRITE, ask),
    _step("send", _WRITE, send),
    _step("approve", _APPROVE, approve, Approval),
    _step("return", _APPROVE, give_back, GivenBack),
    _step("discard", _WRITE, discard),
)
