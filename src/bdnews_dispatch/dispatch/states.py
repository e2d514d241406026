"""The two state machines: of a dispatch and of a delivery. One table each; all else raises."""

from enum import StrEnum

from bdnews_dispatch.errors import Phrase, StateError


class DispatchState(StrEnum):
    """scheduled → planning → sending → finished; paused and cancelled beside."""

    SCHEDULED = "scheduled"
    PLANNING = "planning"
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


DISPATCH_TRANSITIONS: dict[DispatchState, frozenset[DispatchState]] = {
    DispatchState.SCHEDULED: frozenset(
        {DispatchState.PLANNING, DispatchState.PAUSED, DispatchState.CANCELLED}
    ),
    DispatchState.PLANNING: frozenset({DispatchState.SENDING, DispatchState.PAUSED, DispatchState.CANCELLED}),
    DispatchState.SENDING: frozenset({DispatchState.FINISHED, DispatchState.PAUSED, DispatchState.CANCELLED}),
    DispatchState.PAUSED: frozenset(
        {DispatchState.SCHEDULED, DispatchState.PLANNING, DispatchState.SENDING, DispatchState.CANCELLED}
    ),
    DispatchState.FINISHED: frozenset(),
    DispatchState.CANCELLED: frozenset(),
}


class DeliveryState(StrEnum):
    """planned → claimed → in_flight → sent → delivered | bounced | complained; beside them the others."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    DEFERRED = "deferred"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


_S = DeliveryState
DELIVERY_TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    # To sent: an acceptance that could only be stored after a recovery had given the delivery back.
    _S.PLANNED: frozenset({_S.CLAIMED, _S.CANCELLED, _S.SKIPPED, _S.SENT}),
    # To uncertain and sent: the answer to an earlier call was lost, and the platform no longer knows it by its id.
    _S.CLAIMED: frozenset(
        {
            _S.IN_FLIGHT,
            _S.PLANNED,
            _S.DEFERRED,
            _S.FAILED,
            _S.SKIPPED,
            _S.CANCELLED,
            _S.UNCERTAIN,
            _S.SENT,
        }
    ),
    # In flight, the other side may have it: only its answer, or the lack of one, leads on.
    # Back to planned: by the setting `delivery.uncertain = resend`, or where the channel knows that nothing went out.
    # To skipped: the platform has refused it by every mode, and a mail takes its place.
    _S.IN_FLIGHT: frozenset(
        {_S.SENT, _S.DEFERRED, _S.FAILED, _S.UNCERTAIN, _S.PLANNED, _S.CANCELLED, _S.SKIPPED}
    ),
    # To in flight: a card that waits for the mass message has nobody's claim; see dispatch/mass.
    _S.DEFERRED: frozenset({_S.CLAIMED, _S.IN_FLIGHT, _S.CANCELLED, _S.FAILED}),
    # Settled by evidence (an answer stored late, an open, a bounce, the relay's log), by an operator, or by setting.
    _S.UNCERTAIN: frozenset({_S.SENT, _S.PLANNED, _S.FAILED, _S.DEFERRED, _S.DELIVERED, _S.BOUNCED}),
    _S.SENT: frozenset({_S.DELIVERED, _S.BOUNCED, _S.COMPLAINED}),
    _S.DELIVERED: frozenset({_S.BOUNCED, _S.COMPLAINED}),
    _S.BOUNCED: frozenset(),
    _S.COMPLAINED: frozenset(),
    _S.FAILED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
}

#: A worker may claim these.
CLAIMABLE = (_S.PLANNED, _S.DEFERRED)
#: Work that is not over: a dispatch with one of these is not finished.
OPEN = (_S.PLANNED, _S.CLAIMED, _S.IN_FLIGHT, _S.DEFERRED)
#: The other side has taken it, whatever came of it later.
REACHED = (_S.SENT, _S.DELIVERED, _S.BOUNCED, _S.COMPLAINED)


def check_dispatch(now: DispatchState, then: DispatchState) -> None:
    """Raises: StateError: a dispatch can't go from `now` to `then`."""
    if then not in DISPATCH_TRANSITIONS[now]:
        raise StateError(
            Phrase("发送任务处于 %(now)s，不能变为 %(then)s", now=now, then=then),
            hint=_allowed(DISPATCH_TRANSITIONS[now]),
        )


def check_delivery(now: DeliveryState, then: DeliveryState) -> None:
    """Raises: StateError: a delivery can't go from `now` to `then`."""
    if then not in DELIVERY_TRANSITIONS[now]:
        raise StateError(
            Phrase("投递处于 %(now)s，不能变为 %(then)s", now=now, then=then),
            hint=_allowed(DELIVERY_TRANSITIONS[now]),
        )


def _allowed(states: frozenset[DispatchState] | frozenset[DeliveryState]) -> str:
    return Phrase("可以变为：%(states)s。", states=sorted(states)) if states else Phrase("这已是最终状态。")
