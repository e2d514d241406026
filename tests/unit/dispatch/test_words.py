"""Every code that a person may see has words."""

import re
from pathlib import Path

import pytest

import bdnews_dispatch
from bdnews_dispatch.dispatch import words
from bdnews_dispatch.dispatch.models import DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.subscribers.models import Cadence, Channel

SOURCES = Path(bdnews_dispatch.__file__).parent
#: Where outcomes and refusals are made.
ROOMS = ("channels/email", "channels/wechat", "dispatch")


def test_every_state_kind_and_channel_has_words() -> None:
    assert set(words.DELIVERY_STATES) == set(DeliveryState)
    assert set(words.DISPATCH_STATES) == set(DispatchState)
    assert set(words.KINDS) == set(DispatchKind)
    assert set(words.CHANNELS) == set(Channel)


def test_every_code_of_an_outcome_has_words() -> None:
    made = re.compile(r'(?:Outcome\(\s*OutcomeKind\.[A-Z_]+,\s*|code=|lost_\w+_dot\(|reason = )"([a-z_.]+)"')
    codes = {
        code
        for room in ROOMS
        for file in (SOURCES / room).glob("*.py")
        for code in made.findall(file.read_text("utf-8"))
    }
    assert len(codes) > 15
    assert {code for code in codes if not words.reason_words(code)} <= {"gate.closed"}  # never a row's reason


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("", ""),
        ("suppressed", "在停发名单中（suppressed）"),
        ("550", "对方拒收（550）"),
        ("45015", "微信平台拒绝（45015）"),
        ("43004", "对方没有关注公众号（43004）"),
        ("retry_limit:450", "多次重试未成：对方暂时不收（retry_limit:450）"),
        ("connect.refused", "连不上对方（connect.refused）"),
        ("something new", "something new"),
        *((f"cadence_{cadence}", None) for cadence in Cadence),
    ],
)
def test_a_reason_is_words_with_its_code(code: str, shown: str | None) -> None:
    assert words.reason(code) == shown or (shown is None and words.reason(code) != code)
