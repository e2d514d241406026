"""`/segments`: people by a rule."""

from typing import Any, ClassVar

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.subscribers import segments as rooms
from bdnews_dispatch.subscribers.models import Segment
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Body, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_name_cursor
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS


class SegmentAnswer(Answer):
    """A segment. `people`: how many fit it now, of those who subscribe to the publication."""

    name: str
    rule: dict[str, Any]
    people: int
    COUNTED: ClassVar[frozenset[str]] = frozenset({"people"})


class SegmentQuery(Asked):
    """Whose readers are counted."""

    publication: Text | None = Field(default=None, max_length=40)


class SegmentsQuery(PageQuery):
    """Which, and whose readers are counted."""

    publication: Text | None = Field(default=None, max_length=40)


class SegmentRule(Body):
    """A rule: a condition, or `all`, `any`, `none` of several; see the guide for its fields."""

    rule: dict[str, Any]
    publication: Text | None = Field(default=None, max_length=40)


class Named(Asked):
    """A path with a segment's name."""

    name: Text = Field(min_length=1, max_length=100, pattern=r"\S")


async def index(call: Call) -> Page[SegmentAnswer]:
    """细分，按名称，及其现在的人数。"""
    query: SegmentsQuery = call.query
    publication = call.request.app[PUBLICATIONS].named(query.publication).key
    after = read_name_cursor(query.cursor)
    names = (
        select(Segment).where(col(Segment.name) > after).order_by(col(Segment.name)).limit(query.limit + 1)
    )
    shown, following = page_of(list(await call.session.exec(names)), query.limit, lambda one: one.name)
    items = [await _answer(call, one.name, one.rule, publication) for one in shown]
    return Page(items=items, next=following)


async def show(call: Call) -> SegmentAnswer:
    """一个细分。"""
    (found,) = await rooms.find_segments(call.session, [call.path.name])
    return await _answer(call, found.name, found.rule, _publication(call, call.query))


async def save(call: Call) -> SegmentAnswer:
    """新建细分，或换掉已有的规则。"""
    body: SegmentRule = call.body
    app = call.request.app
    publication = app[PUBLICATIONS].named(body.publication)
    await rooms.save_segment(call.session, app[CLOCK], publication, call.path.name, body.rule)
    (found,) = await rooms.find_segments(call.session, [call.path.name.strip()])
    call.tell(rule=found.rule)
    return await _answer(call, found.name, found.rule, publication.key)


async def remove(call: Call) -> None:
    """删除细分；已用到它的发送任务不受影响。"""
    await rooms.remove_segment(call.session, call.path.name)


async def count(call: Call) -> SegmentAnswer:
    """一条规则现在有多少人符合；不保存。"""
    body: SegmentRule = call.body
    publication = call.request.app[PUBLICATIONS].named(body.publication)
    rule = rooms.read_rule(body.rule, publication).model_dump(mode="json", exclude_none=True)
    return await _answer(call, "", rule, publication.key)


async def _answer(call: Call, name: str, rule: dict[str, Any], publication: str) -> SegmentAnswer:
    people = await rooms.count_of(call.session, call.request.app[CLOCK], publication, rule)
    return SegmentAnswer(name=name, rule=rule, people=people)


def _publication(call: Call, query: SegmentQuery | None) -> str:
    return call.request.app[PUBLICATIONS].named(query.publication if query else None).key


_READ, _WRITE = Right.SUBSCRIBERS_READ, Right.SUBSCRIBERS_WRITE
_ONE = "/segments/{name}"
ENDPOINTS = (
    Endpoint(
        "GET",
        "/segments",
        _READ,
        index,
        Page[SegmentAnswer],
        query=SegmentsQuery,
        faults=frozenset({404}),
    ),
    Endpoint(
        "POST", "/segment-counts", _READ, count, SegmentAnswer, body=SegmentRule, faults=frozenset({404})
    ),
    Endpoint("GET", _ONE, _READ, show, SegmentAnswer, path_model=Named, query=SegmentQuery),
    Endpoint("PUT", _ONE, _WRITE, save, SegmentAnswer, path_model=Named, body=SegmentRule, current=show),
    Endpoint("DELETE", _ONE, _WRITE, remove, None, 204, path_model=Named, current=show),
)
