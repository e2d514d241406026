"""`/subscribers`: people, what they agreed to, their tags; their data."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, RootModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.privacy.copying import copy_of
from bdnews_dispatch.privacy.erasing import erase as erase_person
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.adding import Said, add_by_hand
from bdnews_dispatch.subscribers.agreements import Proof, unsubscribe
from bdnews_dispatch.subscribers.attributes import set_attribute
from bdnews_dispatch.subscribers.fields import LONGEST_ADDRESS, LONGEST_NAME, SectionNames
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
)
from bdnews_dispatch.subscribers.profiles import Wanted, find_people, profiles_of
from bdnews_dispatch.subscribers.tags import tag_people, untag_people
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Body, Id, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.keys import CLOCK, LINKS, PUBLICATIONS

_Sections = Annotated[list[Annotated[Text, Field(max_length=40)]], Field(max_length=50)]
_Key = Annotated[Text, Field(max_length=40)]


class AgreementAnswer(Answer):
    """What somebody agrees to now."""

    publication: str
    whole_issue: bool
    sections: list[str]
    channel: ChannelChoice
    cadence: Cadence
    paused_until: datetime | None
    origin: str
    began_at: datetime


class SubscriberAnswer(Answer):
    """A person."""

    id: int
    email: str | None
    openid: str | None
    name: str
    language: str
    no_tracking: bool
    created_at: datetime
    last_opened_at: datetime | None
    erased_at: datetime | None
    agreements: list[AgreementAnswer]
    lists: list[str]
    tags: list[str]
    attributes: dict[str, str]
    suppressed: list[Channel]


class SubscribersQuery(PageQuery):
    """Whom."""

    email: Text = Field(default="", max_length=LONGEST_ADDRESS, description="完整的地址，大小写不限。")
    openid: Text = Field(default="", max_length=64)
    tag: Text = Field(default="", max_length=40)
    list: Text = Field(default="", max_length=100)


class NewSubscriber(Body):
    """A person to add, or to change where they are there already; what is left out stays.

    Who has left, or had everything erased, stays away unless `resubscribe` says that they asked to come back.
    """

    email: Text | None = Field(default=None, max_length=LONGEST_ADDRESS)
    openid: Text | None = Field(default=None, max_length=64)
    name: Text = Field(default="", max_length=LONGEST_NAME)
    publication: _Key | None = Field(default=None, description="刊物的键；不写是默认的。")
    sections: _Sections | None = Field(default=None, description="栏目的键；[] 是整期。")
    channel: ChannelChoice | None = None
    cadence: Cadence | None = None
    resubscribe: bool = False
    evidence: Text = Field(default="", max_length=200, description="何以见得他们同意；与同意一起保留。")


class Unsubscription(Body):
    """Why somebody is unsubscribed."""

    publication: _Key | None = None
    reason: Text = Field(default="", max_length=100)


class Tagged(Asked):
    """A path with a person and a tag."""

    id: Id
    tag: Text = Field(min_length=1, max_length=40)


class Attributed(Asked):
    """A path with a person and an attribute's name."""

    id: Id
    name: Text = Field(min_length=1, max_length=40)


class AttributeValue(Body):
    """What an attribute says; empty: it is taken away."""

    value: Text = Field(max_length=200)


class Everything(RootModel[dict[str, Any]]):
    """All that is kept about a person, by table."""


async def index(call: Call) -> Page[SubscriberAnswer]:
    """订阅者，按编号；可按邮箱、openid、标签、名单筛选。"""
    query: SubscribersQuery = call.query
    wanted = Wanted(email=query.email, openid=query.openid, tag=query.tag, list_name=query.list)
    rows = await find_people(call.session, wanted, after=read_cursor(query.cursor), limit=query.limit + 1)
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    profiles = await profiles_of(call.session, shown)
    return Page(items=[SubscriberAnswer.model_validate(profile) for profile in profiles], next=following)


async def create(call: Call) -> Created:
    """添加一位订阅者，或更改已有的；没有写的不变。已退订的人保持退订。"""
    body: NewSubscriber = call.body
    app = call.request.app
    publication = app[PUBLICATIONS].named(body.publication)
    sections = None
    if body.sections is not None:
        sections = SectionNames(publication).read("|".join(body.sections)).sections if body.sections else []
    said = Said(body.email, body.name, body.openid, sections, body.channel, body.cadence)
    done = await add_by_hand(
        call.session,
        app[CLOCK],
        app[LINKS].signer,
        publication,
        said,
        Proof("api", body.evidence or call.origin),
        resubscribe=body.resubscribe,
    )
    call.tell(status=done.status, publication=publication.key, resubscribe=body.resubscribe)
    return Created(await _one(call.session, done.subscriber_id), f"/subscribers/{done.subscriber_id}")


async def show(call: Call) -> SubscriberAnswer:
    """一位订阅者：现在同意什么，名单、标签、属性，是否停发。"""
    return await _one(call.session, call.path.id)


async def end(call: Call) -> SubscriberAnswer:
    """替一位订阅者退订；此后导入也不会让他回来。"""
    body: Unsubscription = call.body
    app = call.request.app
    await people.find_by_id(call.session, call.path.id)
    key = app[PUBLICATIONS].named(body.publication).key
    reason = " ".join(body.reason.split())
    await unsubscribe(call.session, app[CLOCK], call.path.id, key, reason=reason, origin="api")
    call.tell(publication=key)
    return await _one(call.session, call.path.id)


async def add_tag(call: Call) -> SubscriberAnswer:
    """加上一个标签。"""
    await people.find_by_id(call.session, call.path.id)
    await tag_people(call.session, [call.path.id], call.path.tag)
    call.tell(tag=call.path.tag)
    return await _one(call.session, call.path.id)


async def remove_tag(call: Call) -> SubscriberAnswer:
    """去掉一个标签。"""
    await people.find_by_id(call.session, call.path.id)
    await untag_people(call.session, [call.path.id], call.path.tag)
    call.tell(tag=call.path.tag)
    return await _one(call.session, call.path.id)


async def put_attribute(call: Call) -> SubscriberAnswer:
    """写下一项属性；内容为空则去掉。"""
    body: AttributeValue = call.body
    await people.find_by_id(call.session, call.path.id)
    await set_attribute(call.session, call.path.id, call.path.name, body.value)
    call.tell(attribute=call.path.name)
    return await _one(call.session, call.path.id)


async def copy(call: Call) -> Everything:
    """某人的全部数据（个人信息保护法第四十五条）：每次同意与结束、名单、投递、打开与点击、停发。"""
    return Everything(await copy_of(call.session, call.request.app[CLOCK], call.path.id))


async def erase(call: Call) -> None:
    """删除某人的全部数据，无法恢复（个人信息保护法第四十七条）。"""
    app = call.request.app
    await erase_person(call.session, app[CLOCK], app[LINKS].signer, call.path.id)


async def _one(session: AsyncSession, subscriber_id: int) -> SubscriberAnswer:
    person = await people.find_by_id(session, subscriber_id)
    return SubscriberAnswer.model_validate((await profiles_of(session, [person]))[0])


_READ, _WRITE = Right.SUBSCRIBERS_READ, Right.SUBSCRIBERS_WRITE
_ONE = "/subscribers/{id}"
ENDPOINTS = (
    Endpoint("GET", "/subscribers", _READ, index, Page[SubscriberAnswer], query=SubscribersQuery),
    Endpoint(
        "POST",
        "/subscribers",
        _WRITE,
        create,
        SubscriberAnswer,
        201,
        body=NewSubscriber,
        faults=frozenset({404, 409}),
    ),
    Endpoint("GET", _ONE, _READ, show, SubscriberAnswer, path_model=Numbered),
    Endpoint(
        "POST",
        f"{_ONE}/unsubscribe",
        _WRITE,
        end,
        SubscriberAnswer,
        path_model=Numbered,
        body=Unsubscription,
        faults=frozenset({409}),
    ),
    Endpoint("PUT", f"{_ONE}/tags/{{tag}}", _WRITE, add_tag, SubscriberAnswer, path_model=Tagged),
    Endpoint("DELETE", f"{_ONE}/tags/{{tag}}", _WRITE, remove_tag, SubscriberAnswer, path_model=Tagged),
    Endpoint(
        "PUT",
        f"{_ONE}/attributes/{{name}}",
        _WRITE,
        put_attribute,
        SubscriberAnswer,
        path_model=Attributed,
        body=AttributeValue,
    ),
    Endpoint("GET", f"{_ONE}/copy", _WRITE, copy, Everything, path_model=Numbered, leaves=True),
    Endpoint("DELETE", _ONE, _WRITE, erase, None, 204, path_model=Numbered, current=show),
)
