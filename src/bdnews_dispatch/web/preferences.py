"""A reader's own choices: sections or the whole issue, how often, by which way, counted or not; and undo.

In: the link in a mail. Out: a page; a new subscription row. GET changes nothing; every save can be taken back.
"""

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import FieldError, natural_channel
from bdnews_dispatch.subscribers.models import Cadence, Channel, ChannelChoice, Subscriber, Subscription
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.reader import Reader, reader_of

ORIGIN = "preferences"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form holds."""

    whole_issue: bool
    sections: tuple[str, ...]
    channel: ChannelChoice
    cadence: Cadence
    no_tracking: bool


async def show(request: web.Request) -> web.Response:
    """The form, filled with what is true now."""
    async with request.app[DATABASE].read() as session:
        reader = await reader_of(session, request.app[PUBLICATIONS], request[DELIVERY_KEY])
        current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
        last = await agreements.last_ended(session, reader.subscriber_id, reader.publication.key)
    choices = _choices_of(reader.person, current or last)
    note = next((name for name in ("saved", "same", "undone") if name in request.query), "")
    was = request.query.get("was", "")
    can_undo = note == "saved" and (was in {"0", "1"} or _follows(current, last))
    return _page(
        request, reader, choices, subscribed=current is not None, note=note, was=was if can_undo else "-"
    )


async def save(request: web.Request) -> web.Response:
    """Save, or take the last save back; then the page again, by GET."""
    form = await read_form(request)
    app = request.app
    problem = ""
    async with app[DATABASE].write() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        if "undo" in form:
            await _undo(session, app[CLOCK], reader, str(form.get("was", "")))
            outcome = "undone=1"
        else:
            choices = _choices_in(form, reader.person)
            was = reader.person.no_tracking
            try:
                changed = await _store(session, app[CLOCK], reader, choices)
            except FieldError as error:
                problem = error.code
            outcome = "same=1"
            if not problem:
                if was != choices.no_tracking:
                    outcome = f"saved=1&was={int(was)}"
                elif changed:
                    outcome = "saved=1"
    if problem:
        return _page(request, reader, choices, subscribed=True, note="nothing", was="-", status=422)
    language = f"&lang={request.query['lang']}" if request.query.get("lang") in {"zh", "en"} else ""
    raise web.HTTPSeeOther(f"{request.path}?{outcome}{language}")


def _page(
    request: web.Request,
    reader: Reader,
    choices: Choices,
    *,
    subscribed: bool,
    note: str,
    was: str,
    status: int = 200,
) -> web.Response:
    data: dict[str, Any] = {
        "publication": reader.publication,
        "address": reader.shown_address,
        "choices": choices,
        "ways": [way.value for way in _ways(reader.person)],
        "cadences": [cadence.value for cadence in Cadence],
        "subscribed": subscribed,
        "note": note,
        "was": was,
        "unsubscribe": request.app[LINKS].unsubscribe(reader.delivery.key),
    }
    return request.app[PAGES].response(request, "preferences.html", status=status, **data)


async def _store(session: AsyncSession, clock: Clock, reader: Reader, choices: Choices) -> bool:
    changed = await agreements.agree(
        session,
        clock,
        reader.subscriber_id,
        reader.publication,
        Agreement(choices.whole_issue, choices.sections, choices.channel, choices.cadence),
        Proof(ORIGIN, f"link:{reader.delivery.id}"),
    )
    reader.person.no_tracking = choices.no_tracking
    session.add(reader.person)
    return changed


async def _undo(session: AsyncSession, clock: Clock, reader: Reader, was: str) -> None:
    """As it was before the last save."""
    current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
    before = await agreements.last_ended(session, reader.subscriber_id, reader.publication.key)
    if current is not None and before is not None and _follows(current, before):
        await agreements.agree(
            session,
            clock,
            reader.subscriber_id,
            reader.publication,
            Agreement.of(before),
            Proof("undo", f"link:{reader.delivery.id}"),
        )
    if was in {"0", "1"}:
        reader.person.no_tracking = was == "1"
        session.add(reader.person)


def _follows(current: Subscription | None, before: Subscription | None) -> bool:
    """Whether the current row took the other's place in one change by the reader."""
    return (
        current is not None
        and before is not None
        and before.end_reason == agreements.CHANGED
        and before.ended_at == current.began_at
        and current.origin == ORIGIN
    )


def _choices_of(person: Subscriber, row: Subscription | None) -> Choices:
    return Choices(
        whole_issue=row.whole_issue if row else True,
        sections=tuple(row.sections) if row else (),
        channel=row.channel if row else _natural(person),
        cadence=row.cadence if row else Cadence.ISSUE,
        no_tracking=person.no_tracking,
    )


def _choices_in(form: MultiDictProxy[str], person: Subscriber) -> Choices:
    """What was chosen; a value that the form does not offer counts as not chosen."""
    channel, cadence = str(form.get("channel", "")), str(form.get("cadence", ""))
    return Choices(
        whole_issue="whole_issue" in form,
        sections=tuple(str(key)[:40] for key in form.getall("section", [])),
        channel=next((way for way in _ways(person) if way == channel), _natural(person)),
        cadence=Cadence(cadence) if cadence in set(Cadence) else Cadence.ISSUE,
        no_tracking="no_tracking" in form,
    )


def _ways(person: Subscriber) -> list[ChannelChoice]:
    """Those by which this reader can be reached."""
    there = {Channel.EMAIL: person.email is not None, Channel.WECHAT: person.openid is not None}
    return [way for way in ChannelChoice if all(there[channel] for channel in way.channels)]


def _natural(person: Subscriber) -> ChannelChoice:
    return natural_channel(has_email=person.email is not None, has_openid=person.openid is not None)
