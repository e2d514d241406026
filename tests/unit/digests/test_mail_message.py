"""The encoded mail, parsed back by a reader's program, is what was meant, whoever the recipient is."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import css_inline
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from tests.unit.digests.digest_samples import HEADERS, digest_of, slots

from bdnews_dispatch.channels.email import on_the_wire
from bdnews_dispatch.digests import rendering
from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.digests.message import Headers, Slots, Variant
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.digests.slots import SENTINELS, shown_name
from bdnews_dispatch.shipped import shipped

VARIANT = render_digest(digest_of("policy", "local", "company"), HEADERS, track=True)
HOSTILE_NAMES = [
    "",
    "李四",
    '"quoted" <b@c.example>, x',
    "<script>alert(1)</script>",
    "a\r\nBcc: victim@x.example\r\n\r\nbody",
    "👨‍👩‍👧‍👦 家\u2028庭\u2029",
    "".join(SENTINELS.values()),
    "长" * 1000,
    "\x00\x7f\x85\ud800",
    "=?utf-8?b?5p2O?=",
    "Zoë O'Neil & Söhne, Inc.",
    "e" + "\u0301" * 500,
    "\u202egnp.exe",
]
names = st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE_NAMES), st.text(min_size=900, max_size=1000))


class Events(HTMLParser):
    """What a browser reads: tags with their attributes, and the words between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=default)
    assert not message.defects
    return message


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def shown_to(raw: bytes) -> str:
    """The To header as RFC 2047 has it decoded."""
    return " ".join(str(make_header(decode_header(message_from_bytes(raw)["To"]))).split())


def filled(text: str, values: Slots) -> str:
    """The same text with the slots replaced in the plainest way."""
    for name, character in SENTINELS.items():
        value = "" if name == "pixel" else getattr(values, name)
        text = text.replace(character, shown_name(value) if name == "recipient_name" else value)
    return text


@settings(max_examples=60, deadline=None)
@given(name=names, eight_bit=st.booleans())
@example(name=HOSTILE_NAMES[4], eight_bit=True)
@example(name=HOSTILE_NAMES[6], eight_bit=True)
@example(name=HOSTILE_NAMES[7], eight_bit=True)
@example(name=HOSTILE_NAMES[8], eight_bit=False)
@example(name=HOSTILE_NAMES[11], eight_bit=True)
def test_any_recipient_gets_exactly_their_mail(name: str, eight_bit: bool) -> None:
    values = slots(name)
    raw = VARIANT.assemble(values, eight_bit=eight_bit)
    message = parsed(raw)

    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert eight_bit or raw.isascii()
    assert message["To"].addresses[0].addr_spec == values.recipient_address
    assert shown_to(raw) == f"{shown_name(name)} <{values.recipient_address}>".strip()
    # Python 3.11 puts a space between the encoded words of one phrase, against RFC 2047 §6.2.
    assert message["To"].addresses[0].display_name.replace(" ", "") == shown_name(name).replace(" ", "")
    assert len(message["To"].addresses) == 1
    assert message["Subject"] == VARIANT.subject
    assert "Bcc" not in message
    assert part(message, "plain").rstrip("\n") == filled(VARIANT.text, values).rstrip("\n")
    got, meant = Events(part(message, "html")), Events(VARIANT.html)
    assert got.words.split() == filled(meant.words, values).split()
    assert got.tags == [
        (tag, tuple((key, None if value is None else filled(value, values)) for key, value in attributes))
        for tag, attributes in meant.tags
    ]


def test_the_headers_that_bulk_mail_must_carry() -> None:
    message = parsed(VARIANT.assemble(slots(), eight_bit=True))
    values = slots()
    assert message.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["From"].addresses[0].display_name == "水务动态"
    assert message["Reply-To"] == "desk@water.example"
    assert message["Message-ID"] == "<d77.27@water.example>"
    assert message["Date"].datetime == HEADERS.date
    assert message["MIME-Version"] == "1.0"
    assert message["List-Unsubscribe"] == (
        f"<mailto:unsubscribe+d77@water.example?subject=unsubscribe>, <{values.one_click_url}>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "水务动态 <water.lists.water.example>"
    assert message["Archived-At"] == "<https://water.example/issues/27>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] == "bulk"
    assert message["Feedback-ID"] == "27:water:digest:wtr"
    assert message["X-Entity-Ref-ID"] == "d77"


def test_list_unsubscribe_is_never_an_encoded_word() -> None:
    raw = VARIANT.assemble(slots(), eight_bit=True)
    found = re.search(rb"^List-Unsubscribe:(.*(?:\r\n .*)*)", raw, re.MULTILINE)
    assert found is not None
    assert b"=?" not in found[1]
    assert all(len(line) <= 998 for line in found[0].split(b"\r\n"))


@settings(max_examples=80, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(st.characters(), st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)),
        max_size=200,
    )
)
def test_any_subject_survives(subject: str) -> None:
    variant = Variant(subject=subject, html="<p>x</p>", text="x\n", headers=HEADERS)
    raw = variant.assemble(slots(), eight_bit=True)
    assert parsed(raw)["Subject"] == variant.subject
    assert all(len(line) <= 78 for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if b"http" not in line)


def test_a_header_brings_no_control_character() -> None:
    variant = Variant(subject="甲\r\nBcc: x@y.example\u2028乙\x00", html="x", text="x", headers=HEADERS)
    assert variant.subject == "甲 Bcc: x@y.example 乙"
    assert "Bcc" not in parsed(variant.assemble(slots(), eight_bit=True))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no-at",
        "a b@x.example",
        "a@x.example, b@x.example",
        "a@x.example>\r\nBcc: b@x.example",
        "<a@x.example>",
        "a@",
    ],
)
def test_an_address_that_breaks_out_of_its_header_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="mail"):
        VARIANT.assemble(slots(address=address), eight_bit=True)


def test_addresses_beyond_ascii() -> None:
    domain = parsed(VARIANT.assemble(slots(address="li@例子.cn"), eight_bit=True))
    assert domain["To"].addresses[0].addr_spec == "li@xn--fsqu00a.cn"
    assert b"<\xe6\x9d\x8e@x.example>" in VARIANT.assemble(slots("", "李@x.example"), eight_bit=True)


@pytest.mark.parametrize(
    "field",
    ["click_url", "web_url", "one_click_url", "message_id", "delivery_reference", "unsubscribe_mailto"],
)
@pytest.mark.parametrize("value", ["javascript:alert(1)\r\nX: y", "", "https://x.example/ <b>", "x" * 5000])
def test_our_own_values_are_held_to_their_form(field: str, value: str) -> None:
    values = slots()._asdict()
    with pytest.raises(ValueError, match=field):
        VARIANT.assemble(Slots(**(values | {field: value})), eight_bit=True)


def test_a_wrong_list_id_is_refused_once_for_all() -> None:
    wrong = Headers(
        from_name="x", from_address="a@x.example", list_id="a b", feedback_id="", date=HEADERS.date
    )
    with pytest.raises(ValueError, match="list_id"):
        Variant(subject="x", html="x", text="x", headers=wrong)


def test_the_preview_shows_what_is_sent() -> None:
    subject, html, text = VARIANT.preview(slots())
    message = parsed(VARIANT.assemble(slots(), eight_bit=True))
    assert subject == message["Subject"]
    assert html.rstrip("\n") == part(message, "html").rstrip("\n")
    assert text.rstrip("\n") == part(message, "plain").rstrip("\n")


def test_both_encodings_carry_the_same_words() -> None:
    plain, coded = (parsed(VARIANT.assemble(slots(), eight_bit=flag)) for flag in (True, False))
    for kind in ("plain", "html"):
        assert part(plain, kind).split() == part(coded, kind).split()


def test_it_is_the_same_message_on_every_try() -> None:
    assert VARIANT.assemble(slots(), eight_bit=True) == VARIANT.assemble(slots(), eight_bit=True)


def _with_values(value: Any, values: Slots) -> Any:
    """A template's context with a recipient's own values where the slots' characters stand."""
    match value:
        case dict():
            return {key: _with_values(item, values) for key, item in value.items()}
        case list() | tuple():
            return [_with_values(item, values) for item in value]
        case str() if value == SENTINELS["pixel"]:
            return Markup('<img src="{}" width="1" height="1" alt="">').format(values.pixel_url)
        case str():
            return filled(value, values)
        case _:
            return value


def _rendered_plainly(digest: Digest, values: Slots) -> EmailMessage:
    """What most programs do for each recipient: Jinja2 with the values themselves, and EmailMessage."""
    context = _with_values(rendering._context(digest, "zh", track=True, reason=""), values)
    html_templates, text_templates = rendering.environments(shipped("templates") / "email")
    html = (
        css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False, minify_css=True)
        .inline(html_templates.get_template("digest/body.html").render(context))
        .replace(' data-css-inline="keep"', "")
    )
    message = EmailMessage()
    message["From"] = Address("水务动态", addr_spec="digest@water.example")
    message["To"] = Address(shown_name(values.recipient_name), addr_spec=values.recipient_address)
    message["Subject"] = text_templates.get_template("digest/subject.txt").render(context).strip()
    message["Message-ID"] = f"<{values.message_id}>"
    message["List-Unsubscribe"] = (
        f"<mailto:{values.unsubscribe_mailto}?subject=unsubscribe>, <{values.one_click_url}>"
    )
    message["X-Entity-Ref-ID"] = values.delivery_reference
    message.set_content(text_templates.get_template("digest/body.txt").render(context), cte="base64")
    message.add_alternative(html, subtype="html", cte="base64")
    return message


@settings(max_examples=40, deadline=None)
@given(
    name=names, address=st.sampled_from(["a@b.example", "o'neil+x&y@gov.example"]), eight_bit=st.booleans()
)
@example(name="<b>&\"'.", address="a@b.example", eight_bit=True)
@example(name="", address="a@b.example", eight_bit=True)
def test_the_joined_mail_is_the_one_rendered_plainly(name: str, address: str, eight_bit: bool) -> None:
    values = slots(name, address, pixel="https://water.example/o/t.gif?a=1&b=2")
    joined = parsed(VARIANT.assemble(values, eight_bit=eight_bit))
    plain = _rendered_plainly(digest_of("policy", "local", "company"), values)
    for field in ("Subject", "Message-ID", "List-Unsubscribe", "X-Entity-Ref-ID"):
        assert joined[field] == plain[field]
    for field in ("From", "To"):
        assert joined[field].addresses[0].addr_spec == plain[field].addresses[0].addr_spec
    assert part(joined, "plain").split() == part(plain, "plain").split()
    got, meant = Events(part(joined, "html")), Events(part(plain, "html"))
    assert got.words.split() == meant.words.split()
    # <wbr> is where folding let a line of text end that was longer than a mail's may be.
    assert [tag for tag in got.tags if tag[0] != "wbr"] == meant.tags


@settings(max_examples=80, deadline=None)
@given(
    name=st.one_of(names, st.sampled_from([".", "..", ".a"])),
    text=st.lists(st.sampled_from(["", ".", "..", "a", SENTINELS["recipient_name"], "\n"]), max_size=12).map(
        "".join
    ),
    eight_bit=st.booleans(),
)
@example(name="", text=SENTINELS["recipient_name"] * 2 + ".", eight_bit=True)
@example(name=".", text="\n" + SENTINELS["recipient_name"], eight_bit=True)
def test_on_the_wire_every_line_that_begins_with_a_dot_has_it_doubled(
    name: str, text: str, eight_bit: bool
) -> None:
    variant = Variant(subject="x", html=f"<p>{text}</p>\n{text}", text=text + "\n", headers=HEADERS)
    plain = variant.assemble(slots(name), eight_bit=eight_bit)
    assert variant.on_the_wire(slots(name), eight_bit=eight_bit) == on_the_wire(plain)
