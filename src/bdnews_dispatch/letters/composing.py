"""A letter as a mail: words, the template in templates/email/letter/, headers written by hand.

In: a `Letter`, the request that it asks to confirm, its publication. Out: the message as bytes. Caller: sending. Unlike
a digest it is made for one reader, carries no List-Unsubscribe, comes from an address of its own, and is not tracked.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.digests.dkim import BodyHash, DkimSigner
from bdnews_dispatch.digests.folding import fold_html, fold_text
from bdnews_dispatch.digests.headers import mailbox, subject_field
from bdnews_dispatch.digests.labels import date_text
from bdnews_dispatch.digests.rendering import environments, finished_html, finished_text, plain_data
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.letters.words import AROUND, LETTERS, language_of
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.models import Request


@dataclass(frozen=True, slots=True)
class ComposedLetter:
    """A letter as its reader sees it."""

    subject: str
    html: str
    text: str


def compose_letter(
    letter: Letter, request: Request | None, publication: Publication, links: Links
) -> ComposedLetter:
    """The words, in the template; a test as it was composed. Args: request: None for a test and a notice."""
    if letter.kind is LetterKind.NOTICE:
        return _in_template(_notice(letter), publication, AROUND["zh"], publication.name)
    if request is None:
        return ComposedLetter(letter.data["subject"], letter.data["html"], letter.data["text"])
    language = language_of(letter.language)
    around, words = AROUND[language], LETTERS[language][letter.kind]
    english = language == "en"
    name = publication.name_en if english and publication.name_en else publication.name
    values = {
        "name": name,
        "at": _moment(request.requested_at, language),
        "address": masked(request.email),
        "other": around["both" if request.other_key else "alone"],
    }
    own_key = request.other_key if letter.kind is LetterKind.OLD_ADDRESS else request.key
    data: dict[str, Any] = {
        "subject": words.subject.format(**values),
        "heading": words.heading.format(**values),
        "paragraphs": [text.format(**values) for text in words.paragraphs],
        "facts": _facts(letter, request, publication, language),
        "button": words.button,
        "url": links.confirm(own_key or request.key) + _suffix(language),
        "second": words.second,
        "second_url": links.preferences(request.key) + _suffix(language) if words.second else "",
        "if_broken": around["if_broken"],
        "small": [
            around["until"].format(until=_moment(request.expires_at, language)),
            words.unasked,
        ],
    }
    return _in_template(data, publication, around, name)


def _notice(letter: Letter) -> dict[str, Any]:
    said = letter.data
    return {
        "subject": said["subject"],
        "heading": said["subject"],
        "paragraphs": said["paragraphs"],
        "facts": [],
        "button": said["button"],
        "url": said["url"],
        "second": "",
        "second_url": "",
        "if_broken": AROUND["zh"]["if_broken"],
        "small": ["这封信写给控制台的管理员。"],
    }


def _in_template(
    data: Mapping[str, Any], publication: Publication, around: Mapping[str, str], name: str
) -> ComposedLetter:
    context = plain_data(
        {
            "letter": data,
            "publication": {"name": name},
            "contact": [
                fact
                for fact in (
                    publication.publisher,
                    publication.address,
                    publication.telephone,
                    publication.email,
                )
                if fact
            ],
            "language_tag": around["language_tag"],
            "colon": around["colon"],
            "heavy": "━" * 24,
            "light": "─" * 24,
        }
    )
    html_templates, text_templates = environments(shipped("templates") / "email")
    subject = text_templates.get_template("letter/subject.txt").render(context)
    return ComposedLetter(
        subject=" ".join(subject.split()),
        html=fold_html(finished_html(html_templates.get_template("letter/body.html").render(context))),
        text=fold_text(finished_text(text_templates.get_template("letter/body.txt").render(context))),
    )


def encode_letter(
    letter: Letter,
    composed: ComposedLetter,
    publication: Publication,
    settings: Settings,
    dkim: DkimSigner | None = None,
) -> bytes:
    """The whole message as RFC 5322 has it: ASCII, base64, so that any relay takes it. The same on every try.

    Raises:
        ValueError: the address can't stand in a header.
    """
    email = settings.email
    boundary = "=_" + hashlib.sha256(letter.key.encode()).hexdigest()[:32]
    fields = [
        f"From: {mailbox(email.from_name or publication.name, settings.letter_address)}",
        f"To: {mailbox('', letter.email)}",
        f"Subject: {subject_field(composed.subject)}",
        f"Date: {format_datetime(beijing(letter.created_at))}",
        f"Message-ID: <{letter.key}.letter@{settings.bounce_domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    if publication.email:
        fields.insert(5, f"Reply-To: {mailbox('', publication.email)}")
    head = "\r\n".join(fields) + "\r\n"
    parts = "".join(
        f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{base64.encodebytes(text.encode()).decode()}".replace("\r\n", "\n").replace("\n", "\r\n")
        for kind, text in (("plain", composed.text), ("html", composed.html))
    )
    body = f"{parts}--{boundary}--\r\n".encode()
    message = head.encode() + b"\r\n" + body
    if dkim is None:
        return message
    return dkim.sign(head.encode(), BodyHash(b"").of(body), letter.created_at) + message


def _facts(letter: Letter, request: Request, publication: Publication, language: str) -> list[dict[str, str]]:
    if letter.kind not in {LetterKind.SUBSCRIBE, LetterKind.SUBSCRIBE_AGAIN}:
        return []
    around, wish = AROUND[language], request.wish
    names = [
        section.name_en if language == "en" and section.name_en else section.name
        for section in publication.sections
        if section.key in wish.get("sections", ())
    ]
    sections = around["whole"] if wish.get("whole_issue") or not names else around["listing"].join(names)
    cadence = around.get(str(wish.get("cadence", "issue")), "")
    return [{"name": around["sections"], "value": sections}, {"name": around["cadence"], "value": cadence}]


def _moment(at: Any, language: str) -> str:
    local = beijing(at)
    zone = " (Beijing time)" if language == "en" else ""
    return f"{date_text(local.date(), language)} {local:%H:%M}{zone}"


def _suffix(language: str) -> str:
    return "" if language == "zh" else f"?lang={language}"
