"""The bytes that go out."""

import pytest

from bdnews_dispatch.channels.email.message import UnfitMessageError, on_the_wire


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\n\r\n", b"a\r\r\n", b"\n"])
def test_a_bare_cr_or_lf_is_refused(message: bytes) -> None:
    with pytest.raises(UnfitMessageError) as caught:
        on_the_wire(message)
    assert caught.value.code == "message.line_ending"


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_dots_are_doubled(message: bytes, wire: bytes) -> None:
    assert on_the_wire(message) == wire
