"""Email: a pool of lines to one relay, and what its answers mean.

In: `OutgoingMail`. Out: `Outcome`. Called by dispatch/ (send) and cli/ (check).
"""

from bdnews_dispatch.channels.email.channel import EmailChannel, unavailable
from bdnews_dispatch.channels.email.connection import RelayError
from bdnews_dispatch.channels.email.line import Line, StaleLineError
from bdnews_dispatch.channels.email.message import OutgoingMail, Ready, UnfitMessageError, on_the_wire
from bdnews_dispatch.channels.email.replies import ReplyRules

__all__ = [
    "EmailChannel",
    "Line",
    "OutgoingMail",
    "Ready",
    "RelayError",
    "ReplyRules",
    "StaleLineError",
    "UnfitMessageError",
    "on_the_wire",
    "unavailable",
]
