"""What follows from a mail that came back, in one transaction: evidence, the delivery's state, suppression, events.

In: a mail, and the key that its recipient's address named with a valid MAC: only that says whom it is about. Out: rows.
Callers: listener, cli/. The same mail handed over five times counts once.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import not_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.email.replies import ReplyRules, redact
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DELIVERY_TRANSITIONS, DeliveryState
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind, Returned, read_returned
from bdnews_dispatch.returns.verdicts import Verdict, verdict_of
from bdnews_dispatch.subscribers import agreements, people, suppressions
from bdnews_dispatch.subscribers.models import Channel, Subscriber

BOUNCED_EVENT = "delivery.bounced"
COMPLAINED_EVENT = "delivery.complained"
#: Kept of a mail as evidence: a report's own parts come first.
KEPT_BYTES = 64 * 1024
#: So many mails about one of ours are kept with their words: whoever has one of our addresses may write to it for ever.
KEPT_MAILS = 20

_SOURCE = "returns"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a mail was taken for. `fresh`: false where it was here before; `suppressed`: whether its address now is."""

    returned: Returned
    verdict: Verdict | None = None
    rule: str = ""
    fresh: bool = True
    suppressed: bool = False


class TooEarlyError(StateError):
    """A mail is back before it was stored that it went out: whoever brings it must come again."""


class Returns:
    """Takes mail that came back."""

    def __init__(
        self,
        clock: Clock,
        publications: Publications,
        rules: ReplyRules,
        free_form: FreeForm,
        *,
        soft_bounces: int,
    ) -> None:
        """Args: soft_bounces: so many in a row suppress an address."""
        self._clock = clock
        self._publications = publications
        self._rules = rules
        self._free_form = free_form
        self._soft_bounces = soft_bounces

    def read(self, raw: bytes) -> Recorded:
        """What it says, without writing anything."""
        returned = read_returned(raw, self._free_form)
        verdict, rule = verdict_of(returned, self._rules) if returned.kind is Kind.BOUNCE else (None, "")
        return Recorded(returned, verdict, rule)

    async def take(
        self, session: AsyncSession, key: str, raw: bytes, read: Recorded, *, way: str, leave: bool
    ) -> Recorded:
        """Take a mail.

        Args:
            key: of the delivery or letter, from the address that it was sent to.
            read: by `read`, outside of any transaction: it takes its time.
            leave: it was sent to that delivery's address for leaving (RFC 2369's mailto).

        Raises:
            TooEarlyError: nothing was stored.
        """
        if leave:  # nothing goes out from this address, so nothing comes back to it: it suppresses nobody
            unclear = read.returned.kind is Kind.UNKNOWN  # a provider's machine may ask for its reader, too
            read = Recorded(Returned(Kind.UNSUBSCRIBE if unclear else read.returned.kind))
        delivery = (await session.exec(select(Delivery).where(Delivery.key == key).with_for_update())).first()
        if delivery is not None and delivery.state is DeliveryState.IN_FLIGHT:
            raise TooEarlyError("这封邮件还在发送中", hint="稍后再交来。")
        letter = None
        if delivery is None:
            letter = (await session.exec(select(Letter).where(Letter.key == key))).first()
        mail_id = await self._keep(session, key, raw, read, way, delivery, letter)
        if mail_id is None:
            return Recorded(read.returned, read.verdict, read.rule, fresh=False)
        evidence = f"returned_mail:{mail_id}"
        suppressed = False
        if leave and read.returned.kind is not Kind.UNSUBSCRIBE:
            pass  # a machine leaves nobody
        elif delivery is not None:
            suppressed = await self._of_delivery(session, delivery, read, evidence)
        elif letter is not None:
            suppressed = await self._of_letter(session, letter, read, evidence)
        return Recorded(read.returned, read.verdict, read.rule, suppressed=suppressed)

    async def _keep(
        self,
        session: AsyncSession,
        key: str,
        raw: bytes,
        read: Recorded,
        way: str,
        delivery: Delivery | None,
        letter: Letter | None,
    ) -> int | None:
        """The row's number; None: it is here already.

        No word is kept of what is about nobody we know, erased ones among them.
        """
        returned = read.returned
        with_words = (delivery is not None or letter is not None) and await _few_are_kept(
            session, delivery, letter
        )
        row = insert_new(session, ReturnedMail).values(
            fingerprint=hashlib.sha256(key.encode() + b"\0" + raw).hexdigest(),
            way=way,
            kind=returned.kind,
            delivery_id=delivery.id if delivery else None,
            letter_id=letter.id if letter else None,
            status=returned.status[:16],
            code=returned.code,
            verdict=read.verdict or "",
            rule=read.rule[:64],
            text=redact(returned.text.replace("\0", " "))[:500] if with_words else "",
            raw=raw[:KEPT_BYTES] if with_words else b"",
            received_at=self._clock(),
        )
        return (await session.execute(row.returning(col(ReturnedMail.id)))).scalar_one_or_none()

    async def _of_letter(self, session: AsyncSession, letter: Letter, read: Recorded, evidence: str) -> bool:
        address = letter.email.casefold()
        if (
            read.returned.kind is Kind.COMPLAINT
        ):  # somebody else has filled in the form, perhaps again and again
            return await self._suppress(session, address, "complaint", evidence)
        if read.verdict is Verdict.HARD:
            return await self._suppress(session, address, "bounce", evidence)
        return False

    async def _of_delivery(
        self, session: AsyncSession, delivery: Delivery, read: Recorded, evidence: str
    ) -> bool:
        person = await session.get(Subscriber, delivery.subscriber_id)
        match read.returned.kind:
            case Kind.BOUNCE:
                reason = f"{read.verdict}:{read.returned.status or read.returned.code}"
                await self._move(session, delivery, DeliveryState.BOUNCED, reason, BOUNCED_EVENT)
                return person is not None and await self._bounced(session, delivery, person, read, evidence)
            case Kind.COMPLAINT:
                return await self._complained(session, delivery, person, evidence)
            case Kind.DELIVERED:
                if delivery.state in (DeliveryState.SENT, DeliveryState.UNCERTAIN):
                    await self._move(session, delivery, DeliveryState.DELIVERED, "", "")
            case Kind.UNSUBSCRIBE:
                dispatch = await session.get(Dispatch, delivery.dispatch_id)
                if dispatch is not None:
                    await self._ends(session, delivery, dispatch.publication, "mailto")
            case _:
                pass
        return False

    async def _bounced(
        self, session: AsyncSession, delivery: Delivery, person: Subscriber, read: Recorded, evidence: str
    ) -> bool:
        """Whether the address is suppressed for it. What was sent to another address, or before an admin lifted the
        suppression, says nothing about the address as it is now.
        """
        if person.id is None or person.email_key is None:
            return False
        changed = await people.address_changed_at(session, person.id)
        lifted = await suppressions.lifted_at(session, Channel.EMAIL, person.email_key)
        since = max(filter(None, (changed, lifted)), default=None)
        if since is not None and delivery.sent_at is not None and delivery.sent_at <= since:
            return False
        if read.verdict is Verdict.HARD:
            return await self._suppress(session, person.email_key, "bounce", evidence)
        if read.verdict is Verdict.SOFT and await self._came_back_again_and_again(session, delivery, since):
            return await self._suppress(session, person.email_key, "soft_bounces", evidence)
        return False

    async def _complained(
        self, session: AsyncSession, delivery: Delivery, person: Subscriber | None, evidence: str
    ) -> bool:
        await self._move(session, delivery, DeliveryState.COMPLAINED, "complaint", COMPLAINED_EVENT)
        for publication in self._publications:
            await self._ends(session, delivery, publication, "complaint")
        if person is None or person.id is None or person.email_key is None:
            return False
        changed = await people.address_changed_at(session, person.id)
        if changed is not None and delivery.sent_at is not None and delivery.sent_at <= changed:
            return False
        return await self._suppress(session, person.email_key, "complaint", evidence)

    async def _ends(self, session: AsyncSession, delivery: Delivery, publication: str, origin: str) -> None:
        await agreements.unsubscribe(
            session, self._clock, delivery.subscriber_id, publication, reason="", origin=origin
        )
        await mark_changed(session, {delivery.dispatch_id})

    async def _move(
        self, session: AsyncSession, delivery: Delivery, then: DeliveryState, reason: str, event: str
    ) -> None:
        """The delivery's state, as far as it can go there: a report may come late, or twice."""
        if then not in DELIVERY_TRANSITIONS[delivery.state]:
            return
        delivery.state, delivery.reason, delivery.updated_at = then, reason[:100], self._clock()
        session.add(delivery)
        await mark_changed(session, {delivery.dispatch_id})
        await session.flush()
        if event:
            key = f"{event}:{delivery.id}"
            await record(
                session, self._clock, event, key, delivery_id=delivery.id, dispatch_id=delivery.dispatch_id
            )

    async def _came_back_again_and_again(
        self, session: AsyncSession, delivery: Delivery, since: datetime | None
    ) -> bool:
        """Whether the last mails to this person all came back. One that is out and silent breaks the row: it may have
        arrived, and if it did not, its own report asks again. One that was refused for its rate, its content or by
        policy neither counts nor breaks it.
        """
        arrived = (
            DeliveryState.SENT,
            DeliveryState.DELIVERED,
            DeliveryState.BOUNCED,
            DeliveryState.COMPLAINED,
        )
        last = (
            select(Delivery.state)
            .where(Delivery.subscriber_id == delivery.subscriber_id, Delivery.channel == Channel.EMAIL)
            .where(col(Delivery.state).in_(arrived))
            .where(not_(col(Delivery.reason).startswith(f"{Verdict.BLOCKED}:")))
            .order_by(col(Delivery.id).desc())
            .limit(self._soft_bounces)
        )
        if since is not None:
            last = last.where(col(Delivery.sent_at) > since)
        states = (await session.exec(last)).all()
        return len(states) == self._soft_bounces and set(states) == {DeliveryState.BOUNCED}

    async def _suppress(self, session: AsyncSession, address: str, reason: str, evidence: str) -> bool:
        await suppressions.suppress(
            session, self._clock, Channel.EMAIL, address, reason=reason, source=_SOURCE, evidence=evidence
        )
        return True


async def _few_are_kept(session: AsyncSession, delivery: Delivery | None, letter: Letter | None) -> bool:
    about = (
        col(ReturnedMail.delivery_id) == delivery.id
        if delivery is not None
        else col(ReturnedMail.letter_id) == (letter.id if letter is not None else None)
    )
    kept = await session.exec(select(ReturnedMail.id).where(about).limit(KEPT_MAILS))
    return len(kept.all()) < KEPT_MAILS
