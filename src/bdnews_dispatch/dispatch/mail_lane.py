"""A mail lane: sends one mail after the other over one line to the relay at a time.

In: parcels from the stock of its way. Out: outcomes, told to `Endings`. Caller: sending. Compose → gate → dot is the
hot path: the dot of a mail travels with the envelope of the next.
"""

import logging
from time import perf_counter

from bdnews_dispatch.channels.email import Line, Ready, RelayError, StaleLineError, unavailable
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.dispatch.composing import not_composed
from bdnews_dispatch.dispatch.endings import Endings
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.stock import Parcel
from bdnews_dispatch.dispatch.ways import MailWay
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.telemetry import logs, metrics, traces

logger = logging.getLogger(__name__)

_GATE_CLOSED = Outcome(OutcomeKind.GATE_CLOSED, "gate.closed", "", "smtp")


class MailLane:
    """One connection's worth of mails."""

    def __init__(self, way: MailWay, ledger: Ledger, endings: Endings) -> None:
        self._way = way
        self._ledger = ledger
        self._endings = endings

    async def run(self) -> None:
        """Until the stock is closed: one line after the other."""
        way = self._way
        parcel = await way.stock.take()
        while parcel is not None:
            to_send, parcel = parcel, None
            try:
                async with way.channel.line() as line:
                    parcel = await self._over(line, to_send)
            except RelayError as error:  # no line was to be had
                self._endings.finished(way, to_send, unavailable(error))
            if parcel is None:
                parcel = await way.stock.take()

    async def _over(self, line: Line, first: Parcel) -> Parcel | None:
        """Mails over this line, until there are none or it is spent.

        Returns:
            A parcel that has to go over another line.
        """
        way = self._way
        waiting: tuple[Parcel, Ready] | None = self._prepared(line, first) or self._next(line)
        while waiting is not None:
            (parcel, ready), waiting = waiting, None
            in_doubt = False
            logs.carry(parcel.claim)
            began = perf_counter()
            other_seconds = 0.0
            try:
                outcome = await line.offer(ready)
                if outcome is None:
                    asked = perf_counter()
                    may = await self._ledger.gate(parcel.claim)
                    other_seconds = perf_counter() - asked
                    metrics.gate_seconds(other_seconds)
                    if may:
                        in_doubt = True
                        if not way.channel.is_spent(line):
                            waiting = self._next(line)
                            logs.carry(parcel.claim)
                        other_seconds = perf_counter() - asked
                        outcome = await line.finish(waiting[1] if waiting else None)
                    else:
                        line.drop()
                        outcome = _GATE_CLOSED
            except StaleLineError:
                return parcel
            except StorageError as error:  # the gate could not be written (a full disk): nothing was sent
                line.drop()
                outcome = Outcome(OutcomeKind.UNAVAILABLE, "ledger.unavailable", str(error), retry_after=1.0)
            except Exception as error:
                logger.exception("lane.failed", extra={"delivery": parcel.claim.delivery_id})
                line.drop()
                kind = OutcomeKind.UNCERTAIN if in_doubt else OutcomeKind.UNAVAILABLE
                outcome = Outcome(kind, "lane.failed", type(error).__name__, "smtp", retry_after=5.0)
            seconds = perf_counter() - began
            metrics.smtp_seconds(seconds - other_seconds)
            traces.mail(parcel.claim.dispatch_id, parcel.claim.delivery_id, seconds, outcome.kind)
            self._endings.finished(way, parcel, outcome)
            # One that waits has its envelope out already: it is offered on this line.
            if waiting is None and not way.channel.is_spent(line):
                waiting = self._next(line)
        return None

    def _next(self, line: Line) -> tuple[Parcel, Ready] | None:
        """The next mail for this line, composed."""
        while (parcel := self._way.stock.take_now()) is not None:
            if (made := self._prepared(line, parcel)) is not None:
                return made
        return None

    def _prepared(self, line: Line, parcel: Parcel) -> tuple[Parcel, Ready] | None:
        """The parcel's mail for this line; None: it can't go out, which is recorded."""
        logs.carry(parcel.claim)
        began = perf_counter()
        try:
            ready = line.prepare(parcel.composer.mail(parcel.claim, parcel.person))
            metrics.compose_seconds(perf_counter() - began)
        except Exception as error:  # noqa: BLE001  # each kind has its outcome
            ready = not_composed(parcel.claim, error)
        if isinstance(ready, Outcome):
            self._endings.finished(self._way, parcel, ready)
            return None
        if parcel.pace is not None and (most := parcel.pace.limit.messages_per_connection):
            line.served[parcel.pace.limit.name] = served = line.served.get(parcel.pace.limit.name, 0) + 1
            line.retired = line.retired or served >= most
        return parcel, ready
