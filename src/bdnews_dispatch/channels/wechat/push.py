"""What the platform pushes to us, opened and checked. Made by callback.py; taken by web/ and tracking/."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bdnews_dispatch.channels.wechat.windows import AFTER_ACTION, AFTER_MESSAGE, ServiceWindow


class PushKind(StrEnum):
    """What happened, in one word."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    #: A follower scanned one of our QR codes.
    SCAN = "scan"
    #: A menu button of type click.
    CLICK = "click"
    #: A menu button that opens a page.
    VIEW = "view"
    TEXT = "text"
    #: A message of another type: picture, voice, place …
    MESSAGE = "message"
    #: A template message reached its end: `Push.status`, `Push.msg_id`.
    TEMPLATE_FINISHED = "template_finished"
    #: 群发 reached its end.
    MASS_FINISHED = "mass_finished"
    #: A user agreed to 订阅通知, or refused, or took it back: `Push.consents`.
    CONSENT = "consent"
    OTHER = "other"


_WINDOWS = {
    PushKind.TEXT: AFTER_MESSAGE,
    PushKind.MESSAGE: AFTER_MESSAGE,
    PushKind.SUBSCRIBE: AFTER_ACTION,
    PushKind.SCAN: AFTER_ACTION,
    PushKind.CLICK: AFTER_ACTION,
}


@dataclass(frozen=True, slots=True)
class Push:
    """One push.

    Attributes:
        kind: what happened.
        openid: the user.
        account: the Official Account's own id (`gh_…`), which a reply names as its sender.
        text: of a text message.
        event: the platform's name of the event, as it came; empty for messages.
        event_key: of a menu button; the address behind a VIEW.
        scene: of the QR code, without `qrscene_`.
        created_at: when, by the platform's clock.
        dedup_key: the same for each of the up to three deliveries of one push; holds no openid.
        msg_id: of a message; of the template message that finished.
        status: of what finished: `success`, `failed:user block` …
        counts: of a mass send that finished: total, filter, sent, error.
        consents: template and whether it was agreed to, of 订阅通知.
    """

    kind: PushKind
    openid: str
    account: str
    text: str
    event: str
    event_key: str
    scene: str
    created_at: datetime
    dedup_key: str
    msg_id: str
    status: str
    counts: Mapping[str, int] = field(default_factory=dict)
    consents: tuple[tuple[str, bool], ...] = ()

    @property
    def opens_window(self) -> ServiceWindow | None:
        """The 客服 window that this act of the user opens, if any."""
        return _WINDOWS.get(self.kind)
