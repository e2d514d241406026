"""The 客服 window: how long after which act of a user, and how many messages.

In: what a user did. Out: how long and how many. Called by subscribers/ (which keeps the window of each user)
and by the sandbox's stand-in.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ServiceWindow:
    """Messages that may be sent, and until when after the act."""

    messages: int
    lasts: timedelta


#: A message of the user's, of any type (Service_Center_messages.html, 2023: 5 in 48 hours).
AFTER_MESSAGE = ServiceWindow(5, timedelta(hours=48))
#: A menu click, following, scanning (the same page: 3 in 1 minute).
AFTER_ACTION = ServiceWindow(3, timedelta(minutes=1))
