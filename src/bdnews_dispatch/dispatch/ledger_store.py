"""What the ledger keeps its rows in: one protocol, spoken by ledger_sqlite.py and ledger_postgres.py.

In: claims, and groups of gates and results. Out: rows of `delivery`, `attempt`, `suppression`; which gates opened. What
follows from an outcome is decided in ledger.py; here it is only written. One conformance suite runs on both.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol, Self

from bdnews_dispatch.channels.outcome import Outcome
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.official_account.takings import Taking
from bdnews_dispatch.subscribers.audience import Person
from bdnews_dispatch.subscribers.models import Channel

#: The platform knows a client_msg_id for ten minutes; ours and its clock may differ, and the call takes its time.
SAME_KEY_HOLDS = timedelta(minutes=9)


class Claim(NamedTuple):
    """A delivery that this worker holds until its lease ends."""

    delivery_id: int
    epoch: int
    dispatch_id: int
    subscriber_id: int
    channel: Channel
    key: str
    sections: tuple[str, ...]
    attempts: int
    first_tried_at: datetime | None


class Settled(NamedTuple):
    """A try that was not an acceptance, and the row that follows from it.

    Attributes:
        due_at: None leaves it as it is.
        mode: that the row keeps: of what counts as sent, and of a call that must be made again just so.
    """

    claim: Claim
    outcome: Outcome
    state: DeliveryState
    reason: str
    due_at: datetime | None
    mode: str = ""


class GivenBack(NamedTuple):
    """A claim that ends without a try. `due_at`: when it may be claimed again.

    Where the dispatch is cancelled by then, or the reader has left, the delivery is over, with that as its reason.

    Attributes:
        mode: of a call that must be made again just so; before its gate a delivery keeps the one it has.
    """

    claim: Claim
    reason: str
    due_at: datetime
    mode: str = ""


class CardGate(NamedTuple):
    """What a card needs at the gate beside its claim: its mode, and what that uses up."""

    mode: str
    taking: Taking | None


class PassedOn(NamedTuple):
    """A card that no mode takes, with the reasons: a mail takes its place where the reader wants one and can get it.

    Attributes:
        key: of the mail's delivery, if there will be one.
    """

    claim: Claim
    outcome: Outcome
    key: str


class Skipped(NamedTuple):
    """A claim that ends without a try, for good."""

    claim: Claim
    reason: str


class Suppressed(NamedTuple):
    """An address (folded) or openid that must not be written to any more."""

    channel: Channel
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """What is written by one commit; each part ordered by the delivery's id, so that two groups never wait for each
    other.

    Attributes:
        moment: of all of it.
        gates: claims that want to make the last step.
        accepted: claims with the acceptance.
        cards: by delivery, for the gates that are a card's. What it needs is taken in the same transaction; where there
            is none left, the gate stays closed.
        freed: by delivery: what had been taken for it, and is given back with what is written of it.
    """

    moment: datetime
    gates: Sequence[Claim] = ()
    accepted: Sequence[tuple[Claim, Outcome]] = ()
    settled: Sequence[Settled] = ()
    given_back: Sequence[GivenBack] = ()
    skipped: Sequence[Skipped] = ()
    suppressed: Sequence[Suppressed] = ()
    passed_on: Sequence[PassedOn] = ()
    cards: Mapping[int, CardGate] = field(default_factory=dict)
    freed: Mapping[int, Taking] = field(default_factory=dict)


class LedgerStore(Protocol):
    """One worker's way to the rows. Used as `async with`.

    Every method raises `StorageError` where the database can't be written. Then a claim, a gate, a recovery did not
    happen for the caller: what may have been committed all the same is found by the lease. A group may be written
    again: nothing in it counts twice.

    Attributes:
        worker: whose claims these are.
    """

    worker: str

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def claim(
        self,
        dispatch_id: int,
        channel: Channel,
        limit: int,
        *,
        publication: str,
        moment: datetime,
        lease_until: datetime,
    ) -> tuple[list[Claim], dict[int, Person]]:
        """Take deliveries of the channel that are due, oldest first; what another worker is just taking is left to it.

        Returns:
            The claims by id, and the people they are for, by subscriber id.
        """

    async def write(self, group: Group) -> list[bool]:
        """Write the group in one transaction. Returns: which of its gates opened, in their order."""

    async def renew(self, claims: Sequence[Claim], lease_until: datetime) -> None:
        """Say that these are still held."""

    async def recover(
        self, moment: datetime, unanswered: DeliveryState, held: Collection[int]
    ) -> tuple[int, int]:
        """Take back what others held and whose lease has ended, and what this worker has claimed without knowing it.

        Args:
            unanswered: what becomes of a delivery in flight.
            held: ids of the deliveries that this worker knows it holds.

        Returns:
            How many claims were given back, and how many deliveries were in flight.
        """


@lru_cache(maxsize=1024)
def read_sections(text: str) -> tuple[str, ...]:
    """The sections of a row, from their JSON; the same few dozen sets come again and again."""
    return tuple(json.loads(text))


def storable(text: str, most: int) -> str:
    """Somebody else's words, cut: neither a lone surrogate nor a NUL in them may hold up a whole group."""
    if len(text) > most:
        text = text[:most]
    return (
        text
        if text.isascii() and "\0" not in text
        else text.encode("utf-8", "replace").decode().replace("\0", "?")
    )
