"""Segments: people by a rule that is built from fields, never from SQL of a user.

In: a rule as JSON: `{"all": [{"field": "tag", "any_of": ["专家"]}, {"field": "domain", "any_of": ["gov.cn"]}]}`.
Out: a checked `Rule`, and its condition over `Subscriber` and their current `Subscription`. Callers: targeting, cli/,
later the console. A segment that a dispatch names is copied into it when it begins, so a change in the middle changes
nobody's mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from sqlalchemy import ColumnElement, Text, and_, cast, delete, exists, false, func, not_, or_, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import BEIJING, Clock, midnight
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.fields import LONGEST_NAME
from bdnews_dispatch.subscribers.models import (
    Cadence,
    ChannelChoice,
    ListMembership,
    MailingList,
    Segment,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
)

#: A rule that a person can still read aloud; more is a mistake, or somebody who wants to keep the database busy.
MOST_CONDITIONS = 50
DEEPEST = 5

#: Without control characters: PostgreSQL takes no NUL in a text.
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Words = Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)]
Days = Annotated[int, Field(ge=1, le=3660)]


class SegmentError(BdnewsError):
    """A rule can't be taken; says where in it, and what would do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnList(_Part):
    """Is on one of these lists."""

    field: Literal["list"]
    any_of: Words

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        return on_a_list(self.any_of)


class Tagged(_Part):
    """Has one of these tags."""

    field: Literal["tag"]
    any_of: Words

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        return exists().where(
            col(SubscriberTag.subscriber_id) == col(Subscriber.id), col(SubscriberTag.tag).in_(self.any_of)
        )


class Reads(_Part):
    """Reads one of these sections; who reads the whole issue reads them all."""

    field: Literal["sections"]
    any_of: Words

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        # A JSON list of keys, which are plain words: looked for with their quotes.
        text = cast(col(Subscription.sections), Text)
        named = [text.contains(f'"{key}"', autoescape=True) for key in self.any_of]
        return or_(col(Subscription.whole_issue), *named)


class AtDomain(_Part):
    """Has an address at one of these domains, or below it."""

    field: Literal["domain"]
    any_of: Words

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        key = col(Subscriber.email_key)
        domains = [domain.strip().lstrip("@").casefold() for domain in self.any_of]
        ends = [key.endswith(f"{mark}{domain}", autoescape=True) for domain in domains for mark in "@."]
        return func.coalesce(or_(*ends), false())


class _Moment(_Part):
    """Days are counted back from now; dates begin at midnight in Beijing."""

    after: date | None = None
    before: date | None = None
    within_days: Days | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "_Moment":
        if not (self.model_fields_set - {"field"}):
            raise ValueError("写 after、before 或 within_days")
        return self

    def _bounds(self, column: Any, now: datetime) -> list[ColumnElement[bool]]:
        bounds: list[ColumnElement[bool]] = []
        if self.after is not None:
            bounds.append(column >= midnight(self.after, BEIJING))
        if self.before is not None:
            bounds.append(column < midnight(self.before, BEIJING))
        if self.within_days is not None:
            bounds.append(column >= now - timedelta(days=self.within_days))
        return bounds


class Joined(_Moment):
    """Came to us then."""

    field: Literal["joined"]

    def condition(self, now: datetime) -> ColumnElement[bool]:
        return and_(*self._bounds(col(Subscriber.created_at), now))


class LastOpened(_Moment):
    """Last opened a mail or card then; `never`: not that we know of."""

    field: Literal["last_opened"]
    never: Literal[True] | None = None
    not_within_days: Days | None = None

    def condition(self, now: datetime) -> ColumnElement[bool]:
        column = col(Subscriber.last_opened_at)
        bounds = [and_(column.is_not(None), bound) for bound in self._bounds(column, now)]
        if self.never:
            bounds.append(column.is_(None))
        if self.not_within_days is not None:
            bounds.append(or_(column.is_(None), column < now - timedelta(days=self.not_within_days)))
        return and_(*bounds)


class ByChannel(_Part):
    """Chose one of these ways."""

    field: Literal["channel"]
    any_of: Annotated[tuple[ChannelChoice, ...], Field(min_length=1)]

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        return col(Subscription.channel).in_(self.any_of)


class ByCadence(_Part):
    """Chose one of these cadences."""

    field: Literal["cadence"]
    any_of: Annotated[tuple[Cadence, ...], Field(min_length=1)]

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        return col(Subscription.cadence).in_(self.any_of)


class ByLanguage(_Part):
    """Reads mails in one of these languages."""

    field: Literal["language"]
    any_of: Annotated[tuple[Literal["zh", "en"], ...], Field(min_length=1)]

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        return col(Subscriber.language).in_(self.any_of)


class ByAttribute(_Part):
    """An attribute is one of these, or is there at all."""

    field: Literal["attribute"]
    name: Annotated[Word, Field(max_length=40)]
    any_of: Words | None = None

    def condition(self, _now: datetime) -> ColumnElement[bool]:
        wanted = [
            col(SubscriberAttribute.subscriber_id) == col(Subscriber.id),
            col(SubscriberAttribute.name) == self.name,
        ]
        if self.any_of is not None:
            wanted.append(col(SubscriberAttribute.value).in_(self.any_of))
        return exists().where(*wanted)


class All(_Part):
    """Every one of these."""

    all: Annotated[tuple["Rule", ...], Field(min_length=1)]

    def condition(self, now: datetime) -> ColumnElement[bool]:
        return and_(*(part.condition(now) for part in self.all))


class AnyOf(_Part):
    """At least one of these."""

    any: Annotated[tuple["Rule", ...], Field(min_length=1)]

    def condition(self, now: datetime) -> ColumnElement[bool]:
        return or_(*(part.condition(now) for part in self.any))


class NoneOf(_Part):
    """None of these."""

    none: Annotated[tuple["Rule", ...], Field(min_length=1)]

    def condition(self, now: datetime) -> ColumnElement[bool]:
        return not_(or_(*(part.condition(now) for part in self.none)))


_FIELDS = (OnList, Tagged, Reads, AtDomain, Joined, LastOpened, ByChannel, ByCadence, ByLanguage, ByAttribute)
#: The fields that a condition may name.
FIELDS = tuple(str(kind.model_fields["field"].annotation.__args__[0]) for kind in _FIELDS)  # type: ignore[union-attr]
_GROUPS = ("all", "any", "none")


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        if "field" in value:
            return str(value["field"])
        return next((group for group in _GROUPS if group in value), None)
    return getattr(value, "field", None) or next((group for group in _GROUPS if hasattr(value, group)), None)


_Group = Annotated[All, Tag("all")] | Annotated[AnyOf, Tag("any")] | Annotated[NoneOf, Tag("none")]
_Condition = (
    Annotated[OnList, Tag("list")]
    | Annotated[Tagged, Tag("tag")]
    | Annotated[Reads, Tag("sections")]
    | Annotated[AtDomain, Tag("domain")]
    | Annotated[Joined, Tag("joined")]
    | Annotated[LastOpened, Tag("last_opened")]
    | Annotated[ByChannel, Tag("channel")]
    | Annotated[ByCadence, Tag("cadence")]
    | Annotated[ByLanguage, Tag("language")]
    | Annotated[ByAttribute, Tag("attribute")]
)
Rule = Annotated[_Group | _Condition, Discriminator(_kind)]
for _group in (All, AnyOf, NoneOf):
    _group.model_rebuild()
_RULE: TypeAdapter[Any] = TypeAdapter(Rule)


def read_rule(data: object, publication: Publication | None = None) -> Any:
    """A rule from its JSON.

    Args:
        publication: whose sections it may name; None: not checked (it was, when it was saved).

    Raises:
        SegmentError: it is none; says where and what would do.
    """
    _measure(data)
    try:
        rule = _RULE.validate_python(data)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or Phrase("规则")
        raise SegmentError(
            Phrase("细分规则的 %(where)s 不对：%(reason)s", where=where, reason=problem["msg"]),
            hint=Phrase(
                "每个条件写 field（%(fields)s）及其取值；组合写 all、any 或 none。", fields=list(FIELDS)
            ),
        ) from None
    if publication is not None:
        known = set(publication.section_keys)
        for part in _parts(rule):
            if isinstance(part, Reads) and (unknown := [key for key in part.any_of if key not in known]):
                raise SegmentError(
                    Phrase("没有键为“%(name)s”的栏目", name=unknown[0]),
                    hint=Phrase("现有：%(keys)s。", keys=list(publication.section_keys)),
                )
    return rule


def _measure(data: object) -> None:
    """Before it is read in earnest: how deep, how many."""
    level, number = [data], 0
    for _ in range(DEEPEST + 1):
        if not level:
            return
        number += len(level)
        if number > MOST_CONDITIONS:
            raise SegmentError(Phrase("细分规则最多 %(most)s 个条件", most=MOST_CONDITIONS))
        level = [
            part
            for one in level
            if isinstance(one, dict)
            for group in _GROUPS
            if isinstance(one.get(group), list | tuple)
            for part in one[group]
        ]
    if level:
        raise SegmentError(Phrase("细分规则最多嵌套 %(most)s 层", most=DEEPEST))


def _parts(rule: Any) -> list[Any]:
    inner = [part for group in _GROUPS for part in getattr(rule, group, ())]
    return [rule, *(each for part in inner for each in _parts(part))]


def on_a_list(names: Sequence[str]) -> ColumnElement[bool]:
    """Asked for each person: a set of all members would be made anew for every slice."""
    return exists().where(
        col(ListMembership.subscriber_id) == col(Subscriber.id),
        col(ListMembership.left_at).is_(None),
        col(MailingList.id) == col(ListMembership.list_id),
        col(MailingList.name).in_(names),
    )


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """A segment and how many fit it now, of those who subscribe to the publication."""

    name: str
    rule: dict[str, Any]
    people: int


async def save_segment(
    session: AsyncSession, clock: Clock, publication: Publication, name: str, rule: object
) -> None:
    """Make a segment, or give the one of that name this rule.

    Raises:
        SegmentError: the name or the rule can't be taken.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise SegmentError(Phrase("细分的名称应为 1–%(most)s 个字", most=LONGEST_NAME))
    data = read_rule(rule, publication).model_dump(mode="json", exclude_none=True)
    found = (await session.execute(select(Segment).where(col(Segment.name) == name))).scalar_one_or_none()
    if found is None:
        found = Segment(name=name, rule=data, created_at=clock(), updated_at=clock())
    found.rule, found.updated_at = data, clock()
    session.add(found)
    await session.flush()


async def find_segments(session: AsyncSession, names: Sequence[str]) -> list[Segment]:
    """The segments of these names, in their order.

    Raises:
        NotFoundError: there is none of that name; names those there are.
    """
    found = {row.name: row for row in (await session.execute(select(Segment))).scalars()}
    for name in names:
        if name not in found:
            there = sorted(found) or Phrase("（无）")
            raise NotFoundError(
                Phrase("没有名为“%(name)s”的细分", name=name),
                hint=Phrase("现有细分：%(there)s。", there=there),
            )
    return [found[name] for name in names]


async def remove_segment(session: AsyncSession, name: str) -> None:
    """Raises: NotFoundError: there is none of that name. Dispatches that named it go on: they have its rule."""
    await find_segments(session, [name])
    await session.execute(delete(Segment).where(col(Segment.name) == name))


async def segment_sizes(session: AsyncSession, clock: Clock, publication: str) -> list[SegmentSize]:
    """Every segment by name, with how many fit it now."""
    return [
        SegmentSize(row.name, row.rule, await count_of(session, clock, publication, row.rule))
        for row in await all_segments(session)
    ]


async def all_segments(session: AsyncSession) -> Sequence[Segment]:
    """By name."""
    return (await session.execute(select(Segment).order_by(col(Segment.name)))).scalars().all()


async def count_of(session: AsyncSession, clock: Clock, publication: str, rule: object) -> int:
    """How many of those who subscribe to the publication fit the rule now."""
    statement = (
        select(func.count())
        .select_from(Subscriber)
        .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
        .where(col(Subscription.ended_at).is_(None), col(Subscription.publication) == publication)
        .where(read_rule(rule).condition(clock()))
    )
    return int((await session.execute(statement)).scalar_one())
