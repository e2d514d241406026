"""WeChat: cards to followers of an Official Account, and what the platform pushes back.

In: `OutgoingCard`. Out: `Outcome`. Called by dispatch/ (send), cli/ (check) and web/ (callback.py).
"""

from bdnews_dispatch.channels.wechat.card import OutgoingCard
from bdnews_dispatch.channels.wechat.channel import WeChatChannel
from bdnews_dispatch.channels.wechat.modes import Chances
from bdnews_dispatch.channels.wechat.push import Push, PushKind

__all__ = ["Chances", "OutgoingCard", "Push", "PushKind", "WeChatChannel"]
