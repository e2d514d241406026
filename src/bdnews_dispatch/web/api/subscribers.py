"""`/subscribers`: people, what they agreed to, their tags; their data."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, RootModel
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.privacy.copying import copy_of
from bdnews_dispatch.privacy.erasing import erase as erase_person
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.adding import Said, add_by_hand
from bdnews_dispatch.subscribers.agreements import Proof, unsubscribe
from bdnews_dispatch.subscribers.fields import LONGEST_ADDRESS, LONGEST_NAME, SectionNames, address_key
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    ListMembership,
    MailingList,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)
from bdnews_dispatch.subscribers.tags import tag_people, untag_people
from bdnews_dispatch.web.api.calls import (
    Answer,
    Body,
    Call,
    Created,
    Endpoint,
    Id,
    Numbered,
    Page,
    PageQuery,
    Text,
    page_of,
    read_cursor,
)
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

    email: Text = Field(default="", max_length=LONGEST_ADDRESS, description="Whole, in any case.")
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
    publication: _Key | None = Field(default=None, description="Its key; left out: the default one.")
    sections: _Sections | None = Field(default=None, description="Keys; [] is the whole issue.")
    channel: ChannelChoice | None = None
    cadence: Cadence | None = None
    resubscribe: bool = False
    evidence: Text = Field(
        default="", max_length=200, description="What shows that they agreed; kept with the agreement."
    )


class Unsubscription(Body):
    """Why somebody is unsubscribed."""

    publication: _Key | None = None
    reason: Text = Field(default="", max_length=100)


class Tagged(Body):
    """A path with a person and a tag."""

    id: Id
    tag: Text = Field(min_length=1, max_length=40)


class Everything(RootModel[dict[str, Any]]):
    """All that is kept about a person, by table."""


async def index(call: Call) -> Page[SubscriberAnswer]:
    """订阅者，按编号；可按邮箱、openid、标签、名单筛选。"""
    query: SubscribersQuery = call.query
    statement = select(Subscriber).where(col(Subscriber.id) > read_cursor(query.cursor))
    if query.email:
        statement = statement.where(Subscriber.email_key == address_key(query.email))
    if query.openid:
        statement = statement.where(Subscriber.openid == query.openid)
    if query.tag:
        tagged = select(SubscriberTag.subscriber_id).where(SubscriberTag.tag == query.tag)
        statement = statement.where(col(Subscriber.id).in_(tagged))
    if query.list:
        on_it = (
            select(ListMembership.subscriber_id)
            .join(MailingList, col(MailingList.id) == col(ListMembership.list_id))
            .where(MailingList.name == query.list, col(ListMembership.left_at).is_(None))
        )
        statement = statement.where(col(Subscriber.id).in_(on_it))
    rows = list(
        (await call.session.exec(statement.order_by(col(Subscriber.id)).limit(query.limit + 1))).all()
    )
    shown, following = page_of(rows, query.limit, lambda row: row.id)
    return Page(items=await _described(call.session, shown), next=following)


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
    return Created(await _one(call.session, done.subscriber_id), f"/subscribers/{done.subscriber_id}")


async def show(call: Call) -> SubscriberAnswer:
    """一位订阅者：现在同意什么，名单、标签、属性，是否停发。"""
    return await _one(call.session, call.path.id)


async def end(call: Call) -> SubscriberAnswer:
    """替一位订阅者退订；此后导入也不会让他回来。"""
    body: Unsubscription = call.body
    app = call.request.app
    await people.find_by_id(call.session, call.path.id)
    await unsubscribe(
        call.session,
        app[CLOCK],
        call.path.id,
        app[PUBLICATIONS].named(body.publication).key,
        reason=" ".join(body.reason.split()),
        origin="api",
    )
    return await _one(call.session, call.path.id)


async def add_tag(call: Call) -> SubscriberAnswer:
    """加上一个标签。"""
    await people.find_by_id(call.session, call.path.id)
    await tag_people(call.session, [call.path.id], call.path.tag)
    return await _one(call.session, call.path.id)


async def remove_tag(call: Call) -> SubscriberAnswer:
    """去掉一个标签。"""
    await people.find_by_id(call.session, call.path.id)
    await untag_people(call.session, [call.path.id], call.path.tag)
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
    return (await _described(session, [person]))[0]


async def _described(session: AsyncSession, persons: Sequence[Subscriber]) -> list[SubscriberAnswer]:
    """Everything of a page, in a few statements."""
    ids = [person.id for person in persons if person.id is not None]
    agreements: dict[int, list[AgreementAnswer]] = defaultdict(list)
    current = (
        select(Subscription)
        .where(col(Subscription.subscriber_id).in_(ids), col(Subscription.ended_at).is_(None))
        .order_by(col(Subscription.id))
    )
    for row in (await session.exec(current)).all():
        agreements[row.subscriber_id].append(AgreementAnswer.model_validate(row, extra="ignore"))
    lists: dict[int, list[str]] = defaultdict(list)
    on_lists = (
        select(ListMembership.subscriber_id, MailingList.name)
        .join(MailingList, col(MailingList.id) == col(ListMembership.list_id))
        .where(col(ListMembership.subscriber_id).in_(ids), col(ListMembership.left_at).is_(None))
        .order_by(col(MailingList.name))
    )
    for subscriber_id, name in (await session.exec(on_lists)).all():
        lists[subscriber_id].append(name)
    tags: dict[int, list[str]] = defaultdict(list)
    tagged = (
        select(SubscriberTag)
        .where(col(SubscriberTag.subscriber_id).in_(ids))
        .order_by(col(SubscriberTag.tag))
    )
    for tag in (await session.exec(tagged)).all():
        tags[tag.subscriber_id].append(tag.tag)
    attributes: dict[int, dict[str, str]] = defaultdict(dict)
    known = (
        select(SubscriberAttribute)
        .where(col(SubscriberAttribute.subscriber_id).in_(ids))
        .order_by(col(SubscriberAttribute.name))
    )
    for attribute in (await session.exec(known)).all():
        attributes[attribute.subscriber_id][attribute.name] = attribute.value
    targets = [target for person in persons for target in (person.email_key, person.openid) if target]
    stopped = select(Suppression.channel, Suppression.target).where(col(Suppression.target).in_(targets))
    suppressed = set((await session.exec(stopped)).all()) if targets else set()
    return [
        SubscriberAnswer(
            id=person.id,
            email=person.email,
            openid=person.openid,
            name=person.name,
            language=person.language,
            no_tracking=person.no_tracking,
            created_at=person.created_at,
            last_opened_at=person.last_opened_at,
            erased_at=person.erased_at,
            agreements=agreements[person.id],
            lists=lists[person.id],
            tags=tags[person.id],
            attributes=attributes[person.id],
            suppressed=[
                channel
                for channel, target in ((Channel.EMAIL, person.email_key), (Channel.WECHAT, person.openid))
                if (channel, target) in suppressed
            ],
        )
        for person in persons
        if person.id is not None
    ]


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
    Endpoint("GET", f"{_ONE}/copy", _READ, copy, Everything, path_model=Numbered),
    Endpoint("DELETE", _ONE, _WRITE, erase, None, 204, path_model=Numbered, current=show),
)
