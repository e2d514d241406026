"""What may stand in an envelope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.channels.email.addresses import BadAddressError, parse_mailbox


@pytest.mark.parametrize(
    ("address", "ready"),
    [
        ("zhang.san@example.cn", "zhang.san@example.cn"),
        ("b+v1.k.x-y_z=@Bounce.Example.CN", "b+v1.k.x-y_z=@bounce.example.cn"),
        ("读者@example.cn", "读者@example.cn"),
        ('"a b"@example.cn', '"a b"@example.cn'),
        ("root@localhost", "root@localhost"),
    ],
)
def test_good_addresses(address: str, ready: str) -> None:
    assert parse_mailbox(address).address == ready


def test_a_chinese_domain_goes_out_in_ascii() -> None:
    domain = parse_mailbox("reader@大数据.中国").domain
    assert domain.startswith("xn--")
    assert domain.endswith(".xn--fiqs8s")


def test_only_the_local_part_asks_for_smtputf8() -> None:
    assert parse_mailbox("读者@example.cn").needs_smtputf8
    assert not parse_mailbox("reader@大数据.中国").needs_smtputf8


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "@example.cn",
        "a@",
        "a@b@c",
        "a b@example.cn",
        "a@exa mple.cn",
        "a@example.cn>",
        "<a@example.cn>",
        "a@example.cn\r\nRCPT TO:<b@example.cn>",
        "a\n@example.cn",
        "a\x00@example.cn",
        "a\x85@example.cn",
        "a\u2028@example.cn",
        "a@exa\u2029mple.cn",
        "a..b@example.cn",
        ".a@example.cn",
        "a@-example.cn",
        "a@example..cn",
        "a" * 65 + "@example.cn",
        "a@" + "b." * 130 + "cn",
        "a@\udcff.cn",
        "a, b@example.cn",
    ],
)
def test_refused(address: str) -> None:
    with pytest.raises(BadAddressError) as caught:
        parse_mailbox(address)
    assert address == "" or address not in str(caught.value)


@given(st.text(max_size=80))
def test_nothing_else_is_raised_and_nothing_dangerous_passes(address: str) -> None:
    try:
        ready = parse_mailbox(address).address
    except BadAddressError:
        return
    assert not any(c in ready for c in "\r\n\x00<>\x7f\u2028\u2029")
