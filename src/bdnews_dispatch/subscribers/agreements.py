"""What people agreed to: begun, changed, ended, taken up again.

In: a subscriber's id and an `Agreement` with its `Proof`, inside the caller's transaction. Out: rows; an event where
somebody leaves or comes back. Callers: people, requests, the web pages, WeChat pushes, returns. A change never edits a
subscription: it ends one row and begins another, so what was agreed to, when, how and why can be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.fields import FieldError, known_sections
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscription

#: Why a subscription's row ended, where another one began in its place.
CHANGED = "changed"
UNSUBSCRIBED_EVENT = "subscriber.unsubscribed"
RESUBSCRIBED_EVENT = "subscriber.resubscribed"
_LONGEST_EVIDENCE = 255
_LONGEST_REASON = 100


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a person reads, how often, and by which way.

    Attributes:
        whole_issue: the whole issue, not personalised; `sections` then says nothing.
        sections: keys of the publication.
        paused_until: nothing goes out before.
    """

    whole_issue: bool = True
    sections: Sequence[str] = ()
    channel: ChannelChoice = ChannelChoice.EMAIL
    cadence: Cadence = Cadence.ISSUE
    paused_until: datetime | None = None

    @classmethod
    def of(cls, row: Subscription) -> "Agreement":
        """What a row says."""
        return cls(row.whole_issue, tuple(row.sections), row.channel, row.cadence, row.paused_until)

    def columns(self, publication: Publication) -> dict[str, Any]:
        """As a row holds it.

        Raises:
            FieldError: a section is not one of the publication's, or there is none.
        """
        unknown = [key for key in self.sections if publication.section(key) is None]
        if unknown:
            raise FieldError(
                "sections", "sections.unknown", Phrase("没有名为“%(name)s”的栏目", name=unknown[0])
            )
        wanted = [] if self.whole_issue else known_sections(publication, set(self.sections))
        if not self.whole_issue and not wanted:
            raise FieldError("sections", "sections.none", "请至少选一个栏目，或选整期")
        return {
            "whole_issue": self.whole_issue,
            "sections": wanted,
            "channel": self.channel,
            "cadence": self.cadence,
            "paused_until": self.paused_until,
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """How an agreement came about; for the words see `models.Subscription`."""

    origin: str
    evidence: str = ""
    network: str = ""
    consent: str = ""

    def columns(self) -> dict[str, Any]:
        """As a row holds it."""
        return {
            "origin": self.origin[:40],
            "evidence": self.evidence[:_LONGEST_EVIDENCE],
            "network": self.network[:50],
            "consent": self.consent[:16],
        }


async def current(session: AsyncSession, subscriber_id: int, publication: str) -> Subscription | None:
    """What the person agrees to now; None: not subscribed."""
    statement = select(Subscription).where(
        Subscription.subscriber_id == subscriber_id,
        Subscription.publication == publication,
        col(Subscription.ended_at).is_(None),
    )
    return (await session.exec(statement)).first()


async def last_ended(session: AsyncSession, subscriber_id: int, publication: str) -> Subscription | None:
    """The person's row that ended last."""
    statement = (
        select(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.publication == publication)
        .where(col(Subscription.ended_at).is_not(None))
        .order_by(col(Subscription.ended_at).desc(), col(Subscription.id).desc())
        .limit(1)
    )
    return (await session.exec(statement)).first()


async def history(session: AsyncSession, subscriber_id: int, publication: str) -> Sequence[Subscription]:
    """All that the person ever agreed to, the first first."""
    statement = (
        select(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.publication == publication)
        .order_by(col(Subscription.began_at), col(Subscription.id))
    )
    return (await session.exec(statement)).all()


async def agree(
    session: AsyncSession,
    clock: Clock,
    subscriber_id: int,
    publication: Publication,
    agreement: Agreement,
    proof: Proof,
) -> bool:
    """From now on the person agrees to this. Who is not subscribed becomes so.

    Returns:
        False: it was so already, and nothing was written.

    Raises:
        FieldError: a section is not one of the publication's, or there is none.
    """
    wanted = agreement.columns(publication)
    now_row = await current(session, subscriber_id, publication.key)
    now = clock()  # asked once: the row that ends and the one that begins share the moment
    if now_row is not None:
        if all(getattr(now_row, name) == value for name, value in wanted.items()):
            return False
        now_row.ended_at = now
        now_row.end_reason = CHANGED
        session.add(now_row)
        await session.flush()  # the row that ends goes first: one current row a person
    session.add(
        Subscription(
            subscriber_id=subscriber_id,
            publication=publication.key,
            began_at=now,
            **wanted,
            **proof.columns(),
        )
    )
    await session.flush()
    return True


async def unsubscribe(
    session: AsyncSession, clock: Clock, subscriber_id: int, publication: str, *, reason: str, origin: str
) -> bool:
    """End what the person agreed to.

    Args:
        publication: its key.
        reason: in the reader's or admin's words, or empty.
        origin: which way it came: `one_click`, `page`, `wechat`, `admin`.

    Returns:
        False: they were not subscribed; nothing is written, and that is no error.
    """
    now_row = await current(session, subscriber_id, publication)
    if now_row is None:
        return False
    now_row.ended_at = clock()
    now_row.end_reason = f"{origin}:{reason}"[:_LONGEST_REASON] if reason else origin
    session.add(now_row)
    await session.flush()
    await record(
        session,
        clock,
        UNSUBSCRIBED_EVENT,
        f"{UNSUBSCRIBED_EVENT}:{now_row.id}",
        subscriber_id=subscriber_id,
        publication=publication,
        subscription_id=now_row.id,
        origin=origin,
    )
    return True


async def give_reason(session: AsyncSession, subscriber_id: int, publication: str, reason: str) -> bool:
    """Note why the person left, said after they did. Returns: False: they are subscribed, or never were."""
    if await current(session, subscriber_id, publication) is not None:
        return False
    ended = await last_ended(session, subscriber_id, publication)
    if ended is None:
        return False
    ended.end_reason = f"{ended.end_reason.partition(':')[0]}:{reason}"[:_LONGEST_REASON]
    session.add(ended)
    return True


async def resubscribe(
    session: AsyncSession,
    clock: Clock,
    subscriber_id: int,
    publication: str,
    *,
    proof: Proof,
) -> bool:
    """Undo an unsubscription: a new row that copies the ended one.

    Returns:
        False: they are subscribed, or never were.
    """
    if await current(session, subscriber_id, publication) is not None:
        return False
    ended = await last_ended(session, subscriber_id, publication)
    if ended is None:
        return False
    again = Subscription(
        subscriber_id=subscriber_id,
        publication=publication,
        whole_issue=ended.whole_issue,
        sections=list(ended.sections),
        channel=ended.channel,
        cadence=ended.cadence,
        paused_until=ended.paused_until,
        began_at=clock(),
        **proof.columns(),
    )
    session.add(again)
    await session.flush()
    await record(
        session,
        clock,
        RESUBSCRIBED_EVENT,
        f"{RESUBSCRIBED_EVENT}:{again.id}",
        subscriber_id=subscriber_id,
        publication=publication,
        subscription_id=again.id,
        origin=proof.origin,
    )
    return True
