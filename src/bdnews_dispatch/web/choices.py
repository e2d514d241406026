"""What a reader can choose on the preference page: read from the form, stored, shown again, taken back.

In: a form; rows. Out: `Choices`; rows. Caller: preferences.
"""

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from multidict import MultiDictProxy
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import BEIJING, Clock, beijing, midnight
from bdnews_dispatch.dispatch.control import leave_untracked
from bdnews_dispatch.subscribers import agreements, lists
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import FieldError, natural_channel
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    MailingList,
    Subscriber,
    Subscription,
)
from bdnews_dispatch.web.language import LANGUAGES
from bdnews_dispatch.web.reader import Reader

ORIGIN = "preferences"
#: Who wants no mail for longer is better off unsubscribed.
LONGEST_PAUSE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Person:
    """Choices that belong to the person, whatever they read."""

    no_tracking: bool = False
    language: str = "zh"
    lists: frozenset[int] = frozenset()

    def as_text(self) -> str:
        """For a hidden field of the page that can take a change back."""
        return json.dumps([self.no_tracking, self.language, sorted(self.lists)], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Person | None":
        """None: it is not of that form."""
        try:
            no_tracking, language, numbers = json.loads(text[:500])
            found = cls(bool(no_tracking), str(language), frozenset(int(number) for number in numbers))
        except (ValueError, TypeError, RecursionError):
            return None
        return found if found.language in LANGUAGES else None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form holds. `pause`: the first day on which mails come again; None: no pause."""

    whole_issue: bool
    sections: tuple[str, ...]
    channel: ChannelChoice
    cadence: Cadence
    pause: date | None
    person: Person

    def agreement(self) -> Agreement:
        """As an agreement."""
        until = midnight(self.pause, BEIJING) if self.pause is not None else None
        return Agreement(self.whole_issue, self.sections, self.channel, self.cadence, until)


def ways_of(person: Subscriber) -> list[ChannelChoice]:
    """Those by which this reader can be reached."""
    there = {Channel.EMAIL: person.email is not None, Channel.WECHAT: person.openid is not None}
    return [way for way in ChannelChoice if all(there[channel] for channel in way.channels)]


async def offered_lists(session: AsyncSession, reader: Reader) -> tuple[list[MailingList], frozenset[int]]:
    """The public lists and those that the reader is on; the ids of the latter."""
    now_on = {
        found.id: found
        for found, membership in await lists.memberships(session, reader.subscriber_id)
        if membership.left_at is None and found.id is not None
    }
    public = {found.id: found for found in await lists.public_lists(session) if found.id is not None}
    both = sorted((public | now_on).values(), key=lambda found: found.name)
    return both, frozenset(now_on)


def choices_of(reader: Reader, row: Subscription | None, on_lists: frozenset[int], now: datetime) -> Choices:
    """What is true now; what was, for who has left."""
    person = reader.person
    natural = natural_channel(has_email=person.email is not None, has_openid=person.openid is not None)
    agreed = Agreement.of(row) if row else Agreement(channel=natural)
    until = agreed.paused_until
    return Choices(
        whole_issue=agreed.whole_issue,
        sections=tuple(agreed.sections),
        channel=agreed.channel,
        cadence=agreed.cadence,
        pause=beijing(until).date() if until is not None and until > now else None,
        person=Person(person.no_tracking, person.language, on_lists),
    )


def choices_in(
    form: MultiDictProxy[str], person: Subscriber, offered: frozenset[int], now: datetime
) -> Choices:
    """What was chosen; a value that the form does not offer counts as not chosen.

    Raises:
        FieldError: the day can't be taken.
    """
    channel, cadence = str(form.get("channel", "")), str(form.get("cadence", ""))
    natural = natural_channel(has_email=person.email is not None, has_openid=person.openid is not None)
    language = str(form.get("language", person.language))
    chosen = {int(text) for text in form.getall("list", []) if text.isdecimal() and len(text) < 10}
    return Choices(
        whole_issue="whole_issue" in form,
        sections=tuple(str(key)[:40] for key in form.getall("section", [])),
        channel=next((way for way in ways_of(person) if way == channel), natural),
        cadence=Cadence(cadence) if cadence in set(Cadence) else Cadence.ISSUE,
        pause=_day(str(form.get("pause", "")), beijing(now).date()),
        person=Person(
            "no_tracking" in form,
            language if language in LANGUAGES else person.language,
            frozenset(chosen & offered),
        ),
    )


def _day(text: str, today: date) -> date | None:
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise FieldError("pause", "pause.invalid", "暂停的日期应写成 2026-12-31 这样的形式") from None
    if day <= today:
        return None  # the pause is over
    if day > today + LONGEST_PAUSE:
        raise FieldError("pause", "pause.too_long", "最多可以暂停一年")
    return day


async def store(
    session: AsyncSession, clock: Clock, reader: Reader, choices: Choices, *, origin: str
) -> bool:
    """From now on it is so. Returns: whether anything of the agreement changed.

    Raises:
        FieldError: it can't be taken; nothing was written.
    """
    proof = Proof(origin, reader.evidence)
    changed = await agreements.agree(
        session, clock, reader.subscriber_id, reader.publication, choices.agreement(), proof
    )
    await store_person(session, clock, reader, choices.person, origin=origin)
    return changed


async def store_person(
    session: AsyncSession, clock: Clock, reader: Reader, wanted: Person, *, origin: str
) -> None:
    """The choices that belong to the person."""
    if reader.person.no_tracking != wanted.no_tracking:
        await leave_untracked(session, reader.subscriber_id, untracked=wanted.no_tracking)
    reader.person.no_tracking, reader.person.language = wanted.no_tracking, wanted.language
    session.add(reader.person)
    offered, on_lists = await offered_lists(session, reader)
    proof = Proof(origin, reader.evidence)
    for found in offered:
        if found.id is None:
            continue
        if found.id in wanted.lists - on_lists:
            await lists.join_list(session, clock, found.id, [reader.subscriber_id], proof)
        elif found.id in on_lists - wanted.lists:
            await lists.leave_list(session, clock, found.id, [reader.subscriber_id], reason=origin)


def same_agreement(now: Choices, then: Choices) -> bool:
    """Whether only the person's own choices differ."""
    return replace(now, person=then.person) == then
