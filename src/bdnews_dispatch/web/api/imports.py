"""`/imports`: listed; a file is brought, its columns chosen, begun; watched; what was refused is fetched."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.subscribers.imports.models import ImportMode, ImportState
from bdnews_dispatch.subscribers.imports.receiving import receive
from bdnews_dispatch.subscribers.imports.result import result_lines
from bdnews_dispatch.subscribers.imports.starting import (
    Choices,
    begin,
    cancel,
    choose,
    find_run,
    list_runs,
    told,
)
from bdnews_dispatch.web.api.calls import UPLOADED, Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Body, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.api.problems import ApiError
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, SETTINGS

_Heading = Annotated[Text, Field(max_length=200)]


class KindOfProblem(Answer):
    """Rows that have the same trouble. `refused`: they were not taken."""

    code: str
    rows: int
    refused: bool
    first: list[dict[str, Any]]


class ImportAnswer(Answer):
    """An import. `columns`: heading → field; null: it is left out."""

    id: int
    state: ImportState
    file: str
    kind: str
    encoding: str
    sheet: str
    mode: ImportMode
    list_name: str | None = Field(validation_alias="list")
    basis: str
    columns: dict[str, str | None]
    unknown_columns: list[str]
    rows: int
    done: int
    added: int
    changed: int
    unchanged: int
    refused: int
    kinds: list[KindOfProblem]
    note: str
    by: str
    created_at: datetime
    finished_at: datetime | None


class UploadQuery(Asked):
    """What the file is."""

    file_name: Text = Field(min_length=1, max_length=255, description="原来的文件名，带扩展名。")
    publication: Text | None = Field(default=None, max_length=40)


class Start(Body):
    """What is wanted of a file that has come in."""

    mode: ImportMode = ImportMode.UPDATE
    columns: dict[Annotated[Text, Field(max_length=100)], _Heading] = Field(
        default_factory=dict, description="手工对应：字段 → 表头。"
    )
    list_name: Text = Field(default="", max_length=100, description="收进来的人都放进这份名单。")
    basis: Text = Field(default="", max_length=1000, description="凭什么可以给这些人写信。")


async def index(call: Call) -> Page[ImportAnswer]:
    """各次导入，最近的在前。"""
    query: PageQuery = call.query
    rows = await list_runs(call.session, query.limit + 1, before=read_cursor(query.cursor))
    shown, following = page_of(list(rows), query.limit, lambda row: row.id)
    return Page(items=[ImportAnswer.model_validate(told(run)) for run in shown], next=following)


async def upload(call: Call) -> Created:
    """上传一个 CSV 或 XLSX 文件（请求的内容就是文件）；列名先猜好，等待开始。"""
    query: UploadQuery = call.query
    app = call.request.app
    publication = app[PUBLICATIONS].named(query.publication)
    with tempfile.TemporaryDirectory(prefix="bdnews-import-") as folder:
        file = Path(folder) / f"file{Path(query.file_name).suffix.lower()[:8]}"
        await _save(call.request, file, app[SETTINGS].imports.max_bytes)
        run_id = await receive(
            app[DATABASE],
            app[CLOCK],
            app[SETTINGS].imports,
            publication,
            file,
            file_name=query.file_name,
            origin=call.origin,
        )
    async with app[DATABASE].read() as session:
        run = await find_run(session, run_id)
        return Created(ImportAnswer.model_validate(told(run)), f"/imports/{run_id}")


async def show(call: Call) -> ImportAnswer:
    """一次导入：进度，各类问题及其前几行。"""
    return await _one(call)


async def start(call: Call) -> ImportAnswer:
    """选定列与方式，开始导入；由后台的 worker 做。"""
    body: Start = call.body
    choices = Choices(body.mode, body.columns, body.list_name, body.basis)
    await choose(call.session, call.path.id, choices)
    await begin(call.session, call.request.app[CLOCK], call.path.id)
    call.tell(mode=body.mode.value, list=body.list_name)
    return await _one(call)


async def stop(call: Call) -> ImportAnswer:
    """取消一次导入；已导入的行保留。"""
    await cancel(call.session, call.request.app[CLOCK], call.path.id)
    return await _one(call)


async def result(call: Call) -> AsyncIterator[bytes]:
    """未导入的行（CSV）：原样，另加行号、原因、代码三列。改正后可直接再导入。"""
    await find_run(call.session, call.path.id)
    lines = result_lines(call.request.app[DATABASE], call.path.id)

    async def written() -> AsyncIterator[bytes]:
        yield b"\xef\xbb\xbf"
        async for line in lines:
            yield line.encode()

    return written()


async def _save(request: web.Request, file: Path, most_bytes: int) -> None:
    size, digest = 0, sha256()
    with await asyncio.to_thread(file.open, "wb") as out:
        async for block in request.content.iter_chunked(256 * 1024):
            size += len(block)
            if size > most_bytes:
                raise ApiError(
                    413, "too_large", f"文件超过 {most_bytes // 1024 // 1024} MB", hint="请分成几个文件导入。"
                )
            digest.update(block)
            await asyncio.to_thread(out.write, block)
    request[UPLOADED] = digest.hexdigest()


async def _one(call: Call) -> ImportAnswer:
    return ImportAnswer.model_validate(told(await find_run(call.session, call.path.id)))


_READ, _WRITE = Right.SUBSCRIBERS_READ, Right.IMPORTS_WRITE
_ONE = "/imports/{id}"
ENDPOINTS = (
    Endpoint("GET", "/imports", _READ, index, Page[ImportAnswer], query=PageQuery),
    Endpoint(
        "POST",
        "/imports",
        _WRITE,
        upload,
        ImportAnswer,
        201,
        query=UploadQuery,
        upload=True,
        faults=frozenset({404, 413}),
    ),
    Endpoint("GET", _ONE, _READ, show, ImportAnswer, path_model=Numbered),
    Endpoint(
        "POST",
        f"{_ONE}/start",
        _WRITE,
        start,
        ImportAnswer,
        path_model=Numbered,
        body=Start,
        faults=frozenset({409}),
    ),
    Endpoint(
        "POST", f"{_ONE}/cancel", _WRITE, stop, ImportAnswer, path_model=Numbered, faults=frozenset({409})
    ),
    Endpoint("GET", f"{_ONE}/result", _READ, result, None, path_model=Numbered, file="text/csv", leaves=True),
)
