"""An issue handed in as JSON: the document itself, as `bdnews issues parse --json` prints it.

In: bytes that begin with `{`. Out: an `IssueDocument`, held to what a parsed one keeps by itself: sections of its
publication, titles in one line, addresses of the web. Caller: detected.py. The schema is published: `issue_schema`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from bdnews_dispatch.errors import IssueError, NotFoundError
from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section, referenced
from bdnews_dispatch.issues.parsing.decoding import decode, without_controls
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.publications import Publication, Publications

#: What a file of this kind begins with, behind a BOM and blanks; RTF does as well.
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{(?!\\rtf)")
#: So many mistakes are named at once.
_NAMED = 5
#: In one line, wherever they stand.
_ONE_LINE = frozenset({"title", "source", "name", "tagline"})


def is_json(data: bytes) -> bool:
    """Whether this is meant to be JSON."""
    return _BEGINS.match(data) is not None


def issue_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `read_json` takes."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **IssueDocument.model_json_schema()}


def read_json(data: bytes, publications: Publications, key: str | None, *, max_bytes: int) -> IssueDocument:
    """The issue.

    Args:
        key: of the publication that it must be of; None: any.

    Raises:
        IssueError: `issue.json` with the place of each mistake; what decoding raises; `issue.no_articles`.
    """
    findings = Findings()
    text = "\n".join(decode(data, findings, max_bytes=max_bytes))
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(
            f"第 {error.lineno} 行第 {error.colno} 列起不是正确的 JSON", line=error.lineno
        ) from error
    except (RecursionError, ValueError) as error:  # too deep; a number of thousands of digits
        raise _refused("这段 JSON 嵌套过深或数字过长") from error
    try:
        document = IssueDocument.model_validate(_tidy(raw))
    except ValidationError as error:
        wrong = [f"{_place(each['loc'])}：{each['msg']}" for each in error.errors(include_input=False)]
        raise _refused("；".join(wrong[:_NAMED])) from error
    try:
        publication = publications.named(document.publication)
    except NotFoundError as error:
        raise _refused(f"publication：{error.message}。{error.hint}") from error
    if key is not None and key != publication.key:
        raise _refused(f"publication：写的是 {publication.key}，交来时指定的是 {key}")
    if wrong := list(_mistakes(document, publication)):
        raise _refused("；".join(wrong[:_NAMED]))
    if not any(section.articles for section in document.sections):
        raise IssueError("没有任何文章", code="issue.no_articles", hint="sections 里至少要有一篇文章。")
    return document.model_copy(
        update={
            "sections": tuple(_named(section, publication) for section in document.sections),
            "warnings": findings.listed(),
            "places": (),  # are ours to give
        }
    )


def _tidy(raw: Any, key: str = "") -> Any:
    """Without characters that no text may hold, and titles in one line."""
    match raw:
        case str():
            text = without_controls(raw.encode("utf-8", "replace").decode())  # a lone surrogate is none
            return " ".join(text.split()) if key in _ONE_LINE else text
        case list():
            return [_tidy(each, key) for each in raw]
        case dict():
            return {_tidy(name): _tidy(value, name) for name, value in raw.items()}
        case _:
            return raw


def _mistakes(document: IssueDocument, publication: Publication) -> Iterator[str]:
    for name in ("number", "total_number"):
        number = getattr(document, name)
        if number is not None and not 0 < number < 1_000_000:
            yield f"{name}：应为 1 到 999999"
    seen: set[str] = set()
    for place, section in enumerate(document.sections):
        where = f"sections[{place}]"
        if publication.section(section.key) is None:
            yield f"{where}.key：《{publication.name}》没有 {section.key}，现有 {'、'.join(publication.section_keys)}"
        elif section.key in seen:
            yield f"{where}.key：{section.key} 出现了两次"
        seen.add(section.key)
        for number, article in enumerate(section.articles):
            yield from _mistakes_of(article, f"{where}.articles[{number}]")
    yield from _mistakes_of_blocks(document.preface, "preface")


def _mistakes_of(article: Article, where: str) -> Iterator[str]:
    if not article.title:
        yield f"{where}.title：不能为空"
    if not _is_web(article.url):
        yield f"{where}.url：应是 http 或 https 的地址"
    yield from _mistakes_of_blocks(article.body, f"{where}.body")


def _mistakes_of_blocks(blocks: Sequence[Block], where: str) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if block.type is BlockType.HEADING and not 1 <= (block.level or 0) <= 6:
            yield f"{where}[{number}].level：标题的级别应为 1 到 6"
        for name in ("url", "link"):
            if name == "url" and block.type is BlockType.IMAGE and referenced(block.url):
                continue  # a picture that came with an issue before
            if not _is_web(getattr(block, name)):
                yield f"{where}[{number}].{name}：应是 http 或 https 的地址"


def _is_web(url: str) -> bool:
    if not url:
        return True
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        return False


def _named(section: Section, publication: Publication) -> Section:
    known = publication.section(section.key)
    return section.model_copy(update={"name": known.name}) if known is not None else section


def _place(where: tuple[int | str, ...]) -> str:
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".") or "整体"
    )


def _refused(message: str, *, line: int | None = None) -> IssueError:
    return IssueError(
        f"JSON 不能收入：{message}",
        code="issue.json",
        line=line,
        hint="格式见 bdnews issues schema。没有收入任何内容。",
    )
