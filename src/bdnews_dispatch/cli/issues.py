"""bdnews issues …"""

import json
from pathlib import Path
from typing import Any

import click
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.cli.session import (
    emit,
    json_option,
    publication_option,
    settings_and_logs,
    table,
    with_parts,
)
from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.intake import current_revision, take
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.parsing import issue_schema, parse_detected
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.issues.publishing import find_issue, list_issues
from bdnews_dispatch.issues.publishing import publish as publish_issue
from bdnews_dispatch.issues.publishing import withdraw as withdraw_issue
from bdnews_dispatch.parts import Parts

file_argument = click.argument("file", type=click.Path(path_type=Path))
number_argument = click.argument("total_number", type=int)


@click.group()
def issues() -> None:
    """各期内容：解析、收入、发布、撤回。"""


@issues.command()
@file_argument
@publication_option
@json_option
def parse(file: Path, publication: str | None, *, as_json: bool) -> None:
    """解析一期文件，打印读到的内容；不存储。"""
    settings = settings_and_logs()
    publications = load_publications(settings.publications.folder, settings.publications.default)
    document = parse_detected(
        _read(file), publications, publication, max_bytes=settings.issues.max_bytes
    ).document
    emit(document.model_dump(mode="json"), as_json=as_json, text=lambda: _outline(document))


@issues.command()
def schema() -> None:
    """打印 JSON 格式的一期内容的 JSON Schema。"""
    click.echo(json.dumps(issue_schema(), ensure_ascii=False, indent=2))


@issues.command()
@file_argument
@publication_option
@click.option("--publish", is_flag=True, help="收入后立即发布，并开始分发。")
@json_option
def ingest(file: Path, publication: str | None, *, publish: bool, as_json: bool) -> None:
    """收入一期文件。同一期再次收入不会重复；内容有变则记为更正，不会自动重发。"""

    async def work(parts: Parts) -> dict[str, Any]:
        data = _read(file)
        found = parse_detected(
            data, parts.publications, publication, max_bytes=parts.settings.issues.max_bytes
        )
        async with parts.database.write() as session:
            taken = await take(
                session,
                parts.clock,
                found.document,
                source_name=file.name,
                source=data,
                publish_now=publish,
                pictures=found.pictures.values(),
            )
            warnings = [warning.model_dump() for warning in found.document.warnings]
            articles = sum(1 for _ in found.document.articles())
            return {"intake": taken.intake, **_facts(taken.issue), "articles": articles, "warnings": warnings}

    result = with_parts(work)
    words = {"new": "已收入", "same": "已有，内容未变", "correction": "已记为更正"}[result["intake"]]
    emit(
        result,
        as_json=as_json,
        text=lambda: (
            f"{words}：总第{result['total_number']}期《{result['title']}》，{result['articles']} 篇，"
            f"状态 {result['state']}，{len(result['warnings'])} 条提示。"
        ),
    )


@issues.command(name="list")
@publication_option
@json_option
def list_(publication: str | None, *, as_json: bool) -> None:
    """列出最近的各期。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            return [
                _facts(issue) for issue in await list_issues(session, (publication,) if publication else ())
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    i["publication"],
                    i["total_number"],
                    i["number"] or "",
                    i["date"] or "",
                    i["state"],
                    i["title"],
                ]
                for i in found
            ],
            ["刊物", "总期号", "期号", "日期", "状态", "题名"],
        ),
    )


@issues.command()
@number_argument
@publication_option
@json_option
def show(total_number: int, publication: str | None, *, as_json: bool) -> None:
    """显示一期的内容。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.read() as session:
            issue = await _issue(session, parts, publication, total_number)
            return {**_facts(issue), "document": (await current_revision(session, issue)).document}

    found = with_parts(work)
    emit(found, as_json=as_json, text=lambda: _outline(IssueDocument.model_validate(found["document"])))


@issues.command()
@number_argument
@publication_option
@json_option
def publish(total_number: int, publication: str | None, *, as_json: bool) -> None:
    """发布一期；首次发布会开始分发。"""
    _change(total_number, publication, publish_issue, "已发布", as_json=as_json)


@issues.command()
@number_argument
@publication_option
@json_option
def withdraw(total_number: int, publication: str | None, *, as_json: bool) -> None:
    """撤回一期：网页不再显示，未发完的分发停止。已发出的无法收回。"""
    _change(total_number, publication, withdraw_issue, "已撤回", as_json=as_json)


def _change(total_number: int, publication: str | None, change: Any, words: str, *, as_json: bool) -> None:
    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            issue = await _issue(session, parts, publication, total_number)
            await change(session, parts.clock, issue)
            return _facts(issue)

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"{words}：总第{total_number}期《{result['title']}》。")


async def _issue(session: AsyncSession, parts: Parts, publication: str | None, total_number: int) -> Issue:
    return await find_issue(session, parts.publications.named(publication).key, total_number)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise IssueError(f"读不到文件 {file}：{error.strerror}", code="issue.unreadable") from error


def _facts(issue: Issue) -> dict[str, Any]:
    return json.loads(issue.model_dump_json())  # type: ignore[no-any-return]


def _outline(document: IssueDocument) -> str:
    lines = [f"{document.title}　第{document.number}期　总第{document.total_number}期　{document.date or ''}"]
    for section in document.sections:
        lines.append(f"\n{section.name}（{section.key}）")
        for article in section.articles:
            page = f"{article.page:>3}" if article.page is not None else "  –"
            note = "　[有编者按]" if article.editor_note else ""
            lines.append(f"  {page}  {article.title}{note}　{article.source}")
    lines += [f"第 {warning.line} 行：{warning.message}（{warning.code}）" for warning in document.warnings]
    return "\n".join(lines)
