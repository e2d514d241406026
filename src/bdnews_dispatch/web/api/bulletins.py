"""`/bulletins`: an editor's out-of-cycle notices, written and sent."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.bulletins.drafting import Written, takes_two, told
from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.bulletins.writing import write_bulletin
from bdnews_dispatch.dispatch.drafts import target_of_draft
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import start_bulletin
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.fields import SectionNames
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Body, Moment, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.api.problems import ApiError
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS

_Names = Annotated[list[Annotated[Text, Field(max_length=100)]], Field(max_length=100)]


class BulletinAnswer(Answer):
    """A bulletin. `dispatches`: those that send it."""

    id: int
    publication: str
    title: str
    body: str
    urgent: bool
    ad: bool
    created_at: datetime
    dispatches: list[int]


class BulletinWords(Body):
    """What a bulletin says, to whom and when."""

    title: Text = Field(min_length=1, max_length=200, pattern=r"\S")
    body: Text = Field(min_length=1, max_length=50_000, pattern=r"\S", description="Markdown 正文。")
    sections: list[Annotated[Text, Field(max_length=40)]] = Field(
        default_factory=list,
        max_length=50,
        description="栏目的键或名称：发给订了其中任一个的人；[] 是所有人。",
    )
    lists: _Names = Field(default_factory=list)
    segments: _Names = Field(default_factory=list)
    except_lists: _Names = Field(default_factory=list)
    except_segments: _Names = Field(default_factory=list)
    at: Moment | None = Field(default=None, description="何时；不写是现在。")
    urgent: bool = Field(default=False, description="先于其他一切发出。")
    ad: bool = Field(default=False, description="商业性的：主题前会加“广告”。")


class NewBulletin(BulletinWords):
    """A bulletin to send; the same one, to the same people at the same time, is sent once."""

    publication: Text | None = Field(default=None, max_length=40)


async def index(call: Call) -> Page[BulletinAnswer]:
    """快讯，按编号。"""
    query: PageQuery = call.query
    statement = (
        select(Bulletin)
        .where(col(Bulletin.id) > read_cursor(query.cursor))
        .order_by(col(Bulletin.id))
        .limit(query.limit + 1)
    )
    rows = list((await call.session.exec(statement)).all())
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    return Page(items=[await _answer(call, row) for row in shown], next=following)


async def show(call: Call) -> BulletinAnswer:
    """一则快讯。"""
    found = await call.session.get(Bulletin, call.path.id)
    if found is None:
        raise NotFoundError(f"没有编号为 {call.path.id} 的快讯")
    return await _answer(call, found)


async def send(call: Call) -> Created:
    """写好并发出一则快讯。同样的内容、对象与时间重复执行，只会发一次。紧急的与发给所有人的要 bulletins.approve。"""
    body: NewBulletin = call.body
    clock = call.request.app[CLOCK]
    publication = call.request.app[PUBLICATIONS].named(body.publication)
    written = written_of(body, publication)
    whom = await target_of_draft(call.session, written)
    two = takes_two(urgent=body.urgent, sections=written.sections, lists=body.lists, segments=body.segments)
    # A token and whose it is are one person; the machine's own, where it may approve, is trusted as two.
    if two and (call.bearer.user_id is not None or Right.BULLETINS_APPROVE not in call.bearer.scope):
        raise ApiError(
            403,
            "second_person",
            "紧急的、或发给全部订阅者的快讯，要由另一个人批准；这个令牌不能批准",
            hint="请在控制台的“快讯”里写好送审；或在命令行建一个带 bulletins.approve 的令牌。",
        )
    bulletin = await write_bulletin(
        call.session,
        clock,
        publication=publication.key,
        title=body.title,
        body=body.body,
        urgent=body.urgent,
        ad=body.ad,
        audience=f"{sorted(written.sections)}{whom.name}{written.at.isoformat() if written.at else ''}",
    )
    started = await start_bulletin(
        call.session, clock, bulletin, sections=written.sections, target=whom, at=written.at
    )
    call.tell(**(told(written) if started.fresh else {}), dispatch=started.dispatch.id)
    return Created(await _answer(call, bulletin), f"/bulletins/{bulletin.id}")


def written_of(body: BulletinWords, publication: Publication) -> Written:
    """As it is kept. Raises: FieldError: a section is none of the publication's."""
    keys = SectionNames(publication).read("|".join(body.sections)).sections if body.sections else ()
    if set(keys).issuperset(publication.section_keys):
        keys = ()  # all of them narrow nothing down
    return Written(
        title=body.title,
        body=body.body,
        urgent=body.urgent,
        ad=body.ad,
        sections=list(keys),
        whom={
            "list": body.lists,
            "segment": body.segments,
            "except_list": body.except_lists,
            "except_segment": body.except_segments,
        },
        at=body.at.astimezone(UTC) if body.at else None,
    )


async def _answer(call: Call, bulletin: Bulletin) -> BulletinAnswer:
    dispatches = await call.session.exec(
        select(Dispatch.id).where(Dispatch.bulletin_id == bulletin.id).order_by(col(Dispatch.id))
    )
    ids = [id_ for id_ in dispatches if id_ is not None]
    return BulletinAnswer(**bulletin.model_dump(exclude={"fingerprint"}), dispatches=ids)


_READ, _WRITE = Right.BULLETINS_READ, Right.BULLETINS_WRITE
ENDPOINTS = (
    Endpoint("GET", "/bulletins", _READ, index, Page[BulletinAnswer], query=PageQuery),
    Endpoint(
        "POST",
        "/bulletins",
        _WRITE,
        send,
        BulletinAnswer,
        201,
        body=NewBulletin,
        faults=frozenset({404, 409}),
    ),
    Endpoint("GET", "/bulletins/{id}", _READ, show, BulletinAnswer, path_model=Numbered),
)
