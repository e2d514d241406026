"""The header fields of a digest mail, written by hand: they must survive what policy.SMTP does to long ones.

In: what all recipients share (`Headers`), the subject. Out: header text, slots in it, CRLF, folded. Caller:
message.
"""

import re
from binascii import b2a_base64
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

import idna

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.digests.slots import DOMAIN, LOCAL_PART, SENTINELS, WEB_ADDRESS, check_form, clean

#: RFC 2047 §2: an encoded word has at most 75 characters; 45 octets of UTF-8 are 60 of base64, with 12
#: around them.
_WORD_OCTETS = 45
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Headers:
    """What all recipients of a variant share.

    Attributes:
        list_id: RFC 2919, without <>, e.g. dsj.digest.example.cn.
        feedback_id: up to four fields with colons between, the sender's last.
        date: aware.
        list_name: phrase in front of the List-Id.
        archived_at: RFC 5064: the public page of the issue; "" for a bulletin without one.
        list_archive: RFC 2369: the page of all issues.
    """

    from_name: str
    from_address: str
    list_id: str
    feedback_id: str
    date: datetime
    reply_to: str = ""
    list_name: str = ""
    archived_at: str = ""
    list_archive: str = ""


def head(subject: str, headers: Headers) -> str:
    """The header fields, slots in them. Long ones are folded between their parts, never inside one."""
    slot = SENTINELS
    lines = [
        f"From: {mailbox(clean(headers.from_name), headers.from_address)}",
        f"To: {slot['recipient_address']}",
        f"Subject: {subject_field(subject)}",
        f"Date: {format_datetime(beijing(headers.date))}",
        f"Message-ID: <{slot['message_id']}>",
    ]
    if headers.reply_to:
        lines.append(f"Reply-To: {mailbox('', headers.reply_to)}")
    mailto = f"<mailto:{slot['unsubscribe_mailto']}?subject=unsubscribe>"
    lines += [
        f"List-Id: {_listed(clean(headers.list_name), headers.list_id)}",
        f"List-Unsubscribe: {mailto},\r\n <{slot['one_click_url']}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]
    for field, url in (("List-Archive", headers.list_archive), ("Archived-At", headers.archived_at)):
        if url:
            check_form(WEB_ADDRESS, url, field)
            lines.append(f"{field}: <{url}>")
    lines += [
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        f"Feedback-ID: {clean(headers.feedback_id)[:200]}",
        f"X-Entity-Ref-ID: {slot['delivery_reference']}",
        "MIME-Version: 1.0",
    ]
    return "\r\n".join(lines) + "\r\n"


def subject_field(subject: str) -> str:
    """The value of the field, as RFC 2047 words unless short and plain; folded."""
    if subject.isascii() and len(subject) < 66 and "=?" not in subject:
        return subject
    return Header(subject, "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")


def _listed(name: str, list_id: str) -> str:
    if not DOMAIN.fullmatch(list_id):
        raise ValueError("list_id is not of the form of RFC 2919")
    words = _words(name)
    return f"{words}\r\n <{list_id}>" if words else f"<{list_id}>"


def mailbox(name: str, address: str) -> str:
    """`=?utf-8?b?…?= <a@b.cn>`: the name as RFC 2047 words unless plain letters, the domain as A-labels.

    Raises:
        ValueError: the address can't stand in a header.
    """
    local, _, domain = address.rpartition("@")
    if not DOMAIN.fullmatch(domain):
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError("not a mail domain") from error
    if not LOCAL_PART.fullmatch(local) or len(local.encode()) > 64 or len(domain) > 255:
        raise ValueError("not a mail address, or longer than RFC 5321 §4.5.3.1 allows")
    angle = f"<{local}@{domain}>"
    words = _words(name)
    return f"{words}\r\n {angle}" if len(words) + len(angle) > 70 else f"{words} {angle}" if words else angle


def _words(name: str) -> str:
    """RFC 2047 §2 encoded words, whole characters each, folded; a plain name as it is."""
    if not name or _PLAIN_WORDS.fullmatch(name):
        return name
    if len(octets := name.encode()) <= _WORD_OCTETS:
        return _word(octets)
    words: list[str] = []
    octets = b""
    for character in name:
        encoded = character.encode()
        if len(octets) + len(encoded) > _WORD_OCTETS:
            words.append(_word(octets))
            octets = b""
        octets += encoded
    return "\r\n ".join((*words, _word(octets)))


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{b2a_base64(octets, newline=False).decode()}?="
