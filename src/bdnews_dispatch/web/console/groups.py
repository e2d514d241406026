"""Lists and segments: made, described, taken away; who is on a list is seen among the subscribers."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.subscribers import lists as list_rooms
from bdnews_dispatch.subscribers import segments as segment_rooms
from bdnews_dispatch.subscribers.segments import SegmentError
from bdnews_dispatch.web.console import conditions
from bdnews_dispatch.web.console.desk import back, field, note, page
from bdnews_dispatch.web.console.guests import FORM
from bdnews_dispatch.web.console.sizes import Sizes, sizes_of_lists, sizes_of_segments
from bdnews_dispatch.web.console.whom import choices
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PAGES, PUBLICATIONS
from bdnews_dispatch.web.standing import SOON

#: Characters of a rule; the reader of rules counts its conditions.
_LONGEST_RULE = 20_000


async def lists(request: web.Request) -> web.Response:
    """All lists."""
    return await _lists(request)


async def save_list(request: web.Request) -> web.StreamResponse:
    """A new list, or what one says of itself."""
    name = field(request, "name", 100)
    try:
        if not name or "/" in name:
            raise BdnewsError("名单的名称应为 1–100 个字，不含“/”")  # noqa: TRY301  # told on the same page
        async with request.app[DATABASE].write() as session:
            await list_rooms.find_or_make_list(session, request.app[CLOCK], name)
            public = "public" in request[FORM]
            await list_rooms.describe_list(
                session, name, description=field(request, "description"), public=public
            )
            await note(request, session, "list.save", f"list:{name}", {"public": public})
    except BdnewsError as error:
        return await _lists(request, problem=error)
    raise back("/console/lists", "saved")


async def segments(request: web.Request) -> web.Response:
    """All segments, with how many fit now."""
    return await _segments(request)


async def save_segment(request: web.Request) -> web.StreamResponse:
    """Count a rule, save it, or show the form with a row or a group more or less."""
    app, form = request.app, request[FORM]
    do, name = field(request, "do", 20), field(request, "name", 100)
    publication = app[PUBLICATIONS].named(None)
    text = str(form.get("rule", ""))[:_LONGEST_RULE]
    written = _written(request) if "g0" in form else None
    if written is not None and (now := conditions.changed(written, do)) is not None:
        return await _segments(request, typed=_Typed(name, text, now))
    typed = _Typed(name, text, written)
    try:
        rule = conditions.rule_of(written, publication) if written is not None else _parsed(text)
        segment_rooms.read_rule(rule, publication)
        typed = _Typed(name, _as_text(rule), written or conditions.written_of(rule, publication))
        if do == "count":
            async with app[DATABASE].read() as session:
                number = await segment_rooms.count_of(session, app[CLOCK], publication.key, rule)
            return await _segments(request, typed=typed, counted=number)
        async with app[DATABASE].write() as session:
            await segment_rooms.save_segment(session, app[CLOCK], publication, name, rule)
            await note(request, session, "segment.save", f"segment:{name}", {"rule": rule})
    except BdnewsError as error:
        return await _segments(request, typed=typed, problem=error)
    raise back("/console/segments", "saved")


async def count_segment(request: web.Request) -> web.Response:
    """How many fit what is in the form: a part of the page, for the script that asks as one writes."""
    app, number, problem = request.app, None, None
    publication = app[PUBLICATIONS].named(None)
    try:
        rule = conditions.rule_of(_written(request), publication)
        async with app[DATABASE].read() as session:
            number = await segment_rooms.count_of(session, app[CLOCK], publication.key, rule)
    except BdnewsError as error:
        problem = error
    return page(request, "segment_count.html", counted=number, problem=problem)


async def remove_segment(request: web.Request) -> web.StreamResponse:
    """Take one away; dispatches that named it go on."""
    name = field(request, "name", 100)
    async with request.app[DATABASE].write() as session:
        await segment_rooms.remove_segment(session, name)
        await note(request, session, "segment.remove", f"segment:{name}")
    raise back("/console/segments", "removed")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SegmentError("规则不是正确的 JSON", hint="照着页面上的例子写。") from error


async def _lists(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    async with request.app[DATABASE].read() as session:
        sizes = await sizes_of_lists(request, session)
    typed = {
        "name": field(request, "name", 100) if problem else "",
        "description": field(request, "description") if problem else "",
    }
    response = page(
        request, "lists.html", status=422 if problem else 200, sizes=sizes, typed=typed, problem=problem
    )
    return _again_soon(response, sizes)


def _again_soon(response: web.Response, sizes: Sizes[Any]) -> web.Response:
    if not sizes.known and response.status == HTTPStatus.OK:
        response.headers["Refresh"] = SOON
    return response


@dataclass(frozen=True, slots=True)
class _Typed:
    """What stands in the room's forms. Attributes: written: None: the rule goes deeper than rows do, or is none."""

    name: str
    rule: str
    written: conditions.Written | None


def _written(request: web.Request) -> conditions.Written:
    return conditions.read(lambda name, most: field(request, name, most))


def _as_text(rule: Any) -> str:
    return json.dumps(rule, ensure_ascii=False, indent=2)


async def _segments(
    request: web.Request,
    *,
    typed: _Typed | None = None,
    counted: int | None = None,
    problem: BdnewsError | None = None,
) -> web.Response:
    publication, say = request.app[PUBLICATIONS].named(None), request.app[PAGES].words(request)
    async with request.app[DATABASE].read() as session:
        sizes = await sizes_of_segments(request, session)
        chosen = await choices(session)
    untouched = typed is None
    if typed is None:
        wanted = next((one for one in sizes.found if one.name == request.query.get("name")), None)
        typed = (
            _Typed(wanted.name, _as_text(wanted.rule), conditions.written_of(wanted.rule, publication))
            if wanted
            else _Typed("", "", conditions.BLANK)
        )
    response = page(
        request,
        "segments.html",
        status=422 if problem else 200,
        sizes=sizes,
        rules={one.name: conditions.in_words(one.rule, say, publication) for one in sizes.found},
        typed=typed,
        counted=counted,
        problem=problem,
        kinds=conditions.KINDS,
        hints={"": ""} | {kind.key: kind.hint for kind in conditions.KINDS},
        suggested={
            "list": chosen["list"],
            "sections": [section.name for section in publication.sections],
        },
    )
    return _again_soon(response, sizes) if untouched and not request.query.get("name") else response
