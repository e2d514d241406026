"""Events that told of rows which are gone. Callers: erasing, retention.

An event is known by a key, and keys hold numbers of rows. SQLite gives the number of a row that is gone to the next
one, whose event would be taken for one that was told before, and dropped: so who deletes such rows frees the keys.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, literal, update
from sqlmodel import col

from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.subscribers.agreements import RESUBSCRIBED_EVENT, UNSUBSCRIBED_EVENT
from bdnews_dispatch.subscribers.requests import ADDRESS_CHANGED_EVENT, MADE_EVENT, SUBSCRIBED_EVENT

_OF_REQUESTS = (MADE_EVENT, SUBSCRIBED_EVENT, ADDRESS_CHANGED_EVENT)
_OF_SUBSCRIPTIONS = (UNSUBSCRIBED_EVENT, RESUBSCRIBED_EVENT)


def told_of(*, requests: Collection[int] = (), subscriptions: Collection[int] = ()) -> list[str]:
    """The keys of the events that name these rows."""
    return [f"{name}:{number}" for name in _OF_REQUESTS for number in requests] + [
        f"{name}:{number}" for name in _OF_SUBSCRIPTIONS for number in subscriptions
    ]


def emptied(which: ColumnElement[bool]) -> Any:
    """A statement that leaves of these events that something happened: no payload, nothing to handle, no key."""
    return (
        update(Event)
        .where(which)
        .values(
            key=literal("gone:", String) + cast(col(Event.id), String),
            payload={},
            handled_at=func.coalesce(col(Event.handled_at), col(Event.created_at)),
        )
    )
