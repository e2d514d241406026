"""Cards go out here: the modes an account may use, tried in order, until one takes the card.

In: an `OutgoingCard` and the ledger's gate. Out: an `Outcome`; no exception for anything the platform does.
Called by dispatch/.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import aiohttp
from pydantic import SecretStr

from bdnews_dispatch.channels.outcome import Gate, Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.card import OutgoingCard
from bdnews_dispatch.channels.wechat.checking import check_account
from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, PlatformError, UnreachableError
from bdnews_dispatch.channels.wechat.codes import Action, row_for
from bdnews_dispatch.channels.wechat.fields import FieldError, clean, shorten, template_data
from bdnews_dispatch.channels.wechat.modes import Mode, ModeClosed, ModeSettings, Plan, plan_of, said
from bdnews_dispatch.channels.wechat.outcomes import SAME_KEY, outcome_of, unreachable
from bdnews_dispatch.channels.wechat.token import TokenStore
from bdnews_dispatch.clock import Clock, system_clock

_log = logging.getLogger(__name__)

#: An article's title and description. The platform refuses what is too long (45003, 45004) without publishing
#: where; these are the limits WeCom publishes for the same card (128 and 512 bytes), in Hanzi.
_TITLE_LIMIT = 42
_DESCRIPTION_LIMIT = 120

#: Behind a mode that was closed after the gate: gives back what it had taken, takes what the next one needs (None:
#: there is none). False: the next one has run out meanwhile.
Switch = Callable[[ModeClosed, Mode | None], Awaitable[bool]]

#: Set aside for the mass message of the dispatch: its delivery waits under this code, for at most so long.
MASS_ASIDE = "wechat.mass"
MASS_ASIDE_SECONDS = 600.0
#: Behind a call whose answer was lost, these change nothing: the same call is still to be made again.
_STILL_OWED = {OutcomeKind.DEFERRED, OutcomeKind.UNAVAILABLE, OutcomeKind.GATE_CLOSED}


async def _always(_: ModeClosed, __: Mode | None) -> bool:
    return True


class ChannelSettings(ModeSettings, Protocol):
    """What the channel reads of `WeChatSettings`."""

    @property
    def api_base(self) -> str: ...
    @property
    def appid(self) -> str: ...
    @property
    def secret(self) -> SecretStr: ...
    @property
    def template_fields(self) -> Mapping[str, str]: ...
    @property
    def long_term_fields(self) -> Mapping[str, str]: ...
    @property
    def one_time_fields(self) -> Mapping[str, str]: ...
    @property
    def timeout_seconds(self) -> float: ...


class WeChatChannel:
    """One Official Account.

    Args:
        settings: `WeChatSettings`, or anything with the same fields.
        session: the process's one aiohttp session; the channel doesn't close it.
        clock: says how far it is to the next minute and to midnight in Shanghai.
        tokens: see `AsyncWeChatClient`.
    """

    def __init__(
        self,
        settings: ChannelSettings,
        session: aiohttp.ClientSession,
        *,
        clock: Clock = system_clock,
        tokens: TokenStore | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.client = AsyncWeChatClient(settings, session, tokens)
        self._modes: Mapping[Mode, Callable[[OutgoingCard], Awaitable[str]]] = {
            "custom": self._send_custom,
            "subscribe_long": self._send_long_term,
            "subscribe_once": self._send_one_time,
            "template": self._send_template,
        }

    def plan(self, card: OutgoingCard) -> Plan:
        """By which modes the card may go, before anything is tried."""
        return plan_of(self._settings, card.chances)

    async def send(self, card: OutgoingCard, gate: Gate, switch: Switch = _always) -> Outcome:
        """Send one card by the first mode that takes it.

        Args:
            card: what and to whom.
            gate: asked once, when a token is there and a mode is possible, before the first call that sends; it is
                asked for the first mode of `plan`.
            switch: asked behind each mode that the platform closes, before the next one.

        Returns:
            What happened; `mode` says how it went out. Where no mode is possible, with the reason of each: DEFERRED
            `wechat.mass` where the mass message may still take it, else REFUSED `wechat.no_mode`. Of a call that is
            made again: with the rule `SAME_KEY` while it still has to be, UNCERTAIN where it can't be any more.

        Raises:
            Exception: what `gate` raises; nothing was sent then.
            asyncio.CancelledError: after the gate the delivery is in doubt.
        """
        outcome = await self._send(card, gate, switch)
        if card.chances.only and outcome.kind in _STILL_OWED:
            outcome = outcome._replace(mode=card.chances.only, rule=SAME_KEY)
        _log.debug(
            "wechat.outcome",
            extra={
                "delivery": card.delivery_id,
                "outcome": outcome.kind.value,
                "code": outcome.code,
                "mode": outcome.mode,
            },
        )
        return outcome

    async def _send(self, card: OutgoingCard, gate: Gate, switch: Switch) -> Outcome:
        plan = self.plan(card)
        closed = dict(plan.closed)
        if plan.single:
            try:
                await self.client.token()
            except (PlatformError, UnreachableError) as error:
                return self._failed(error, card, plan.single[0])
            if not await gate():
                return Outcome(OutcomeKind.GATE_CLOSED, "gate.closed")
        left: ModeClosed | None = None
        for mode in plan.single:
            if left is not None and not await switch(left, mode):
                closed[mode] = ModeClosed(mode, "刚刚用完", "wechat.quota")
                continue
            try:
                reference = await self._modes[mode](card)
            except FieldError as error:
                left = closed[mode] = ModeClosed(mode, str(error), "wechat.field")
            except PlatformError as error:
                result = await self._answered(error, card, mode)
                if isinstance(result, Outcome):
                    return _with_reasons(result, self._before(mode, closed))
                left = closed[mode] = result
            except UnreachableError as error:
                return self._failed(error, card, mode)
            else:
                accepted = Outcome(OutcomeKind.ACCEPTED, "0", "", mode, reference=reference)
                return _with_reasons(accepted, self._before(mode, closed))
        if left is not None:
            await switch(left, None)
        if card.chances.only:
            text = said(self._ordered(closed))
            return Outcome(OutcomeKind.UNCERTAIN, SAME_KEY, text, card.chances.only)
        return _no_mode(self._ordered(closed), mass=plan.mass)

    def _before(self, mode: Mode, closed: Mapping[Mode, ModeClosed]) -> list[ModeClosed]:
        """Why the modes that come before this one were not possible."""
        earlier = self._settings.modes[: self._settings.modes.index(mode)]
        return [closed[each] for each in earlier if each in closed]

    def _ordered(self, closed: Mapping[Mode, ModeClosed]) -> list[ModeClosed]:
        return [closed[mode] for mode in self._settings.modes if mode in closed]

    async def check(self) -> str:
        """Get a token, and see that the configured templates are there: see `checking.check_account`."""
        return await check_account(self.client, self._settings)

    async def _send_custom(self, card: OutgoingCard) -> str:
        article = {
            "title": shorten(clean(card.title), _TITLE_LIMIT),
            "description": shorten(clean(card.description), _DESCRIPTION_LIMIT),
            "url": card.url,
            "image": card.picture_url,
        }
        answer = await self.client.message.send_articles(card.openid, [article])
        return str(answer.get("msgid") or "")

    async def _send_template(self, card: OutgoingCard) -> str:
        data = {
            "touser": card.openid,
            "template_id": self._settings.template_id,
            "url": card.url,
            "client_msg_id": card.client_msg_id,
            "data": template_data(self._settings.template_fields, card.fields),
        }
        # wechatpy's send_template knows no client_msg_id.
        answer = await self.client.post("message/template/send", data=data)
        return str(answer.get("msgid") or "")

    async def _send_long_term(self, card: OutgoingCard) -> str:
        return await self._send_notice(
            card, self._settings.long_term_template_id, self._settings.long_term_fields
        )

    async def _send_one_time(self, card: OutgoingCard) -> str:
        return await self._send_notice(
            card, self._settings.one_time_template_id, self._settings.one_time_fields
        )

    async def _send_notice(self, card: OutgoingCard, template_id: str, fields: Mapping[str, str]) -> str:
        """订阅通知 (Subscription_Messages/api.html): no id of ours goes along; a repeat would be a second message."""
        data = {
            "touser": card.openid,
            "template_id": template_id,
            "page": card.url,
            "data": template_data(fields, card.fields),
        }
        answer = await self.client.post("message/subscribe/bizsend", data=data)
        return str(answer.get("msgid") or "")

    async def _answered(self, error: PlatformError, card: OutgoingCard, mode: Mode) -> Outcome | ModeClosed:
        """The platform said no."""
        if row_for(error.code).action is Action.ASK_USER:
            return await self._ask_user(error, card, mode)
        return outcome_of(error, mode=mode, now=self._clock(), openid=card.openid)

    async def _ask_user(self, error: PlatformError, card: OutgoingCard, mode: Mode) -> Outcome:
        """An openid was refused: ours or not? One wrong answer must not cut a reader off."""
        text = error.text.replace(card.openid, "…")
        try:
            answer = await self.client.user.get(card.openid)
        except UnreachableError:
            return Outcome(OutcomeKind.DEFERRED, str(error.code), text, mode)
        except PlatformError as second:
            gone = row_for(second.code).action in {Action.ASK_USER, Action.SUPPRESS}
        else:
            gone = not answer.get("subscribe")
        return Outcome(
            OutcomeKind.REFUSED, str(error.code), text, mode, remedy=Remedy.SUPPRESS if gone else Remedy.NONE
        )

    def _failed(self, error: PlatformError | UnreachableError, card: OutgoingCard, mode: Mode) -> Outcome:
        if isinstance(error, UnreachableError):
            return unreachable(error, mode=mode)
        result = outcome_of(error, mode=mode, now=self._clock(), openid=card.openid)
        if isinstance(result, Outcome):
            return result
        return Outcome(OutcomeKind.UNAVAILABLE, result.code, result.reason, remedy=Remedy.STOP_CHANNEL)


def _with_reasons(outcome: Outcome, before: list[ModeClosed]) -> Outcome:
    """The outcome, with why other modes were not possible."""
    if not before:
        return outcome
    return outcome._replace(text="；".join(part for part in (outcome.text, said(before)) if part)[:500])


def _no_mode(closed: list[ModeClosed], *, mass: bool) -> Outcome:
    """No single mode took it: the mass message may; else where mending the configuration would help, a person is
    asked; else this user is left to another channel.
    """
    text = said(closed) or ("" if mass else "没有设置任何发送方式（wechat.modes）")
    off = next((each for each in closed if each.stops), None)
    if off is not None or not (closed or mass):
        code = off.code if off else "wechat.no_mode"
        return Outcome(OutcomeKind.UNAVAILABLE, code, text, remedy=Remedy.STOP_CHANNEL)
    if mass:
        return Outcome(OutcomeKind.DEFERRED, MASS_ASIDE, text, "mass", retry_after=MASS_ASIDE_SECONDS)
    return Outcome(OutcomeKind.REFUSED, "wechat.no_mode", text, remedy=Remedy.OTHER_CHANNEL)
