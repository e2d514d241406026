"""A digest as a mail: templates over plain data, CSS inlined, lines folded, slots left open.

In: a `Digest` and the headers of its dispatch. Out: a `Variant`. Callers: dispatch workers (once for each
variant), previews, test sends. Templates: templates/email/{digest,bulletin}; they see plain data and the
slots' characters only.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.digests.folding import fold_html, fold_text
from bdnews_dispatch.digests.headers import Headers
from bdnews_dispatch.digests.labels import labels_for
from bdnews_dispatch.digests.markdown_body import body_html, body_text
from bdnews_dispatch.digests.message import Variant
from bdnews_dispatch.digests.slots import FIRST_SLOT, LAST_SLOT, SENTINELS
from bdnews_dispatch.shipped import shipped

#: Nothing that a reader would open is longer; a template that runs away is stopped here.
_MOST_OCTETS = 2_000_000
_HEAVY, _LIGHT = "━" * 24, "─" * 24
#: More QR codes than this are a wall, not a help; a long digest has links alone.
_MOST_QR_CODES = 24
#: CSS pixels between the margins of a mail of 600; see templates/email/layout/inlined.css.
_COLUMN = 520
#: What no data may bring into a template's output: C0 but line feeds, C1, separators, bidi controls,
#: surrogates, slots.
_UNWANTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
    f"{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}]"
)
_SEPARATORS = re.compile("[\u2028\u2029]")


def render_digest(
    digest: Digest,
    headers: Headers,
    *,
    track: bool,
    language: str | None = None,
    reason: str = "",
    dkim: DkimSigner | None = None,
) -> Variant:
    """Render and encode a digest once for all readers of its variant.

    Args:
        digest: from `compose` or `compose_bulletin`.
        headers: what all recipients share.
        track: False: the links' own addresses and no pixel, for readers who said "no tracking".
        language: of the labels; by default the digest's.
        reason: why a reader gets this, one sentence; by default that they subscribe.
        dkim: signs each message.
    """
    language = language or digest.language
    context = _context(digest, language, track=track, reason=reason)
    kind = "bulletin" if digest.bulletin else "digest"
    html_templates, text_templates = environments(shipped("templates") / "email")
    subject = text_templates.get_template(f"{kind}/subject.txt").render(context)
    if digest.bulletin:
        urls = {link.url: context["hrefs"][link.number] for link in digest.links}
        source = plain_data(digest.bulletin.body)
        context |= {"body_html": body_html(source, urls), "body_text": body_text(source, urls)}
    html = html_templates.get_template(f"{kind}/body.html").render(context)
    text = text_templates.get_template(f"{kind}/body.txt").render(context)
    for made in (html, text):
        if len(made) > _MOST_OCTETS:
            raise ValueError(f"a mail of {len(made)} characters is none that anybody reads")
    return Variant(
        subject=" ".join(subject.split()),
        html=fold_html(finished_html(html)),
        text=fold_text(finished_text(text)),
        headers=headers,
        dkim=dkim,
    )


def _context(digest: Digest, language: str, *, track: bool, reason: str) -> dict[str, Any]:
    labels = labels_for(language)
    colon = "：" if labels["language_tag"].startswith("zh") else ": "
    data = plain_data(asdict(digest))
    facts = digest.publication
    for issue in data["issues"]:
        for section in issue["sections"]:
            for article in section["articles"]:
                page = article["page"]
                article["page_text"] = labels["page"].format(page=page) if page is not None else ""
                source = f"{labels['source']}{colon}{article['source']}" if article["source"] else ""
                if picture := article["picture"]:
                    # A picture that is smaller than the column is not made larger.
                    width = min(picture["width"], _COLUMN)
                    picture["shown_width"] = width
                    picture["shown_height"] = max(1, round(picture["height"] * width / picture["width"]))
                article["origin"] = labels["dot"].join(filter(None, (source, article["page_text"])))
    default_reason = labels["reason_bulletin" if digest.bulletin else "reason"].format(name=facts.name)
    return {
        "digest": data,
        "labels": dict(labels),
        "colon": colon,
        "slot": dict(SENTINELS),
        "track": track,
        "qr": digest.article_count <= _MOST_QR_CODES,
        "reason": plain_data(reason) or default_reason,
        "issue_count": labels["issue_count"].format(count=len(digest.issues)),
        "facts": [
            plain_data(text if name == "publisher" else f"{labels[name]}{colon}{text}")
            for name in ("publisher", "address", "telephone", "email")
            if (text := getattr(facts, name))
        ],
        "hrefs": {
            link.number: f"{SENTINELS['click_url']}/{link.number}" if track else plain_data(link.url)
            for link in digest.links
        },
        "heavy": _HEAVY,
        "light": _LIGHT,
    }


def plain_data(value: Any) -> Any:
    """The same, made of dict, list, str, int and None alone, without a character that data may not bring."""
    match value:
        case str():
            return _UNWANTED.sub("", _SEPARATORS.sub("\n", value))
        case Mapping():
            return {key: plain_data(item) for key, item in value.items()}
        case tuple() | list():
            return [plain_data(item) for item in value]
        case datetime():
            return value.isoformat()
        case _:
            return value


@lru_cache(maxsize=4)
def environments(folder: Path) -> tuple[ImmutableSandboxedEnvironment, ImmutableSandboxedEnvironment]:
    """For HTML, escaping everything, and for text."""
    html = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return html, html.overlay(autoescape=False)


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(
        keep_style_tags=False, load_remote_stylesheets=False, minify_css=True, preallocate_node_capacity=1024
    )


def finished_html(html: str) -> str:
    """With its styles written into the elements."""
    inlined = _inliner().inline(html)
    return inlined.replace(' data-css-inline="keep"', "")


def finished_text(text: str) -> str:
    """Without the empty lines that a template leaves."""
    lines = [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
