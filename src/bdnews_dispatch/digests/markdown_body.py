"""A bulletin's body, written in Markdown: its words, its links, its HTML for a mail and its text.

In: Markdown by an editor. Out: plain text, numbered links, HTML that nh3 has cleaned. Callers: composition,
rendering.
"""

from collections.abc import Callable, Mapping

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bdnews_dispatch.digests.inline import mail_url, plain, web_url
from bdnews_dispatch.digests.strong import with_chinese_strong
from bdnews_dispatch.digests.typography import typeset

#: HTML in the source stays text; no pictures: a bulletin is read without them.
_MARKDOWN = with_chinese_strong(MarkdownIt("commonmark", {"html": False}).enable("table").disable("image"))
_TAGS = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_RULE = "─" * 12


def body_links(markdown: str) -> dict[str, int]:
    """Every http(s) link of the text once, with its number from 1, in the order of the text."""
    numbers: dict[str, int] = {}
    for token in _inline(_MARKDOWN.parse(markdown)):
        if token.type == "link_open" and (url := web_url(str(token.attrGet("href") or ""))):
            numbers.setdefault(url, len(numbers) + 1)
    return numbers


def body_words(markdown: str) -> str:
    """The words on one line, for a preheader or a card."""
    return typeset(" ".join(_lines(_MARKDOWN.parse(markdown), lambda _: "")))


def body_html(markdown: str, hrefs: Mapping[str, str]) -> str:
    """The body as HTML for a mail: headings one step down, links as `hrefs` says, nothing but what we list.

    Args:
        markdown: hostile.
        hrefs: from a link's own address to what stands in the mail; a link that is not in it and is no
            mailto goes.
    """
    tokens = _MARKDOWN.parse(markdown)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(4, int(token.tag[1]) + 1)}"
        if token.type == "inline":
            for child in token.children or ():
                if child.type == "text":
                    child.content = _typeset_inside(child.content)

    def href(tag: str, attribute: str, value: str) -> str | None:
        return hrefs.get(value) or (mail_url(value) or None) if (tag, attribute) == ("a", "href") else None

    return nh3.clean(
        _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}),
        tags=_TAGS,
        attributes={"a": {"href"}},
        attribute_filter=href,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


def body_text(markdown: str, hrefs: Mapping[str, str]) -> str:
    """The body as text: blocks apart by an empty line, each link on a line of its own below its block."""
    return "\n".join(_lines(_MARKDOWN.parse(markdown), lambda url: hrefs.get(url, ""))).strip()


def _lines(tokens: list[Token], href: Callable[[str], str]) -> list[str]:
    lines: list[str] = []
    marks: list[int | None] = []
    prefix = ""
    cells: list[str] | None = None
    for token in tokens:
        match token.type:
            case "bullet_list_open":
                marks.append(None)
            case "ordered_list_open":
                marks.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                marks.pop()
                prefix = ""
            case "list_item_open":
                mark = marks[-1]
                prefix = "  " * (len(marks) - 1) + ("· " if mark is None else f"{mark}. ")
                marks[-1] = None if mark is None else mark + 1
            case "tr_open":
                cells = []
            case "tr_close":
                lines.append(" | ".join(cells or ()))
                cells = None
            case "inline" if cells is not None:
                cells.append(plain(token.content))
            case "inline":
                lines.append(prefix + plain(token.content))
                prefix = " " * len(prefix)
            case "fence" | "code_block":
                lines.extend(token.content.rstrip().splitlines())
            case "hr":
                lines.append(_RULE)
        if token.type == "inline":
            links = [web_url(str(child.attrGet("href") or "")) for child in token.children or ()]
            lines.extend(target for url in links if url and (target := href(url)))
        ends_block = token.type in {"heading_close", "table_close", "fence", "code_block", "hr"}
        if ends_block or (token.level == 0 and token.type.endswith("_close")):
            lines.append("")
    return lines


def _inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens if token.type == "inline" for child in token.children or ()]


def _typeset_inside(text: str) -> str:
    middle = typeset(text)
    if not middle:
        return " " if text else ""
    return (" " if text[0].isspace() else "") + middle + (" " if text[-1].isspace() else "")
