"""Email: a pool of connections to one relay, and what its answers mean.

In: `OutgoingMail`. Out: `Outcome`. Called by dispatch/ (send) and cli/ (check).
"""

from bdnews_dispatch.channels.email.channel import EmailChannel
from bdnews_dispatch.channels.email.message import OutgoingMail
from bdnews_dispatch.channels.email.replies import ReplyRules

__all__ = ["EmailChannel", "OutgoingMail", "ReplyRules"]
