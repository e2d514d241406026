"""The two state machines: every state can be reached and every open one left; nothing else is possible."""

import pytest

from bdnews_dispatch.dispatch.states import (
    CLAIMABLE,
    DELIVERY_TRANSITIONS,
    DISPATCH_TRANSITIONS,
    OPEN,
    DeliveryState,
    DispatchState,
    check_delivery,
    check_dispatch,
)
from bdnews_dispatch.errors import StateError


def test_every_state_has_a_row() -> None:
    assert set(DELIVERY_TRANSITIONS) == set(DeliveryState)
    assert set(DISPATCH_TRANSITIONS) == set(DispatchState)


def test_every_delivery_state_can_be_reached() -> None:
    reached = {DeliveryState.PLANNED, DeliveryState.SKIPPED}
    while grown := {then for now in reached for then in DELIVERY_TRANSITIONS[now]} - reached:
        reached |= grown
    assert reached == set(DeliveryState)


def test_what_is_open_can_be_left_and_what_is_claimable_claimed() -> None:
    for state in OPEN:
        assert DELIVERY_TRANSITIONS[state]
    for state in CLAIMABLE:
        check_delivery(state, DeliveryState.CLAIMED)


def test_nothing_goes_back_from_sent_to_the_queue() -> None:
    for state in (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.FAILED):
        for then in (DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT):
            with pytest.raises(StateError):
                check_delivery(state, then)


def test_what_is_over_stays_over() -> None:
    for now in (DispatchState.FINISHED, DispatchState.CANCELLED):
        for then in DispatchState:
            with pytest.raises(StateError):
                check_dispatch(now, then)
