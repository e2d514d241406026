"""A reader's own choices: what to read, how often, by which way and in which language, a pause, lists, being counted.

In: the link in a mail. Out: a page; new rows. GET changes nothing; every save can be taken back.
"""

from datetime import timedelta
from typing import Any

from aiohttp import web

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import FieldError
from bdnews_dispatch.subscribers.models import Cadence, MailingList, Subscription
from bdnews_dispatch.web import choices as choosing
from bdnews_dispatch.web.choices import ORIGIN, Choices, Person
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import ACCOUNT, CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.language import suffix_of
from bdnews_dispatch.web.reader import Reader, reader_of

#: What the page can say after something was done; see preferences.html.
_NOTES = ("saved", "same", "undone", "asked", "often", "chosen")


async def show(request: web.Request) -> web.Response:
    """The form, filled with what is true now."""
    async with request.app[DATABASE].read() as session:
        reader = await reader_of(session, request.app[PUBLICATIONS], request[DELIVERY_KEY])
        current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
        last = await agreements.last_ended(session, reader.subscriber_id, reader.publication.key)
        offered, on_lists = await choosing.offered_lists(session, reader)
    choices = choosing.choices_of(reader, current or last, on_lists, request.app[CLOCK]())
    note = next((name for name in _NOTES if name in request.query), "")
    was = request.query.get("was", "")
    can_undo = note == "saved" and (Person.from_text(was) is not None or _follows(current, last))
    return _page(
        request,
        reader,
        choices,
        offered,
        subscribed=current is not None,
        note=note,
        was=was if can_undo else None,
    )


async def save(request: web.Request) -> web.Response:
    """Save, or take the last save back; then the page again, by GET."""
    form = await read_form(request)
    app = request.app
    problem: FieldError | None = None
    async with app[DATABASE].write() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
        offered, on_lists = await choosing.offered_lists(session, reader)
        was = Person(reader.person.no_tracking, reader.person.language, on_lists)
        if "undo" in form:
            await _undo(session, app[CLOCK], reader, str(form.get("was", "")))
            outcome = {"undone": "1"}
        else:
            current = await agreements.current(session, reader.subscriber_id, reader.publication.key)
            choices = choosing.choices_of(reader, current, on_lists, app[CLOCK]())
            try:
                ids = frozenset(found.id for found in offered if found.id is not None)
                choices = choosing.choices_in(form, reader.person, ids, app[CLOCK]())
                changed = await choosing.store(session, app[CLOCK], reader, choices, origin=ORIGIN)
            except FieldError as error:
                problem, changed = error, False
            outcome = {"same": "1"}
            if changed:
                outcome = {"saved": "1"}
            if problem is None and was != choices.person:
                outcome = {"saved": "1", "was": was.as_text()}
    if problem is not None:
        note = "nothing" if problem.code.startswith("sections") else problem.code
        return _page(request, reader, choices, offered, subscribed=True, note=note, was=None, status=422)
    if suffix_of(request):
        outcome["lang"] = "en"
    raise web.HTTPSeeOther(request.rel_url.with_query(outcome))


def _page(
    request: web.Request,
    reader: Reader,
    choices: Choices,
    offered: list[MailingList],
    *,
    subscribed: bool,
    note: str,
    was: str | None,
    status: int = 200,
) -> web.Response:
    today = beijing(request.app[CLOCK]()).date()
    data: dict[str, Any] = {
        "publication": reader.publication,
        "address": reader.shown_address,
        "choices": choices,
        "ways": [way.value for way in choosing.ways_of(reader.person)],
        "cadences": [cadence.value for cadence in Cadence],
        "lists": offered,
        "first_day": (today + timedelta(days=1)).isoformat(),
        "last_day": (today + choosing.LONGEST_PAUSE).isoformat(),
        "subscribed": subscribed,
        "note": note,
        "was": was,
        "wechat": _wechat(request, reader),
        "unsubscribe": request.app[LINKS].unsubscribe(reader.key),
        "token_path": request.app[LINKS].preferences(reader.key).removeprefix(request.app[LINKS].base_url),
    }
    return request.app[PAGES].response(request, "preferences.html", status=status, **data)


def _wechat(request: web.Request, reader: Reader) -> str:
    """What the page offers about WeChat: `bind`, `unbind` or nothing."""
    if reader.person.openid is not None:
        return "unbind" if reader.person.email is not None else ""
    return "bind" if request.app[ACCOUNT] is not None else ""


async def _undo(session: Any, clock: Any, reader: Reader, was: str) -> None:
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
            Proof("undo", reader.evidence),
        )
    if (person := Person.from_text(was)) is not None:
        await choosing.store_person(session, clock, reader, person, origin="undo")


def _follows(current: Subscription | None, before: Subscription | None) -> bool:
    """Whether the current row took the other's place in one change by the reader."""
    return (
        current is not None
        and before is not None
        and before.end_reason == agreements.CHANGED
        and before.ended_at == current.began_at
        and current.origin == ORIGIN
    )
