"""The ways out: a relay or an account, with what waits for it and whether it works. Callers: sending and its rooms."""

from collections.abc import Mapping
from dataclasses import dataclass

from bdnews_dispatch.channels.email import EmailChannel
from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.dispatch.breaker import Breaker
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.stock import Stock
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.subscribers.models import Channel


@dataclass(frozen=True, slots=True)
class Channels:
    """The ways out as they are set up. The sandbox's stand in for the real ones for whom `reach` does not allow.

    Attributes:
        wechat: None where the account is not configured.
        limits: of the real relay and of recipients' providers; the sandbox has none.
        account, sandbox_account: the settings of the two WeChat accounts.
    """

    reach: Reach
    email: EmailChannel
    sandbox_email: EmailChannel
    wechat: WeChatChannel | None
    sandbox_wechat: WeChatChannel
    limits: Limits
    account: WeChatSettings
    sandbox_account: WeChatSettings


@dataclass(frozen=True, slots=True, eq=False)
class MailWay:
    """A relay."""

    name: str
    channel: EmailChannel
    stock: Stock
    breaker: Breaker


@dataclass(frozen=True, slots=True, eq=False)
class CardWay:
    """An account on the WeChat platform. `account`: its settings."""

    name: str
    channel: WeChatChannel
    stock: Stock
    breaker: Breaker
    account: WeChatSettings


Way = MailWay | CardWay
#: By channel, and whether it really reaches anybody.
Ways = Mapping[tuple[Channel, bool], Way]
