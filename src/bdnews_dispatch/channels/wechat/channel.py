"""Cards go out here: the modes an account may use, tried in order, until one takes the card.

In: an `OutgoingCard` and the ledger's gate. Out: an `Outcome`; no exception for anything the platform does.
Called by dispatch/.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

import aiohttp
from pydantic import SecretStr

from bdnews_dispatch.channels.outcome import Gate, Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.card import OutgoingCard
from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, PlatformError, UnreachableError
from bdnews_dispatch.channels.wechat.codes import Action, row_for
from bdnews_dispatch.channels.wechat.fields import FieldError, clean, shorten, template_data
from bdnews_dispatch.channels.wechat.outcomes import ModeClosed, outcome_of, unreachable
from bdnews_dispatch.channels.wechat.token import TokenStore
from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.errors import ChannelError

_log = logging.getLogger(__name__)

#: An article's title and description. The platform refuses what is too long (45003, 45004) without publishing
#: where; these are the limits WeCom publishes for the same card (128 and 512 bytes), in Hanzi.
_TITLE_LIMIT = 42
_DESCRIPTION_LIMIT = 120

Mode = Literal["custom", "template"]


class ChannelSettings(Protocol):
    """What the channel reads of `WeChatSettings`."""

    @property
    def api_base(self) -> str: ...
    @property
    def appid(self) -> str: ...
    @property
    def secret(self) -> SecretStr: ...
    @property
    def modes(self) -> tuple[Mode, ...]: ...
    @property
    def template_id(self) -> str: ...
    @property
    def template_fields(self) -> Mapping[str, str]: ...
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
            "template": self._send_template,
        }

    async def send(self, card: OutgoingCard, gate: Gate) -> Outcome:
        """Send one card by the first mode that takes it.

        Args:
            card: what and to whom.
            gate: asked once, when a token is there and a mode is possible, before the first call that sends.

        Returns:
            What happened; `mode` says how it went out. Where no mode is possible: REFUSED `wechat.no_mode`
            with the reason of each.

        Raises:
            Exception: what `gate` raises; nothing was sent then.
            asyncio.CancelledError: after the gate the delivery is in doubt.
        """
        outcome = await self._send(card, gate)
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

    async def _send(self, card: OutgoingCard, gate: Gate) -> Outcome:
        closed = self._closed_modes(card)
        modes = [mode for mode in self._settings.modes if mode not in closed]
        if modes:
            try:
                await self.client.token()
            except (PlatformError, UnreachableError) as error:
                return self._failed(error, card, modes[0])
            if not await gate():
                return Outcome(OutcomeKind.GATE_CLOSED, "gate.closed")
        for mode in modes:
            try:
                reference = await self._modes[mode](card)
            except FieldError as error:
                closed[mode] = ModeClosed(mode, str(error), "wechat.field")
            except PlatformError as error:
                result = await self._answered(error, card, mode)
                if isinstance(result, Outcome):
                    return result
                closed[mode] = result
            except UnreachableError as error:
                return self._failed(error, card, mode)
            else:
                return Outcome(OutcomeKind.ACCEPTED, "0", "", mode, reference=reference)
        return _no_mode([closed[mode] for mode in self._settings.modes])

    async def check(self) -> str:
        """Get a token, and see that the template is there: for `bdnews doctor`.

        Returns:
            What the platform said, one line.

        Raises:
            ChannelError: it can't be used; the text says what to do.
        """
        await self.client.token()
        parts = [f"{self._settings.api_base}，appid {self._settings.appid}：access_token 正常"]
        if "template" in self._settings.modes:
            if not self._settings.template_id:
                raise ChannelError(
                    "没有设置模板编号", hint="请填写 wechat.template_id，或从 wechat.modes 去掉 template。"
                )
            answer = await self.client.template.get_all_private_template()
            known = {row.get("template_id") for row in answer.get("template_list", [])}
            if self._settings.template_id not in known:
                raise ChannelError(
                    f"公众号里没有 wechat.template_id 这个模板（共有 {len(known)} 个）",
                    hint="请在公众平台“模板消息”里核对模板编号。",
                )
            parts.append("模板可用")
        return "，".join(parts)

    def _closed_modes(self, card: OutgoingCard) -> dict[Mode, ModeClosed]:
        closed: dict[Mode, ModeClosed] = {}
        if not card.window_open:
            closed["custom"] = ModeClosed("custom", "用户的客服窗口没有打开", "wechat.window")
        if not self._settings.template_id:
            closed["template"] = ModeClosed("template", "没有设置 wechat.template_id", "wechat.template_id")
        return closed

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


def _no_mode(closed: list[ModeClosed]) -> Outcome:
    """Every mode said no; where mending the configuration would help, a person is asked, else this user is
    left.
    """
    text = (
        "；".join(f"{each.mode}：{each.reason}" for each in closed) or "没有设置任何发送方式（wechat.modes）"
    )
    off = next((each for each in closed if each.stops), None)
    if off is not None or not closed:
        code = off.code if off else "wechat.no_mode"
        return Outcome(OutcomeKind.UNAVAILABLE, code, text[:500], remedy=Remedy.STOP_CHANNEL)
    return Outcome(OutcomeKind.REFUSED, "wechat.no_mode", text[:500])
