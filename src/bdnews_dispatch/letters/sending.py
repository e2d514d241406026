"""Sending letters: claim what is due, compose, send, record. A lane of its own, so nothing stands before them.

In: rows of `Letter` that wait. Out: mails; rows that are sent, failed, or wait for another try. Caller: the worker's
process. A letter goes out at least once: its lease ends if the worker dies, and a second one with the same Message-ID
does no harm, where a lost one would leave somebody waiting.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, or_, select, update

from bdnews_dispatch.channels.email import EmailChannel, OutgoingMail, on_the_wire
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.letters.composing import compose_letter, encode_letter
from bdnews_dispatch.letters.models import Letter, LetterKind, LetterState
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.models import Channel, Request
from bdnews_dispatch.subscribers.suppressions import is_suppressed

logger = logging.getLogger(__name__)

#: Somebody sits before a page and waits: look often; an index of the few that wait makes it cheap.
LOOK_SECONDS = 0.5
AT_ONCE = 20
LEASE = timedelta(minutes=15)  # behind the longest wait for an answer to a dot
FIRST_WAIT = timedelta(seconds=30)
#: A link lasts seven days; a letter that comes on the third is of no use to anybody any more.
LONGEST = timedelta(hours=48)


class Letterbox:
    """Takes letters out and sends them.

    Args:
        relay_for: the way out for an address: the real relay, or the sandbox's stand-in. Its connections are its own:
            those of dispatches are busy for as long as there is anything to send.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        clock: Clock,
        publications: Publications,
        links: Links,
        relay_for: Callable[[str], EmailChannel],
        dkim: DkimSigner | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links
        self._relay_for = relay_for
        self._dkim = dkim
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the letter at hand, then end."""
        self._stopping.set()

    async def run(self) -> None:
        """Send what is due, until stopped."""
        while not self._stopping.is_set():
            try:
                sent = await self.send_due()
            except (SQLAlchemyError, StorageError) as error:
                logger.warning("letters.database_unavailable", extra={"error": type(error).__name__})
                sent = 0
            if not sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)

    async def send_due(self) -> int:
        """Send the letters that are due now. Returns: how many were tried."""
        letters = await self._claim()
        async with asyncio.TaskGroup() as group:
            for letter, request in letters:
                group.create_task(self._send_unless_away(letter, request))
        return len(letters)

    async def _claim(self) -> Sequence[tuple[Letter, Request | None]]:
        now = self._clock()
        due = (
            select(Letter.id)
            .where(col(Letter.state) == LetterState.WAITING, col(Letter.due_at) <= now)
            .where(or_(col(Letter.lease_until).is_(None), col(Letter.lease_until) < now))
            .order_by(col(Letter.due_at), col(Letter.id))
            .limit(AT_ONCE)
        )
        async with self._database.read() as session:
            if (await session.exec(due.limit(1))).first() is None:
                return []
        async with self._database.write() as session:
            ids = (await session.exec(due)).all()
            await session.execute(
                update(Letter).where(col(Letter.id).in_(ids)).values(lease_until=now + LEASE)
            )
            rows = await session.exec(
                select(Letter, Request)
                .outerjoin(Request, col(Request.id) == col(Letter.request_id))
                .where(col(Letter.id).in_(ids))
                .order_by(col(Letter.id))
            )
            return [(letter, request) for letter, request in rows]

    async def _send_unless_away(self, letter: Letter, request: Request | None) -> None:
        """A database that goes away meanwhile is waited for: the letter's lease ends, and it is sent then."""
        try:
            await self._send(letter, request)
        except (SQLAlchemyError, StorageError) as error:
            logger.warning("letter.not_recorded", extra={"letter": letter.id, "error": type(error).__name__})

    async def _send(self, letter: Letter, request: Request | None) -> None:
        if request is None and letter.kind not in (LetterKind.TEST, LetterKind.NOTICE):
            outcome = Outcome(OutcomeKind.REFUSED, "request.over")  # it was deleted
        elif request is not None and (request.done_at is not None or request.expires_at <= self._clock()):
            outcome = Outcome(OutcomeKind.REFUSED, "request.over")
        elif await self._is_suppressed(letter):
            outcome = Outcome(OutcomeKind.REFUSED, "suppressed")
        else:
            outcome = await self._offered(letter, request)
        await self._record(letter, outcome)

    async def _is_suppressed(self, letter: Letter) -> bool:
        async with self._database.read() as session:
            return await is_suppressed(session, Channel.EMAIL, letter.email.casefold())

    async def _offered(self, letter: Letter, request: Request | None) -> Outcome:
        publication = self._publications.named(letter.publication)
        assert letter.id is not None  # noqa: S101  # read from the database
        try:
            composed = compose_letter(letter, request, publication, self._links)
            message = encode_letter(letter, composed, publication, self._settings, self._dkim)
        except ValueError as error:
            return Outcome(OutcomeKind.REFUSED, "letter.unfit", str(error))
        mail = OutgoingMail(
            delivery_id=letter.id,
            sender=f"{self._links.signer.verp(letter.key)}@{self._settings.bounce_domain}",
            recipient=letter.email,
            content=lambda _eight_bit: on_the_wire(message),
        )
        try:
            return await self._relay_for(letter.email).send(mail, _open)
        except Exception as error:
            logger.exception("letter.failed", extra={"letter": letter.id})
            return Outcome(OutcomeKind.DEFERRED, "letter.failed", type(error).__name__)

    async def _record(self, letter: Letter, outcome: Outcome) -> None:
        now = self._clock()
        attempts = letter.attempts + 1
        changes: dict[str, object] = {"attempts": attempts, "lease_until": None}
        if outcome.kind is OutcomeKind.ACCEPTED:
            changes |= {"state": LetterState.SENT, "sent_at": now, "reason": ""}
        else:
            wait = max(FIRST_WAIT * 2 ** min(attempts - 1, 8), timedelta(seconds=outcome.retry_after or 0))
            over = now + wait > letter.created_at + LONGEST
            failed = outcome.kind is OutcomeKind.REFUSED or over
            reason = f"{outcome.code} {outcome.text}".strip()[:500].replace("\0", "?")
            changes |= {"reason": reason, "due_at": now + wait}
            if failed:
                changes["state"] = LetterState.FAILED
        logger.info(
            "letter.outcome",
            extra={"letter": letter.id, "kind": letter.kind, "outcome": outcome.kind, "code": outcome.code},
        )
        async with self._database.write() as session:
            await session.execute(update(Letter).where(col(Letter.id) == letter.id).values(**changes))


async def _open() -> bool:
    """The gate of a letter: nobody else sends it meanwhile, by its lease."""
    return True
