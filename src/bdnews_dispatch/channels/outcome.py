"""What a channel says of one message. The same words for email and WeChat; dispatch/ turns them into ledger states."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

#: Asked directly before the step after which the other side may have the message. False: somebody else owns the
#: delivery now, or the reader no longer wants it; the channel must stop and answer `GATE_CLOSED`.
Gate = Callable[[], Awaitable[bool]]


class OutcomeKind(StrEnum):
    """What happened."""

    #: The relay or the platform accepted it.
    ACCEPTED = "accepted"
    #: Certainly not delivered; try again later.
    DEFERRED = "deferred"
    #: Certainly not delivered; never try again.
    REFUSED = "refused"
    #: No answer behind the last step: it may have been delivered.
    UNCERTAIN = "uncertain"
    #: The gate said no; nothing was sent.
    GATE_CLOSED = "gate_closed"
    #: Not even tried: found before the first step to have nowhere to go, or no leave to (suppressed since planning).
    SKIPPED = "skipped"
    #: The channel itself can't work (relay away, credentials wrong): not this message's fault. Nothing was sent.
    UNAVAILABLE = "unavailable"


class Remedy(StrEnum):
    """What dispatch/ does beside the state of this one delivery."""

    NONE = "none"
    #: This address or openid is not to be tried again, by any dispatch.
    SUPPRESS = "suppress"
    #: A person must mend the configuration: pause the dispatch, say why.
    STOP_CHANNEL = "stop_channel"
    #: No way is open by this channel: another one may carry it, where the reader wants that.
    OTHER_CHANNEL = "other_channel"


class Outcome(NamedTuple):
    """The answer for one message.

    Attributes:
        kind: what happened.
        code: the other side's code (`250`, `550`, `45015`), or a dotted name of ours (`connect.refused`).
        text: the other side's words, at most 500 characters, without addresses where they can be told.
        mode: how it went out: `smtp`, `custom`, `subscribe_long`, `subscribe_once`, `template`, `mass`.
        retry_after: seconds before another try, where the other side or a rule says so.
        remedy: what else follows.
        reference: the other side's id of the message (queue id, msgid).
        scope: how wide `retry_after` goes: `address` (this delivery alone), `domain` (everybody at this recipient's
            domain), `connection`, `sender`, `message`, `channel` (everybody on this channel); empty: this delivery.
        rule: which rule of ours said so, for logs and counts.
    """

    kind: OutcomeKind
    code: str = ""
    text: str = ""
    mode: str = ""
    retry_after: float | None = None
    remedy: Remedy = Remedy.NONE
    reference: str = ""
    scope: str = ""
    rule: str = ""
