"""Slots: what differs between two recipients of a variant, and how a value is escaped for its place.

In: a recipient's values, hostile. Out: octets by place, all checked or cleaned. Callers: message, headers,
folding.

A slot is one character of the private use area that rendering takes out of all data, so what is found in a
template's output was put there by the template.
"""

import html as html_escapes
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final
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


@dataclass(frozen=True, slots=True)
class Slots:
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
    **{field.name: chr(FIRST_SLOT + number) for number, field in enumerate(fields(Slots))},
    "pixel": chr(FIRST_SLOT + 0x40),
}
_PAGES = ("click_url", "pixel_url", "web_url", "preferences_url", "unsubscribe_url")


def slot_values(slots: Slots, to: str) -> dict[str, bytes]:
    """Every slot's value for every place where a slot may stand, by "place:slot".

    Args:
        slots: a recipient's.
        to: the value of the To header.

    Raises:
        ValueError: an address, URL or id can't stand in a mail.
    """
    values: dict[str, bytes] = {}
    name, address = shown_name(slots.recipient_name), clean(slots.recipient_address)
    values["header:recipient_address"] = to.encode()
    values["html:recipient_name"] = html_escapes.escape(name).encode()
    values["text:recipient_name"] = name.encode()
    values["html:recipient_address"] = html_escapes.escape(address).encode()
    values["text:recipient_address"] = address.encode()
    for key in _PAGES:
        url: str = getattr(slots, key)
        if url or key != "pixel_url":
            check_form(WEB_ADDRESS, url, key)
        values[f"text:{key}"] = url.encode()
        values[f"html:{key}"] = escaped = html_escapes.escape(url).encode()
        if len(escaped) > SLOT_OCTETS - 80:
            raise ValueError(f"{key} is longer than a line of mail can hold")
    pixel = values["html:pixel_url"]
    values["html:pixel"] = b'<img src="%b" width="1" height="1" alt="">' % pixel if pixel else b""
    for key, form in (
        ("one_click_url", WEB_ADDRESS),
        ("message_id", ADDRESS_LIKE),
        ("delivery_reference", _REFERENCE),
    ):
        value: str = getattr(slots, key)
        check_form(form, value, key)
        values[f"header:{key}"] = value.encode()
    # RFC 6068 §2: what is no unreserved character is percent-encoded.
    mailto = quote(slots.unsubscribe_mailto, safe="@!$'*+-._~=")
    check_form(ADDRESS_LIKE, mailto, "unsubscribe_mailto")
    values["header:unsubscribe_mailto"] = mailto.encode()
    return values


def check_form(form: re.Pattern[str], value: str, key: str) -> None:
    """Refuse a value of our own making that is not of its form.

    Raises:
        ValueError: names the slot or header, never the value.
    """
    if len(value) > SLOT_OCTETS or not form.fullmatch(value):
        raise ValueError(f"{key} can't stand in a mail")


def clean(text: str) -> str:
    """Text for a header: no C0, C1, DEL, U+2028/9, bidi control, surrogate or slot; each becomes a space."""
    return " ".join(_UNWANTED.sub(" ", text).split())


def shown_name(name: str) -> str:
    """A recipient's name as we show it: cleaned, at most 64 characters."""
    return first_graphemes(clean(name), _NAME_GRAPHEMES, _NAME_CODE_POINTS).strip()
