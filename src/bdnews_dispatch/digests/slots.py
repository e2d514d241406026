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
_PAGES = ("click_url", "pixel_url", "web_url", "preferences_url", "unsubscribe_url")
_TEXT_PAGES = tuple(f"text:{page}" for page in _PAGES)
_HTML_PAGES = tuple(f"html:{page}" for page in _PAGES)
_FIRST_PAGE = Slots._fields.index(_PAGES[0])
_BEHIND_PAGES = _FIRST_PAGE + len(_PAGES)
#: Addresses that HTML takes as they are, all five at once: what our own links look like.
_PLAIN_PAGES = re.compile(r"(?:https?://[A-Za-z0-9.:/_~?=%+-]{1,500}\n?){5}")
#: RFC 6068 §2: nothing in it that would have to be percent-encoded.
_PLAIN_MAILTO = re.compile(r"[A-Za-z0-9@+._-]+")


def slot_values(slots: Slots, to: str) -> dict[str, bytes]:
    """Every slot's value for every place where a slot may stand, by "place:slot".

    Args:
        slots: a recipient's.
        to: the value of the To header.

    Raises:
        ValueError: an address, URL or id can't stand in a mail.
    """
    name, address = shown_name(slots.recipient_name), clean(slots.recipient_address)
    values = {
        "header:recipient_address": to.encode(),
        "text:recipient_name": name.encode(),
        "html:recipient_name": html_escapes.escape(name).encode(),
        "text:recipient_address": address.encode(),
        "html:recipient_address": html_escapes.escape(address).encode(),
    }
    pages = slots[_FIRST_PAGE:_BEHIND_PAGES]
    if not _PLAIN_PAGES.fullmatch("\n".join(pages)):  # a base URL of a strange form, or no pixel: one by one
        for key, url in zip(_PAGES, pages, strict=True):
            if url or key != "pixel_url":
                check_form(WEB_ADDRESS, url, key)
            if len(html_escapes.escape(url)) > SLOT_OCTETS - 80:
                raise ValueError(f"{key} is longer than a line of mail can hold")
        escaped = [html_escapes.escape(url).encode() for url in pages]
    else:
        escaped = [url.encode() for url in pages]
    for in_text, in_html, url, page in zip(_TEXT_PAGES, _HTML_PAGES, pages, escaped, strict=True):
        values[in_text] = url.encode()
        values[in_html] = page
    pixel = values["html:pixel_url"]
    values["html:pixel"] = b'<img src="%b" width="1" height="1" alt="">' % pixel if pixel else b""
    check_form(WEB_ADDRESS, slots.one_click_url, "one_click_url")
    check_form(ADDRESS_LIKE, slots.message_id, "message_id")
    check_form(_REFERENCE, slots.delivery_reference, "delivery_reference")
    mailto = slots.unsubscribe_mailto
    if not _PLAIN_MAILTO.fullmatch(mailto):
        mailto = quote(mailto, safe="@!$'*+-._~=")  # RFC 6068 §2: what is no unreserved character
    check_form(ADDRESS_LIKE, mailto, "unsubscribe_mailto")
    values["header:one_click_url"] = slots.one_click_url.encode()
    values["header:message_id"] = slots.message_id.encode()
    values["header:delivery_reference"] = slots.delivery_reference.encode()
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
