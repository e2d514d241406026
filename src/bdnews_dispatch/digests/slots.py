"""Slots: what differs between two recipients of a variant, and how a value is escaped for its place.

In: a recipient's values, hostile. Out: octets by place, all checked or cleaned. Callers: message, headers,
folding.

A slot is one character of the private use area that rendering takes out of all data, so what is found in a
template's output was put there by the template.
"""

import html as html_escapes
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from bdnews_dispatch.digests.typography import first_graphemes

#: Supplementary Private Use Area-B; no font and no input method gives these.
FIRST_SLOT: Final = 0x10F700
LAST_SLOT: Final = 0x10F7FF
#: The most octets that a slot's value may take where it stands, escaped. Keeps every line under 998 octets.
SLOT_OCTETS: Final = 640
#: The same for a name or an address that is not escaped: 80 code points of four octets; 64 + @ + 255.
PERSON_OCTETS: Final = 320
_NAME_GRAPHEMES, _NAME_CODE_POINTS = 64, 80

#: C0, DEL, C1, line and paragraph separators, bidi controls (they turn the text around them), surrogates,
#: slots.
_UNWANTED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
    f"{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}]+"
)
WEB_ADDRESS = re.compile(r"https?://[!-;=?-~]+")
ADDRESS_LIKE = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
#: A local part without quotes, ASCII or (RFC 6531) beyond; no space, bracket, comma or control.
LOCAL_PART = re.compile(r"[^\s\x00-\x20\x7f-\x9f\"(),:;<>@\[\\\]\u2028\u2029\ud800-\udfff]+")
DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_REFERENCE = re.compile(r"[!-~]{1,200}")


class Slots(NamedTuple):
    """What differs between two recipients of a variant.

    Attributes:
        recipient_name: hostile; at most 64 characters of it are shown.
        message_id: without <>; the same on every try.
        click_url: prefix: link n is f"{click_url}/{n}".
        pixel_url: "": no pixel.
        web_url, preferences_url, unsubscribe_url: pages for this reader.
        one_click_url: target of RFC 8058's POST.
        unsubscribe_mailto: the address in List-Unsubscribe's mailto.
        delivery_reference: X-Entity-Ref-ID.
    """

    recipient_name: str
    recipient_address: str
    message_id: str
    click_url: str
    pixel_url: str
    web_url: str
    preferences_url: str
    unsubscribe_url: str
    one_click_url: str
    unsubscribe_mailto: str
    delivery_reference: str


#: Name of the slot → the character that stands for it in a template's output.
SENTINELS: Final[Mapping[str, str]] = {
    **{name: chr(FIRST_SLOT + number) for number, name in enumerate(Slots._fields)},
    "pixel": chr(FIRST_SLOT + 0x40),
}
#: Every place where a slot may stand; `slot_values` gives a value for each, in this order.
PLACES: Final = (
    "header:recipient_address",
    "header:message_id",
    "header:one_click_url",
    "header:unsubscribe_mailto",
    "header:delivery_reference",
    "text:recipient_name",
    "html:recipient_name",
    "text:recipient_address",
    "html:recipient_address",
    "html:pixel",
    "text:click_url",
    "text:pixel_url",
    "text:web_url",
    "text:preferences_url",
    "text:unsubscribe_url",
    "html:click_url",
    "html:pixel_url",
    "html:web_url",
    "html:preferences_url",
    "html:unsubscribe_url",
)
_PAGES = ("click_url", "pixel_url", "web_url", "preferences_url", "unsubscribe_url")
_FIRST_PAGE = Slots._fields.index(_PAGES[0])
_BEHIND_PAGES = _FIRST_PAGE + len(_PAGES)
#: What our own links and ids look like, one a line: HTML and headers take them as they are.
_PLAIN = re.compile(
    r"(?:https?://[A-Za-z0-9.:/_~?=%+-]{1,500}\n){6}"
    r"[A-Za-z0-9._+-]{1,200}@[A-Za-z0-9.-]{1,255}\n[A-Za-z0-9@+._-]{3,320}\n[A-Za-z0-9._-]{1,200}"
)
_HTML_SPECIAL = re.compile("[&<>\"']")


def slot_values(slots: Slots, to: str, name: str) -> tuple[bytes, ...]:
    """Every slot's value for every place where a slot may stand, in the order of PLACES.

    Args:
        slots: a recipient's.
        to: the value of the To header.
        name: the recipient's, as it is shown.

    Raises:
        ValueError: an address, URL or id can't stand in a mail.
    """
    pages = slots[_FIRST_PAGE:_BEHIND_PAGES]
    mailto = slots.unsubscribe_mailto
    ids = (slots.one_click_url, slots.message_id, mailto, slots.delivery_reference)
    in_text = [page.encode() for page in pages]
    if _PLAIN.fullmatch("\n".join(pages + ids)):
        in_html = in_text
    else:  # a base URL of a strange form, or no pixel: one by one
        in_html, mailto = _checked(slots, pages)
    pixel = in_html[1]
    address = clean(slots.recipient_address)
    return (
        to.encode(),
        slots.message_id.encode(),
        slots.one_click_url.encode(),
        mailto.encode(),
        slots.delivery_reference.encode(),
        name.encode(),
        _in_html(name),
        address.encode(),
        _in_html(address),
        b'<img src="%b" width="1" height="1" alt="">' % pixel if pixel else b"",
        *in_text,
        *in_html,
    )


def _in_html(text: str) -> bytes:
    return (html_escapes.escape(text) if _HTML_SPECIAL.search(text) else text).encode()


def _checked(slots: Slots, pages: tuple[str, ...]) -> tuple[list[bytes], str]:
    """Pages as HTML takes them, and the mailto address as a URL takes it (RFC 6068 §2: else percent-encoded)."""
    escaped = [html_escapes.escape(url) for url in pages]
    for key, url, in_html in zip(_PAGES, pages, escaped, strict=True):
        if url or key != "pixel_url":
            check_form(WEB_ADDRESS, url, key)
        if len(in_html) > SLOT_OCTETS - 80:
            raise ValueError(f"{key} is longer than a line of mail can hold")
    check_form(WEB_ADDRESS, slots.one_click_url, "one_click_url")
    check_form(ADDRESS_LIKE, slots.message_id, "message_id")
    check_form(_REFERENCE, slots.delivery_reference, "delivery_reference")
    mailto = quote(slots.unsubscribe_mailto, safe="@!$'*+-._~=")
    check_form(ADDRESS_LIKE, mailto, "unsubscribe_mailto")
    return [url.encode() for url in escaped], mailto


def check_form(form: re.Pattern[str], value: str, key: str) -> None:
    """Refuse a value of our own making that is not of its form.

    Raises:
        ValueError: names the slot or header, never the value.
    """
    if len(value) > SLOT_OCTETS or not form.fullmatch(value):
        raise ValueError(f"{key} can't stand in a mail")


def clean(text: str) -> str:
    """Text for a header: no C0, C1, DEL, U+2028/9, bidi control, surrogate or slot; each becomes a space."""
    if text.isprintable() and "  " not in text and text == text.strip():  # what nearly all are
        return text
    return " ".join(_UNWANTED.sub(" ", text).split())


def shown_name(name: str) -> str:
    """A recipient's name as we show it: cleaned, at most 64 characters."""
    return first_graphemes(clean(name), _NAME_GRAPHEMES, _NAME_CODE_POINTS).strip()
