"""`/lists`: named sets of subscribers, and who is on them."""

from typing import Annotated, ClassVar

from pydantic import Field

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.subscribers import lists as rooms
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Body, Id, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_name_cursor
from bdnews_dispatch.web.keys import CLOCK

_Name = Annotated[Text, Field(min_length=1, max_length=100, pattern=r"^[^/]*\S[^/]*$")]


class ListAnswer(Answer):
    """A list. `members`: how many are on it now."""

    name: str
    description: str
    public: bool
    members: int
    COUNTED: ClassVar[frozenset[str]] = frozenset({"members"})


class NewList(Body):
    """A list to make. A public one is offered on the pages."""

    name: _Name
    description: Text = Field(default="", max_length=200)
    public: bool = False


class ListChange(Body):
    """What is left out stays."""

    description: Text | None = Field(default=None, max_length=200)
    public: bool | None = None


class Named(Asked):
    """A path with a list's name."""

    name: Text = Field(min_length=1, max_length=100)


class Member(Named):
    """A path with a list and a person."""

    id: Id


async def index(call: Call) -> Page[ListAnswer]:
    """名单，按名称。"""
    query: PageQuery = call.query
    after = read_name_cursor(query.cursor)
    sizes = sorted(await rooms.list_sizes(call.session), key=lambda size: size.name)
    left = [size for size in sizes if size.name > after][: query.limit + 1]
    shown, following = page_of(left, query.limit, lambda size: size.name)
    return Page(items=[_answer(size) for size in shown], next=following)


async def create(call: Call) -> Created:
    """新建名单；已有同名的，改其说明。"""
    body: NewList = call.body
    name = " ".join(body.name.split())
    await rooms.find_or_make_list(call.session, call.request.app[CLOCK], name)
    await rooms.describe_list(call.session, name, description=body.description, public=body.public)
    call.tell(public=body.public)
    return Created(await _one(call, name), f"/lists/{name}")


async def show(call: Call) -> ListAnswer:
    """一个名单。"""
    return await _one(call, call.path.name)


async def change(call: Call) -> ListAnswer:
    """更改名单的说明或是否公开。"""
    body: ListChange = call.body
    await rooms.describe_list(call.session, call.path.name, description=body.description, public=body.public)
    call.tell(public=body.public)
    return await _one(call, call.path.name)


async def join(call: Call) -> ListAnswer:
    """把一位订阅者加入名单；已在其中的不变。"""
    found = await rooms.find_list(call.session, call.path.name)
    await people.find_by_id(call.session, call.path.id)
    await rooms.join_list(
        call.session, call.request.app[CLOCK], found.id or 0, [call.path.id], Proof("api", call.origin)
    )
    call.tell(subscriber=call.path.id)
    return await _one(call, call.path.name)


async def leave(call: Call) -> ListAnswer:
    """把一位订阅者移出名单；曾在其中的记录保留。"""
    found = await rooms.find_list(call.session, call.path.name)
    await people.find_by_id(call.session, call.path.id)
    await rooms.leave_list(call.session, call.request.app[CLOCK], found.id or 0, [call.path.id], reason="api")
    call.tell(subscriber=call.path.id)
    return await _one(call, call.path.name)


async def _one(call: Call, name: str) -> ListAnswer:
    await rooms.find_list(call.session, name)
    return next(_answer(size) for size in await rooms.list_sizes(call.session) if size.name == name)


def _answer(size: rooms.ListSize) -> ListAnswer:
    return ListAnswer.model_validate(size)


_READ, _WRITE = Right.SUBSCRIBERS_READ, Right.SUBSCRIBERS_WRITE
_ONE = "/lists/{name}"
ENDPOINTS = (
    Endpoint("GET", "/lists", _READ, index, Page[ListAnswer], query=PageQuery),
    Endpoint("POST", "/lists", _WRITE, create, ListAnswer, 201, body=NewList),
    Endpoint("GET", _ONE, _READ, show, ListAnswer, path_model=Named),
    Endpoint("PATCH", _ONE, _WRITE, change, ListAnswer, path_model=Named, body=ListChange, current=show),
    Endpoint("PUT", f"{_ONE}/members/{{id}}", _WRITE, join, ListAnswer, path_model=Member),
    Endpoint("DELETE", f"{_ONE}/members/{{id}}", _WRITE, leave, ListAnswer, path_model=Member),
)
