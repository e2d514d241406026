"""What a dispatch would do before it does: how many people each rule takes away, and what is left for each channel.

In: a target; the planner's own rows, counted. Out: `Forecast`. Caller: planning, for cli/ and later the console.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.card_forecast import CardForecast
from bdnews_dispatch.subscribers.models import Channel, Subscriber, Subscription
from bdnews_dispatch.subscribers.targeting import Target


@dataclass(frozen=True, slots=True)
class Rules:
    """People, by the rules of the target.

    Attributes:
        subscribed: to the publication.
        not_named: those that no list and no segment names; 0 where it is for everybody.
        excluded: by each rule that leaves people out, how many of those named; somebody may be in two.
        left: after all of them.
    """

    subscribed: int
    not_named: int
    excluded: dict[str, int]
    left: int


@dataclass(slots=True)
class Forecast:
    """What planning would write.

    Attributes:
        planned: messages by channel.
        left_out: by reason, those of `rules.left` that get none by a channel.
        cards: of those by WeChat, the modes.
    """

    rules: Rules
    planned: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    cards: CardForecast = field(default_factory=CardForecast)

    def count(self, channel: Channel, reason: str, number: int = 1) -> None:
        """A row of planning, so many times."""
        if reason:
            self.left_out[reason] += number
        else:
            self.planned[channel.value] += number

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "subscribed": self.rules.subscribed,
            "not_named": self.rules.not_named,
            "excluded": self.rules.excluded,
            "left": self.rules.left,
            "planned": dict(self.planned),
            "left_out": dict(self.left_out),
            "wechat": self.cards.as_json(),
        }


async def rules_of(session: AsyncSession, publication: str, target: Target, now: datetime) -> Rules:
    """How many people each rule of the target takes away."""

    async def number(*which: ColumnElement[bool]) -> int:
        statement = (
            select(func.count())
            .select_from(Subscription)
            .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
            .where(Subscription.publication == publication, col(Subscription.ended_at).is_(None), *which)
        )
        return int((await session.exec(statement)).one())

    subscribed, included = await number(), target.included(now)
    named = await number(included) if target.lists or target.segments else subscribed
    excluded = {name: await number(included, condition) for name, condition in target.excluding(now)}
    left = await number(target.condition(now)) if excluded else named
    return Rules(subscribed, subscribed - named, excluded, left)
