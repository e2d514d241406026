"""What a person's fields may hold, as people type them."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.making import DSJ

from bdnews_dispatch.subscribers.fields import (
    FieldError,
    SectionNames,
    Wish,
    address_key,
    masked,
    read_address,
    read_attribute,
    read_cadence,
    read_channel,
    read_language,
    read_name,
    read_tags,
)
from bdnews_dispatch.subscribers.formulas import harmless, plain
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice

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


@given(st.text(max_size=60).map(lambda text: text.strip()).filter(lambda text: not text.startswith("'")))
def test_what_was_made_harmless_is_taken_back(text: str) -> None:
    assert plain(harmless(text)) == text


def _as_the_library_reads(text: str) -> str | None:
    try:
        checked = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return checked.normalized if len(text.strip()) <= 254 and len(checked.normalized) <= 254 else None


_LOCAL = st.text("abcXYZ019.!#$%&'*+/=?^_`{|}~-\" @\\é张", max_size=70)
_DOMAIN = st.text("abcXYZ019.-_ @[]é例。", max_size=80)


@given(
    st.one_of(
        st.emails(),
        st.builds("{}@{}".format, _LOCAL, _DOMAIN),
        st.builds(
            "{}@{}".format,
            _LOCAL,
            st.sampled_from(["qq.com", "GOV.cn", "x.test", "a.local", "xn--fsqu00a.xn--fiqs8s"]),
        ),
        st.text(max_size=80),
    )
)
@settings(max_examples=2_000)
def test_the_quick_way_takes_what_the_library_takes_and_writes_it_so(text: str) -> None:
    try:
        email = read_address(text).email
    except FieldError:
        email = None
    assert email == _as_the_library_reads(text.strip())


def test_a_domain_is_the_same_in_either_form() -> None:
    assert read_address("A@xn--fsqu00a.xn--fiqs8s").key == read_address("a@例子.中国").key == "a@例子.中国"
    assert address_key(" A@XN--FSQU00A.xn--fiqs8s ") == "a@例子.中国"
    assert address_key(" No Address ") == "no address"
    assert read_address("Zhang@Gov.CN").email == "Zhang@gov.cn"


def test_languages_tags_and_attributes() -> None:
    assert [read_language(text) for text in ("中文", "EN", "zh-CN")] == ["zh", "en", "zh"]
    assert read_tags("专家；贵州 | 专家,大数据") == ("专家", "贵州", "大数据")
    assert read_attribute("单位", " 贵州省  大数据局 ") == "贵州省 大数据局"
    for wrong in (
        lambda: read_language("fr"),
        lambda: read_tags("长" * 41),
        lambda: read_attribute("a", "长" * 201),
    ):
        with pytest.raises(FieldError):
            wrong()
