"""What is to be sent, as a file for calendar programs: iCalendar (RFC 5545, with names of RFC 7986).

In: items of the agenda. Out: bytes, the same for the same items, so that their hash tells whether something changed.
Pure; 0.15 ms an event: off the loop. Callers: web/, by a signed address and by the API. Nothing personal is in it.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from bdnews_dispatch.bulletins.models import DraftState
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.dispatch.words import DISPATCH_STATES
from bdnews_dispatch.scheduling.agenda import Item, Kind
from bdnews_dispatch.subscribers.models import Cadence

#: What is over stays so long, so that a program does not forget at once what was sent.
BEHIND = timedelta(days=31)
AHEAD = timedelta(days=183)
CONTENT_TYPE = "text/calendar"
#: How often a program should ask (RFC 7986 §5.7).
_AGAIN = timedelta(hours=1)
_PRODUCT = "-//bdnews_dispatch//calendar//ZH-CN"
_NAME = "发送日历"
_READERS: Mapping[Cadence, str] = {Cadence.WEEKLY: "每周一封的读者", Cadence.MONTHLY: "每月一封的读者"}
_DRAFT_STATES: Mapping[DraftState, str] = {DraftState.DRAFT: "草稿", DraftState.WAITING: "待批准"}


def write_calendar(
    items: Iterable[Item],
    *,
    base_url: str,
    path_of: Callable[[Item], str],
    publication_name: Callable[[str], str],
) -> bytes:
    """Runs, dispatches and bulletins; when an issue was published is no sending and is left out.

    Args:
        base_url: of the pages; its host stands in the events' names.
        path_of: where the console shows an item.
        publication_name: by its key.
    """
    # Takes 0.2 s: loads where a calendar is asked for.
    from icalendar import Calendar, Event, vDuration  # noqa: PLC0415

    host = urlsplit(base_url).hostname or "localhost"
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("name", _NAME)
    calendar.add("x-wr-calname", _NAME)
    calendar.add("x-wr-timezone", "Asia/Shanghai")
    again = vDuration(_AGAIN)
    again.params["VALUE"] = "DURATION"
    calendar.add("refresh-interval", again)
    calendar.add("x-published-ttl", vDuration(_AGAIN))
    for item in items:
        if item.kind is Kind.ISSUE:
            continue
        event = Event()
        event.add("uid", f"{sha256(item.key.encode()).hexdigest()[:32]}@{host}")
        event.add("dtstamp", item.changed)
        event.add("dtstart", item.at)
        if item.ends is not None and item.ends > item.at:
            event.add("dtend", item.ends)
        event.add("summary", _summary(item, publication_name(item.publication)))
        if item.on_holiday:
            event.add("description", f"当天放假：{item.on_holiday}。要改时间，请打开下面的页面。")
        event.add("url", f"{base_url}{path_of(item)}")
        event.add("status", _status(item))
        # It takes nobody's time.
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _summary(item: Item, publication: str) -> str:
    warning = f"（当天放假：{item.on_holiday}）" if item.on_holiday else ""
    if item.cadence is not None:
        return f"{_READERS[item.cadence]}：《{publication}》{warning}"
    if isinstance(item.state, DraftState):
        return f"快讯{_DRAFT_STATES[item.state]}：{item.title}{warning}"
    state = DISPATCH_STATES[item.state] if item.state is not None else ""
    return f"{item.title or publication}（{state}）{warning}"


def _status(item: Item) -> str:
    if item.state is DispatchState.CANCELLED:
        return "CANCELLED"
    return "TENTATIVE" if item.kind is Kind.DRAFT else "CONFIRMED"
