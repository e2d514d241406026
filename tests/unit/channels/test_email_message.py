"""The bytes that go out."""

import pytest

from bdnews_dispatch.channels.email.message import fault_of, on_the_wire


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\n\r\n", b"a\r\r\n", b"\n"])
def test_a_bare_cr_or_lf_is_refused(message: bytes) -> None:
    fault = fault_of(message, eight_bit=True)
    assert fault is not None
    assert fault[0] == "message.line_ending"


def test_eight_bit_needs_a_relay_that_takes_it() -> None:
    message = "Subject: x\r\n\r\n大数据\r\n".encode()
    assert fault_of(message, eight_bit=True) is None
    assert fault_of(message, eight_bit=False) is not None


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
    ],
)
def test_dots_are_doubled(message: bytes, wire: bytes) -> None:
    assert on_the_wire(message) == wire
