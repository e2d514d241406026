"""What the database knows of the people in a slice: a handful of statements, however many they are.

In: entries. Out: `Known`. Callers: applying. Rows come as the driver gives them; by the ORM a person would cost more
than writing them does.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import fetch_by
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers.erasures import erased_among
from bdnews_dispatch.subscribers.imports.rows import Entry

_PERSON = "SELECT id, email, email_key, openid, name, language FROM subscriber WHERE {column} IN ({{values}})"
_BY_EMAIL = _PERSON.format(column="email_key")
_BY_OPENID = _PERSON.format(column="openid")
_AGREEMENTS = """
SELECT subscriber_id, id, whole_issue, sections, channel, cadence, origin, paused_until, ended_at IS NULL
FROM subscription WHERE publication = {1} AND subscriber_id IN ({values}) ORDER BY id
"""
#: Both channels are named for their index's sake.
_SUPPRESSED = "SELECT target FROM suppression WHERE channel IN ('email', 'wechat') AND target IN ({values})"
_MEMBERSHIPS = """
SELECT subscriber_id, left_at IS NULL, leave_reason
FROM list_membership WHERE list_id = {1} AND subscriber_id IN ({values}) ORDER BY id
"""
_TAGS = "SELECT subscriber_id, tag FROM subscriber_tag WHERE subscriber_id IN ({values})"
_ATTRIBUTES = "SELECT subscriber_id, name, value FROM subscriber_attribute WHERE subscriber_id IN ({values})"


class Person(NamedTuple):
    """A subscriber's row, as far as a file speaks of it."""

    id: int
    email: str | None
    email_key: str | None
    openid: str | None
    name: str
    language: str


class Current(NamedTuple):
    """What a person agrees to. `paused_until` is as the driver has it."""

    id: int
    whole_issue: bool
    sections: tuple[str, ...]
    channel: str
    cadence: str
    origin: str
    paused_until: Any


@dataclass(slots=True)
class Known:
    """What is known of the people in a slice.

    Attributes:
        agreements: of each who ever subscribed, what they agree to now; None: they have left.
        suppressed, erased: addresses (folded) and openids.
        members: who is on the list; `left`: who has left it by their own hand.
    """

    by_email: dict[str, Person] = field(default_factory=dict)
    by_openid: dict[str, Person] = field(default_factory=dict)
    agreements: dict[int, Current | None] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    members: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    tags: dict[int, set[str]] = field(default_factory=dict)
    attributes: dict[int, dict[str, str]] = field(default_factory=dict)

    def persons(self, entry: Entry) -> tuple[Person | None, Person | None]:
        """Whose the address is, and whose the openid."""
        by_email = self.by_email.get(entry.email.key) if entry.email else None
        return by_email, self.by_openid.get(entry.openid) if entry.openid else None


async def look_up(
    session: AsyncSession,
    signer: Signer,
    entries: Sequence[Entry],
    *,
    publication: str,
    list_id: int | None,
) -> Known:
    """Args: list_id: the list that they are to be on; None: none."""
    keys = [entry.email.key for entry in entries if entry.email]
    openids = [entry.openid for entry in entries if entry.openid]
    known = Known()
    for row in await fetch_by(session, _BY_EMAIL, keys):
        known.by_email[row[2]] = Person(*row)
    for row in await fetch_by(session, _BY_OPENID, openids):
        known.by_openid[row[3]] = Person(*row)
    targets = keys + openids
    known.suppressed = {row[0] for row in await fetch_by(session, _SUPPRESSED, targets)}
    known.erased = await erased_among(session, signer, targets)
    ids = {person.id for people in (known.by_email, known.by_openid) for person in people.values()}
    if ids:
        await _look_up_more(session, known, ids, entries, publication, list_id)
    return known


async def _look_up_more(
    session: AsyncSession,
    known: Known,
    ids: Collection[int],
    entries: Iterable[Entry],
    publication: str,
    list_id: int | None,
) -> None:
    for subscriber_id, *row, now in await fetch_by(session, _AGREEMENTS, ids, publication, integers=True):
        known.agreements.setdefault(subscriber_id, None)
        if now:
            row[1], row[2] = bool(row[1]), tuple(_sections(row[2]))
            known.agreements[subscriber_id] = Current(*row)
    if list_id is not None:
        for subscriber_id, now, reason in await fetch_by(session, _MEMBERSHIPS, ids, list_id, integers=True):
            (known.members if now else known.left).add(subscriber_id)
            if not now and reason.partition(":")[0] in {"import", "admin"}:
                known.left.discard(subscriber_id)
    if any(entry.tags for entry in entries):
        for subscriber_id, tag in await fetch_by(session, _TAGS, ids, integers=True):
            known.tags.setdefault(subscriber_id, set()).add(tag)
    if any(entry.attributes for entry in entries):
        for subscriber_id, name, value in await fetch_by(session, _ATTRIBUTES, ids, integers=True):
            known.attributes.setdefault(subscriber_id, {})[name] = value


def _sections(value: Any) -> list[str]:
    found: list[str] = json.loads(value) if isinstance(value, str) else value
    return found or []
