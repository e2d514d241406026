"""By which modes a card may go to one follower, and why not by the others: a pure function.

In: what the account may use, and what is known of the follower (`Chances`). Out: the modes that are left, in order, and
a reason for each that is not. Called by channel.py, and by dispatch/ before a dispatch, to say what it would do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bdnews_dispatch.channels.mode_words import MODE_WORDS

Mode = Literal["custom", "subscribe_long", "subscribe_once", "template", "mass"]


class ModeSettings(Protocol):
    """What decides of `WeChatSettings`."""

    @property
    def modes(self) -> tuple[Mode, ...]: ...
    @property
    def template_id(self) -> str: ...
    @property
    def long_term_template_id(self) -> str: ...
    @property
    def one_time_template_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Chances:
    """What is known of one follower at this moment.

    Attributes:
        window: the 客服 window is open, and not used up.
        long_term: they have agreed to the long-term template.
        credits: consents to one message each that are left.
        templates_left: of the account's quota of today.
        masses_left: of this follower's quota of this month; the account's own are the job's affair.
        no_mass: why a mass message can't reach them in this dispatch; empty: it may.
        only: an answer to this mode was lost: the same call is made again, under the same id, and no other.
        too_late: the platform no longer knows that id.
    """

    window: bool = False
    long_term: bool = False
    credits: int = 0
    templates_left: bool = True
    masses_left: bool = True
    no_mass: str = ""
    only: str = ""
    too_late: bool = False


@dataclass(frozen=True, slots=True)
class ModeClosed:
    """A mode that can't be used for this card.

    Attributes:
        mode: which.
        reason: why, in Chinese.
        code: the platform's or ours.
        stops: the configuration is at fault: mending it would open the mode for everybody.
    """

    mode: str
    reason: str
    code: str
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is possible.

    Attributes:
        single: modes that reach one follower, in the order to try them.
        mass: what none of those takes may wait for the mass message.
        closed: the others, by name.
    """

    single: tuple[Mode, ...]
    mass: bool
    closed: Mapping[Mode, ModeClosed]


def plan_of(settings: ModeSettings, chances: Chances) -> Plan:
    """Which modes may be tried for this follower.

    Args:
        settings: the account's modes, in order, and its templates.
        chances: of the follower.
    """
    closed = {
        mode: ModeClosed(mode, why, code)
        for mode in settings.modes
        if (found := _why_not(mode, settings, chances))
        for why, code in [found]
    }
    left = [mode for mode in settings.modes if mode not in closed]
    return Plan(tuple(mode for mode in left if mode != "mass"), "mass" in left, closed)


def _why_not(mode: Mode, settings: ModeSettings, chances: Chances) -> tuple[str, str] | None:
    """The first reason against a mode, with its code."""
    if chances.only and mode != chances.only:
        return "上一次发送没有得到答复，须用原来的方式再发", "wechat.same_key"
    if chances.only and chances.too_late:
        return "上一次发送没有得到答复，平台已不再认得它，再发可能重复", "wechat.same_key"
    reasons: Mapping[Mode, Sequence[tuple[bool, str, str]]] = {
        "custom": [(chances.window, "用户的客服窗口没有打开", "wechat.window")],
        "subscribe_long": [
            (
                bool(settings.long_term_template_id),
                "没有设置 wechat.long_term_template_id",
                "wechat.template_id",
            ),
            (chances.long_term, "用户没有同意长期订阅通知", "wechat.consent"),
        ],
        "subscribe_once": [
            (
                bool(settings.one_time_template_id),
                "没有设置 wechat.one_time_template_id",
                "wechat.template_id",
            ),
            (chances.credits > 0, "用户没有剩余的一次性订阅", "wechat.credit"),
        ],
        "template": [
            (bool(settings.template_id), "没有设置 wechat.template_id", "wechat.template_id"),
            (chances.templates_left, "今日的模板消息已用完", "wechat.quota"),
        ],
        "mass": [
            (chances.masses_left, "该用户本月的群发条数已用完", "wechat.quota"),
            (not chances.no_mass, chances.no_mass, "wechat.mass_alone"),
        ],
    }
    return next(((why, code) for holds, why, code in reasons[mode] if not holds), None)


def said(closed: Sequence[ModeClosed], most: int = 500) -> str:
    """The reasons in one line, for the attempt that is kept."""
    return "；".join(f"{MODE_WORDS.get(each.mode, each.mode)}：{each.reason}" for each in closed)[:most]
