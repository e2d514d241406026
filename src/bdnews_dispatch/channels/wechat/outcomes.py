"""From what the platform said to an `Outcome`. Called by channel.py."""

from datetime import datetime, timedelta

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.client import PlatformError, UnreachableError
from bdnews_dispatch.channels.wechat.codes import Action, row_for
from bdnews_dispatch.channels.wechat.modes import ModeClosed
from bdnews_dispatch.clock import beijing

#: Behind -1 and HTTP 503.
_BACK_OFF_SECONDS = 30.0
#: The server "is currently unable to handle the request" (RFC 9110, 15.6.4): it has not been handled.
_NOT_HANDLED = "http.503"
#: After a timeout: well inside the ten minutes for which the platform remembers a client_msg_id.
_SAME_KEY_SECONDS = 60.0
#: `Outcome.rule` of a call whose answer was lost and that is made again: by the same mode, under the same id.
SAME_KEY = "wechat.same_key"
#: The mode whose calls the platform knows again by their id.
REPEATABLE = "template"
#: 43117: the platform doesn't say how long; a quarter of a day lets an evening's card go out the next
#: morning.
_USER_SECONDS = 6 * 3600.0


def outcome_of(error: PlatformError, *, mode: str, now: datetime, openid: str) -> Outcome | ModeClosed:
    """What an error code means for this card.

    Args:
        error: the platform's answer.
        mode: by which mode the card was tried.
        now: for the next minute and the next day.
        openid: taken out of the text.
    """
    row, code = row_for(error.code), str(error.code)
    text = f"{row.words}：{error.text.replace(openid, '…')}" + (f" rid: {error.rid}" if error.rid else "")
    text = text[:500]

    def deferred(seconds: float, scope: str = "") -> Outcome:
        return Outcome(OutcomeKind.DEFERRED, code, text, mode, retry_after=seconds, scope=scope)

    match row.action:
        case Action.BACK_OFF:
            return deferred(_BACK_OFF_SECONDS)
        case Action.NEXT_MINUTE:
            return deferred(60.0 - now.second - now.microsecond / 1e6, "channel")
        case Action.NEXT_DAY:
            return deferred(seconds_to_midnight(now), "channel")
        case Action.DEFER_USER:
            return deferred(_USER_SECONDS, "address")
        case Action.SUPPRESS:
            return Outcome(OutcomeKind.REFUSED, code, text, mode, remedy=Remedy.SUPPRESS)
        case Action.NEXT_MODE:
            return ModeClosed(mode, text, code)
        case Action.MODE_OFF:
            return ModeClosed(mode, text, code, stops=True)
        case Action.DONE:
            return Outcome(OutcomeKind.ACCEPTED, code, text, mode, reference=_message_id(error))
        case Action.AWAIT:
            return Outcome(OutcomeKind.UNCERTAIN, code, text, mode)
        case Action.STOP | Action.RENEW | Action.PERSON:
            # RENEW: client.py has renewed and tried again, and it did not help.
            return Outcome(OutcomeKind.UNAVAILABLE, code, text, mode, remedy=Remedy.STOP_CHANNEL)
        case Action.CONTENT | Action.REFUSE | Action.ASK_USER:
            return Outcome(OutcomeKind.REFUSED, code, text, mode)


def unreachable(error: UnreachableError, *, mode: str) -> Outcome:
    """No answer: a template carries a client_msg_id, so the call is made again; what carries none is in doubt."""
    if error.of_token or (error.code == "connect.refused"):
        return Outcome(OutcomeKind.UNAVAILABLE, error.code, error.message, mode)
    if error.may_have_arrived and mode == REPEATABLE:
        return Outcome(
            OutcomeKind.DEFERRED,
            error.code,
            error.message,
            mode,
            retry_after=_SAME_KEY_SECONDS,
            rule=SAME_KEY,
        )
    if error.may_have_arrived and error.code != _NOT_HANDLED:
        return Outcome(OutcomeKind.UNCERTAIN, error.code, f"{error.message}，可能已经送达", mode)
    return Outcome(OutcomeKind.DEFERRED, error.code, error.message, mode, retry_after=_BACK_OFF_SECONDS)


def seconds_to_midnight(now: datetime) -> float:
    """To the next 00:00 in Shanghai, where the platform's days begin."""
    local = beijing(now)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - local).total_seconds()


def _message_id(error: PlatformError) -> str:
    return str(error.answer.get("msgid") or error.answer.get("msg_id") or "")
