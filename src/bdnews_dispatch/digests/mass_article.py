"""The words of a mass message: a set of sections as one article inside WeChat.

In: a `Digest`. Out: HTML with inline styles, as WeChat keeps nothing else, below a limit. Caller: dispatch/mass/.
No links: the platform takes them out of an article; the whole issue is behind 阅读原文. Articles that no longer fit are
named by their title, and the last line says how many more there are.
"""

from collections.abc import Mapping
from html import escape

from bdnews_dispatch.digests.digest import Digest, DigestArticle, DigestPicture, Paragraphs
from bdnews_dispatch.digests.markdown_body import body_words

#: The tokens of the digest mail, light: WeChat turns them dark by itself.
_INK, _SECONDARY, _RULE, _BRAND = "#1b2430", "#566273", "#dfe3e9", "#12427a"
_BODY = f"font-size:16px;line-height:1.75;color:{_INK};margin:0 0 12px"
_SMALL = f"font-size:13px;line-height:1.6;color:{_SECONDARY};margin:0 0 20px"
_LABEL = f"font-size:15px;font-weight:bold;color:{_BRAND};border-bottom:1px solid {_RULE};margin:28px 0 12px"
_TITLE = f"font-size:17px;font-weight:bold;line-height:1.5;color:{_INK};margin:0 0 8px"
_NOTE = f"font-size:15px;line-height:1.75;color:{_SECONDARY};border-left:3px solid {_RULE};padding-left:10px"
_CAPTION = f"font-size:13px;line-height:1.6;color:{_SECONDARY};margin:0 0 12px"
_NONE: Mapping[str, str] = {}
#: Room for the last line and the end of the whole.
_RESERVE = 200


def pictures_of(digest: Digest) -> list[DigestPicture]:
    """What of the digest would be shown, each once."""
    shown = [a.picture for issue in digest.issues for section in issue.sections for a in section.articles]
    return list({picture.digest: picture for picture in shown if picture is not None}.values())


def mass_content(digest: Digest, most: int, pictures: Mapping[str, str] = _NONE) -> str:
    """The article's HTML.

    Args:
        most: it stays shorter than this, in characters.
        pictures: digest of a picture → where the platform shows it; it takes out all others.
    """
    head, pieces = _pieces(digest, pictures)
    parts, room, left_out = [head], most - len(head) - _RESERVE, 0
    for whole, short in pieces:
        chosen = next((piece for piece in (whole, short) if len(piece) < room), "")
        left_out += not chosen
        parts.append(chosen)
        room -= len(chosen)
    if left_out:
        parts.append(_paragraph(f"还有 {left_out} 项，请点“阅读原文”。", _SMALL))
    return f"<section>{''.join(parts)}</section>"


def _pieces(digest: Digest, pictures: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """The head, and each article with a shorter form of it; a section's name goes with its first article."""
    head = _paragraph(digest.heading, _SMALL)
    if digest.bulletin:
        words = [
            _paragraph(line, _BODY) for line in body_words(digest.bulletin.body).splitlines() if line.strip()
        ]
        return head + _paragraph(digest.bulletin.title, _TITLE), [(word, "") for word in words]
    pieces = []
    for issue in digest.issues:
        if len(digest.issues) > 1:
            pieces.append((_paragraph(issue.heading, _SMALL),) * 2)
        for section in issue.sections:
            label = _paragraph(section.name, _LABEL)
            for article in section.articles:
                title = label + _paragraph(article.title, _TITLE)
                pieces.append((title + _article(article, pictures), title))
                label = ""
    return head, pieces


def _article(article: DigestArticle, pictures: Mapping[str, str]) -> str:
    note = "".join(_paragraph(text, _NOTE) for text in _texts(article.editor_note))
    page = f"第 {article.page} 页" if article.page is not None else ""
    origin = " · ".join(part for part in (article.source, page) if part)
    picture = _picture(article.picture, pictures) if article.picture is not None else ""
    return note + picture + _paragraph(article.excerpt, _BODY) + _paragraph(origin, _SMALL)


def _picture(picture: DigestPicture, pictures: Mapping[str, str]) -> str:
    url = pictures.get(picture.digest)
    if url is None:
        return ""
    image = f'<img src="{escape(url)}" alt="{escape(picture.caption)}" style="max-width:100%;height:auto">'
    return f'<p style="margin:0 0 8px">{image}</p>{_paragraph(picture.caption, _CAPTION)}'


def _texts(paragraphs: Paragraphs) -> list[str]:
    return ["".join(run.text for run in runs) for runs in paragraphs]


def _paragraph(text: str, style: str) -> str:
    return f'<p style="{style}">{escape(text)}</p>' if text else ""
