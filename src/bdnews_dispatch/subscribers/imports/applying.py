"""A slice of entries into the database, in the caller's transaction.

In: entries in the order of the file. Out: one outcome for each, in that order. Callers: running; checking, which writes
nothing. Rows about the same person are dealt with one after the other, whatever else lies between: rounds, in each of
which everybody is somebody else.
"""

import itertools
from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import new_ids
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers.imports.deciding import Decider, Outcome, Terms
from bdnews_dispatch.subscribers.imports.known import look_up
from bdnews_dispatch.subscribers.imports.rows import Entry
from bdnews_dispatch.subscribers.imports.writing import write_changes
from bdnews_dispatch.subscribers.models import Subscriber

#: A file that says the same person again and again goes slowly, but never holds the writer's lock for long.
MOST_ROUNDS = 25


def rounds_of(entries: Sequence[Entry]) -> list[int]:
    """For each entry the round in which nobody else is the same person, after those that come before it.

    Returns:
        As many as fit into `MOST_ROUNDS`, at least one; the others are for the next slice.
    """
    latest: dict[str, int] = {}
    found: list[int] = []
    for entry in entries:
        turn = 0
        if not entry.problems:
            email = entry.email.key if entry.email else ""
            if email and email in latest:
                turn = latest[email] + 1
            if entry.openid and entry.openid in latest:
                turn = max(turn, latest[entry.openid] + 1)
            if turn >= MOST_ROUNDS:
                break
            if email:
                latest[email] = turn
            if entry.openid:
                latest[entry.openid] = turn
        found.append(turn)
    return found


async def apply_entries(
    session: AsyncSession, signer: Signer, terms: Terms, entries: Sequence[Entry], *, write: bool = True
) -> list[Outcome]:
    """Deal with the entries.

    Args:
        entries: as many as `rounds_of` takes.
        write: false only decides; who comes twice is then new twice.
    """
    outcomes: dict[int, Outcome] = {}
    turns = rounds_of(entries)
    for turn in range(max(turns, default=-1) + 1):
        waiting = [(place, entries[place]) for place, its in enumerate(turns) if its == turn]
        while waiting:
            waiting = await _round(session, signer, terms, waiting, outcomes, write=write)
    return [outcomes[place] for place in range(len(turns))]


async def _round(
    session: AsyncSession,
    signer: Signer,
    terms: Terms,
    placed: Sequence[tuple[int, Entry]],
    outcomes: dict[int, Outcome],
    *,
    write: bool,
) -> list[tuple[int, Entry]]:
    """Returns: those whose person, by another of their addresses, another entry of the round was about."""
    entries = [entry for _, entry in placed]
    known = await look_up(session, signer, entries, publication=terms.publication, list_id=terms.list_id)
    persons = [known.persons(entry) for entry in entries]
    strangers = sum(
        by_email is None and by_openid is None and not entry.problems
        for entry, (by_email, by_openid) in zip(entries, persons, strict=True)
    )
    ids = iter(await new_ids(session, Subscriber, strangers)) if write else itertools.count(-1, -1)
    decider = Decider(terms, known, ids)
    seen: set[int] = set()
    again: list[tuple[int, Entry]] = []
    for (place, entry), (by_email, by_openid) in zip(placed, persons, strict=True):
        if (by_email or by_openid) and not entry.problems:
            theirs = {person.id for person in (by_email, by_openid) if person is not None}
            if not seen.isdisjoint(theirs):
                again.append((place, entry))
                continue
            seen |= theirs
        outcomes[place] = decider.decide(entry, by_email, by_openid)
    if write:
        await write_changes(session, terms, decider.changes)
    return again
