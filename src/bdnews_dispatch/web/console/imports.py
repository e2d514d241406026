"""Imports: a file is brought, its columns chosen and checked, begun; watched; what was refused is fetched.

The page of a run that goes on reloads itself every few seconds, without a script.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from aiohttp import BodyPartReader, web

from bdnews_dispatch.errors import BdnewsError, ImportFileError, Phrase
from bdnews_dispatch.subscribers import lists
from bdnews_dispatch.subscribers.imports.checking import check as check_run
from bdnews_dispatch.subscribers.imports.columns import PLAIN_FIELDS
from bdnews_dispatch.subscribers.imports.counting import Counts
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
from bdnews_dispatch.web.console.desk import ROWS, back, field, note, number, page
from bdnews_dispatch.web.console.guests import CSRF, FORM, WHO, check_word
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS, WAKE

ROOM = "/console/imports"
_RELOAD_SECONDS = 3
_BLOCK = 256 * 1024


async def index(request: web.Request) -> web.Response:
    """The newest imports, and a place for a file."""
    return await _index(request)


async def bring(request: web.Request) -> web.StreamResponse:
    """A file comes in."""
    app = request.app
    try:
        with tempfile.TemporaryDirectory(prefix="bdnews-import-") as folder:
            file, name, again = await _save(request, Path(folder))
            run_id = await receive(
                app[DATABASE],
                app[CLOCK],
                app[SETTINGS].imports,
                app[PUBLICATIONS].named(None),
                file,
                file_name=name,
                origin=f"console {request[WHO].actor}",
            )
    except ImportFileError as error:
        return await _index(request, problem=error)
    async with app[DATABASE].write() as session:
        await note(request, session, "import.bring", f"import:{run_id}")
    if again:
        await _choose_as_before(request, run_id, again)
    raise back(f"{ROOM}/{run_id}")


async def show(request: web.Request) -> web.Response:
    """A run: its columns where it waits, how far it is where it goes on, what came of it."""
    return await _run(request, number(request.match_info["id"]))


async def start(request: web.Request) -> web.StreamResponse:
    """Check it, or begin."""
    app, form, run_id = request.app, request[FORM], number(request.match_info["id"])
    chosen = {
        str(value): name.removeprefix("column:")
        for name, value in form.items()
        if name.startswith("column:") and value
    }
    mode = ImportMode(form["mode"]) if form.get("mode") in set(ImportMode) else ImportMode.UPDATE
    async with app[DATABASE].read() as session:
        guessed = {name for name in (await find_run(session, run_id)).mapping if name}
    columns = {**dict.fromkeys(guessed, ""), **chosen}  # what was guessed and is not wanted is taken away
    choices = Choices(mode, columns, field(request, "list", 100), field(request, "basis", 1_000))
    try:
        async with app[DATABASE].write() as session:
            await choose(session, run_id, choices)  # kept, whatever is still missing
        if form.get("do") == "check":
            counts = await check_run(app[DATABASE], app[CLOCK], app[PUBLICATIONS], app[LINKS].signer, run_id)
            return await _run(request, run_id, checked=counts)
        async with app[DATABASE].write() as session:
            await begin(session, app[CLOCK], run_id)
            what = {"mode": mode.value, "list": choices.list_name}
            await note(request, session, "import.start", f"import:{run_id}", what)
    except BdnewsError as error:
        return await _run(request, run_id, problem=error, typed=choices)
    app[WAKE]()
    raise back(f"{ROOM}/{run_id}", "started")


async def stop(request: web.Request) -> web.StreamResponse:
    """Take no more of it; what was taken stays."""
    run_id = number(request.match_info["id"])
    try:
        async with request.app[DATABASE].write() as session:
            await cancel(session, request.app[CLOCK], run_id)
            await note(request, session, "import.cancel", f"import:{run_id}")
    except BdnewsError as error:
        return await _run(request, run_id, problem=error)
    raise back(f"{ROOM}/{run_id}", "cancelled")


async def result(request: web.Request) -> web.StreamResponse:
    """The rows that were refused, to be corrected and brought again."""
    run_id = number(request.match_info["id"])
    async with request.app[DATABASE].write() as session:
        await find_run(session, run_id)
        await note(
            request, session, "import.result", f"import:{run_id}"
        )  # names and addresses leave the house
    headers = {
        "Content-Disposition": f'attachment; filename="import-{run_id}.csv"',
        "Cache-Control": "no-store",
    }
    response = web.StreamResponse(headers=headers)
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    await response.write(b"\xef\xbb\xbf")  # so that a spreadsheet reads it as UTF-8
    async for line in result_lines(request.app[DATABASE], run_id):
        await response.write(line.encode())
    await response.write_eof()
    return response


async def _choose_as_before(request: web.Request, run_id: int, again: int) -> None:
    """What was refused and is corrected now goes where the rest went; what does not fit any more is asked anew."""
    with contextlib.suppress(BdnewsError):
        async with request.app[DATABASE].write() as session:
            earlier, run = await find_run(session, again), await find_run(session, run_id)
            taken = zip(earlier.headings, earlier.mapping, strict=True)
            columns = {name: heading for heading, name in taken if name and heading in run.headings}
            chosen = Choices(earlier.mode, columns, earlier.list_name, earlier.basis)
            await choose(session, run_id, chosen)


async def _save(request: web.Request, folder: Path) -> tuple[Path, str, int]:
    """The file of the form, on the disk; its name; the number of the run that refused these rows, 0: none.

    Raises:
        ImportFileError: there is no file, or it is too large.
    """
    most = request.app[SETTINGS].imports.max_bytes
    try:
        reader = await request.multipart()
        known, again = False, 0
        async for part in reader:
            if isinstance(part, BodyPartReader) and part.name == CSRF:
                check_word(request, (await part.read_chunk(200)).decode("utf-8", "replace"))
                known = True
                continue
            if isinstance(part, BodyPartReader) and part.name == "again":
                text = (await part.read_chunk(200)).decode("utf-8", "replace")
                again = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
                continue
            if not isinstance(part, BodyPartReader) or part.name != "file" or not part.filename:
                continue
            if not known:  # the word stands before the file
                raise web.HTTPForbidden
            name = "".join(c for c in part.filename if c.isprintable())[-255:]
            file, size = folder / f"file{Path(name).suffix.lower()[:8]}", 0
            with await asyncio.to_thread(file.open, "wb") as out:
                while block := await part.read_chunk(_BLOCK):
                    size += len(block)
                    if size > most:
                        raise ImportFileError(
                            Phrase("文件超过 %(most)s MB", most=most // 1024 // 1024),
                            hint="请分成几个文件导入。",
                        )
                    await asyncio.to_thread(out.write, block)
            return file, name, again
    except (ValueError, AssertionError) as error:  # no multipart, or a broken one
        raise web.HTTPForbidden from error
    if not known:
        raise web.HTTPForbidden
    raise ImportFileError("没有选文件", hint="请选一个 CSV 或 XLSX 文件。")


async def _index(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    async with request.app[DATABASE].read() as session:
        runs = [told(run) for run in await list_runs(session, ROWS)]
    return page(request, "imports.html", status=422 if problem else 200, runs=runs, problem=problem)


async def _run(
    request: web.Request,
    run_id: int,
    *,
    problem: BdnewsError | None = None,
    checked: Counts | None = None,
    typed: Choices | None = None,
) -> web.Response:
    """Args: typed: what the form holds, where it can't be taken: none of it is lost."""
    async with request.app[DATABASE].read() as session:
        run = await find_run(session, run_id)
        names = await lists.list_names(session)
    for name, value in checked.columns().items() if checked is not None else ():
        setattr(run, name, value)  # shown, not written
    going = run.state is ImportState.RUNNING
    shown = told(run)
    if typed is not None and run.state is ImportState.READY:
        fields = {heading: name for name, heading in typed.columns.items() if heading}
        columns = {heading: fields.get(heading, "") for heading in run.headings}
        shown |= {"mode": typed.mode.value, "list": typed.list_name, "basis": typed.basis, "columns": columns}
    response = page(
        request,
        "import.html",
        status=422 if problem else 200,
        run=shown,
        waiting=run.state is ImportState.READY,
        going=going,
        checked=checked is not None,
        fields=PLAIN_FIELDS,
        modes=[mode.value for mode in ImportMode],
        lists=names,
        problem=problem,
    )
    if going:
        response.headers["Refresh"] = str(_RELOAD_SECONDS)
    return response
