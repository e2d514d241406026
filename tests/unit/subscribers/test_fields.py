"""What a person's fields may hold, as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.making import DSJ

from bdnews_dispatch.errors import ImportFileError
from bdnews_dispatch.subscribers.exporting import harmless
from bdnews_dispatch.subscribers.fields import (
    FieldError,
    SectionNames,
    Wish,
    masked,
    read_address,
    read_cadence,
    read_channel,
    read_name,
)
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice
from bdnews_dispatch.subscribers.table import read_table

NAMES = SectionNames(DSJ)


@pytest.mark.parametrize(
    ("text", "email", "key"),
    [
        ("Zhang.San@Example.CN", "Zhang.San@example.cn", "zhang.san@example.cn"),
        ("  a@foo.test ", "a@foo.test", "a@foo.test"),
        ("x@readers.example", "x@readers.example", "x@readers.example"),
        ("张三@例子.中国", "张三@例子.中国", "张三@例子.中国"),
    ],
)
def test_addresses(text: str, email: str, key: str) -> None:
    address = read_address(text)
    assert (address.email, address.key) == (email, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@b.cn",
        "a@b",
        "a b@c.cn",
        "a@b..cn",
        "a@[1.2.3.4]",
        "a\r\nBcc: x@y.cn@z.cn",
        "a@b.cn,c@d.cn",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(FieldError) as error:
        read_address(text)
    assert error.value.code == "email.invalid"


def test_an_address_has_an_end() -> None:
    with pytest.raises(FieldError) as error:
        read_address("a" * 300 + "@b.cn")
    assert error.value.code == "email.too_long"


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("policy", ("policy",)),
        ("国策要论", ("policy",)),
        ("frontier|policy", ("policy", "frontier")),
        ("国策要论、企业动向；产业镜像", ("policy", "industry", "company")),
        (" ＰＯＬＩＣＹ , local ", ("policy", "local")),
        ("National Policy;policy", ("policy",)),
    ],
)
def test_sections_by_key_or_name_in_the_publications_order(text: str, sections: tuple[str, ...]) -> None:
    assert NAMES.read(text) == Wish(whole=False, sections=sections)


@pytest.mark.parametrize("text", ["", "*", "all", "WHOLE", "全部", " 整期 ", "policy|*"])
def test_the_whole_issue(text: str) -> None:
    assert NAMES.read(text) == Wish(whole=True)


def test_an_unknown_section_is_named_with_those_there_are() -> None:
    with pytest.raises(FieldError, match=r"体育.*国策要论"):
        NAMES.read("policy|体育")


def test_channels_and_cadences_in_both_languages() -> None:
    assert [read_channel(t) for t in ("email", "微信", "Both", "邮件和微信")] == [
        ChannelChoice.EMAIL,
        ChannelChoice.WECHAT,
        ChannelChoice.BOTH,
        ChannelChoice.BOTH,
    ]
    assert [read_cadence(t) for t in ("issue", "每周", "MONTHLY")] == [
        Cadence.ISSUE,
        Cadence.WEEKLY,
        Cadence.MONTHLY,
    ]


def test_names_are_one_line() -> None:
    assert read_name("  欧阳  \n 明 ") == "欧阳 明"
    with pytest.raises(FieldError):
        read_name("a\x00b")


def test_a_masked_address_tells_its_owner_only() -> None:
    assert masked("zhang.san@example.cn") == "z***@example.cn"


@given(st.text(max_size=60))
def test_no_cell_is_ever_a_formula(text: str) -> None:
    assert harmless(text)[:1] not in set("=+-@\t\r＝＋－＠")


@given(st.binary(max_size=300))
def test_reading_a_table_ends_whatever_the_bytes(data: bytes) -> None:
    try:
        rows = [record.row for record in read_table(data).records]
    except ImportFileError:
        return
    assert rows == sorted(rows)


def test_a_quotation_mark_that_is_never_closed_spoils_its_own_row_only() -> None:
    lines = ["email,name", 'a@x.cn,"open', *(f"b{n}@x.cn,n" for n in range(30))]
    records = list(read_table("\n".join(lines).encode()).records)
    assert [record.row for record in records] == list(range(2, 33))
    assert [record.row for record in records if record.problem] == [2]
