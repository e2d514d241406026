"""Bulletins are written here: from nothing, from a template, from an earlier one; seen as they are written."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import tokens
from bdnews_dispatch.accounts.users import users
from bdnews_dispatch.bulletins import drafting
from bdnews_dispatch.bulletins.drafting import Written
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.bulletins.writing import LONGEST_TITLE, MOST_CHARACTERS
from bdnews_dispatch.digests.markdown_body import body_html, body_links
from bdnews_dispatch.dispatch.contents import Contents
from bdnews_dispatch.dispatch.drafts import as_bulletin, target_of_draft
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.moments import read_moment
from bdnews_dispatch.dispatch.starting import bulletin_dispatch, dispatches_of_bulletin
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.web.console.desk import ROWS, back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.console.previews import frame, look, send_test, whole_page
from bdnews_dispatch.web.console.reach import check_reach, publication_named, publications_of
from bdnews_dispatch.web.console.whom import Whom, choices, counts_now, forecast
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PAGES, PUBLICATIONS, SETTINGS

ROOM = "/console/bulletins"
#: What can still be changed.
_OPEN = (DraftState.DRAFT, DraftState.WAITING)
#: Longer ones are cut before they are looked at; what may be sent is shorter.
_MOST_TYPED = 2 * MOST_CHARACTERS


async def index(request: web.Request) -> web.Response:
    """Those that wait for a second person, then the newest."""
    async with request.app[DATABASE].read() as session:
        found = await drafting.drafts(session, ROWS, request[WHO].publications)
        names = await _names(request, session)
    return page(request, "bulletins.html", found=found, names=names, templates=drafting.templates())


async def new(request: web.Request) -> web.Response:
    """An empty form, or one filled from a template or an earlier bulletin."""
    values = _empty(request)
    template = drafting.templates().get(request.query.get("template", ""))
    if template is not None:
        values |= {"title": template[0], "body": template[1]}
    if request.query.get("from"):
        async with request.app[DATABASE].read() as session:
            earlier = await drafting.find(session, number(request.query["from"]))
        check_reach(request, earlier.publication)
        values |= _values(request, earlier) | {"at": "", "publication": earlier.publication}
    return await _form(request, values, None)


async def create(request: web.Request) -> web.StreamResponse:
    """Save a new one."""
    app = request.app
    publication = _publication(request)
    try:
        async with app[DATABASE].write() as session:
            draft = await drafting.begin(
                session, app[CLOCK], publication.key, request[WHO].actor, _written(request, publication)
            )
            await note(request, session, "bulletin.write", f"draft:{draft.id}", drafting.told(draft))
    except BdnewsError as error:
        return await _form(request, _typed(request), None, problem=error)
    raise back(f"{ROOM}/{draft.id}", "saved")


async def show(request: web.Request) -> web.Response:
    """One, with whom it would reach; for who may write, the form."""
    return await shown(request)


async def audience(request: web.Request) -> web.Response:
    """Whom it would reach, alone: the part of the page that its script asks for."""
    async with request.app[DATABASE].read() as session:
        draft = await drafting.find(session, number(request.match_info["id"]))
        if draft.state not in _OPEN:
            raise web.HTTPNotFound
        dispatch, contents = await _parts(request, session, draft)
        reached = await forecast(request, session, dispatch, contents)
    return page(request, "bulletin_audience.html", forecast=reached.as_json())


async def save(request: web.Request) -> web.StreamResponse:
    """Save over it; it waits for nobody any more."""
    app, draft_id = request.app, number(request.match_info["id"])
    async with app[DATABASE].read() as session:
        before = await drafting.find(session, draft_id)
    try:
        async with app[DATABASE].write() as session:
            draft = await drafting.change(
                session,
                app[CLOCK],
                draft_id,
                request[WHO].actor,
                _written(request, app[PUBLICATIONS].named(before.publication)),
                version=number(field(request, "version", 9)),
            )
            await note(
                request,
                session,
                "bulletin.change",
                f"draft:{draft_id}",
                {"before": drafting.told(before), "after": drafting.told(draft)},
            )
    except BdnewsError as error:
        async with app[DATABASE].read() as session:
            now = await drafting.find(session, draft_id)
        return await _form(request, _typed(request) | {"version": now.version}, now, problem=error)
    raise back(f"{ROOM}/{draft_id}", "saved")


async def live(request: web.Request) -> web.Response:
    """The words as they will be read; for the script that asks as one types."""
    title, body = field(request, "title", LONGEST_TITLE), _body(request)
    return page(request, "bulletin_words.html", title=title, html=_html(body))


async def preview(request: web.Request) -> web.Response:
    """As mail, text and card, with size and links."""
    draft, dispatch, contents = await _loaded(request)
    seen = await look(request, dispatch, contents, request.query)
    return whole_page(request, seen, room=f"{ROOM}/{draft.id}", title=draft.title, bulletin=True)


async def mail(request: web.Request) -> web.Response:
    """The mail alone, for the frame."""
    _, dispatch, contents = await _loaded(request)
    return frame(request, await look(request, dispatch, contents, request.query))


async def test(request: web.Request) -> web.StreamResponse:
    """Send it to oneself."""
    draft, dispatch, contents = await _loaded(request)
    form = request[FORM]
    seen = await look(request, dispatch, contents, form)
    raise await send_test(
        request, seen, draft.publication, room=f"{ROOM}/{draft.id}", subject=f"draft:{draft.id}"
    )


async def shown(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    """The page of one. Args: problem: what could not be done."""
    app = request.app
    draft_id, reached, later = number(request.match_info["id"]), None, False
    async with app[DATABASE].read() as session:
        draft = await drafting.find(session, draft_id)
        names = await _names(request, session)
        sent = await dispatches_of_bulletin(session, draft.bulletin_id) if draft.bulletin_id else []
        if draft.state in _OPEN:
            try:
                dispatch, contents = await _parts(request, session, draft)
                later = not await counts_now(request, session)
                reached = None if later else await forecast(request, session, dispatch, contents)
            except NotFoundError as error:  # a list or a segment that is there no more
                problem = problem or error
    who = request[WHO]
    form = None
    if draft.state in _OPEN and who.may(Right.BULLETINS_WRITE):
        form = await _form_data(request, _values(request, draft), draft)
    return page(
        request,
        "bulletin.html",
        status=422 if problem else 200,
        draft=draft,
        html="" if form else _html(draft.body),
        names=names,
        sent=sent,
        publication=app[PUBLICATIONS].named(draft.publication),
        forecast=reached.as_json() if reached else None,
        later=later,
        second=drafting.needs_second(draft),
        own=who.actor in draft.writers,
        undo_seconds=app[SETTINGS].console.undo_seconds,
        problem=problem,
        form=form,
    )


async def _form(
    request: web.Request,
    values: dict[str, Any],
    draft: BulletinDraft | None,
    *,
    problem: BdnewsError | None = None,
) -> web.Response:
    return page(
        request,
        "bulletin_form.html",
        status=422 if problem else 200,
        problem=problem,
        draft=draft,
        form=await _form_data(request, values, draft),
    )


async def _form_data(
    request: web.Request, values: dict[str, Any], draft: BulletinDraft | None
) -> dict[str, Any]:
    app = request.app
    async with app[DATABASE].read() as session:
        chosen = await choices(session)
    publication = (
        app[PUBLICATIONS].named(draft.publication)
        if draft
        else publication_named(request, values["publication"])
    )
    return {
        "values": values,
        "choices": chosen,
        "publication": publication,
        "publications": publications_of(request),
        "html": _html(values["body"]),
        "longest_title": LONGEST_TITLE,
        "most": MOST_CHARACTERS,
    }


async def _loaded(request: web.Request) -> tuple[BulletinDraft, Dispatch, Contents]:
    async with request.app[DATABASE].read() as session:
        draft = await drafting.find(session, number(request.match_info["id"]))
        dispatch, contents = await _parts(request, session, draft)
    return draft, dispatch, contents


async def _parts(
    request: web.Request, session: AsyncSession, draft: BulletinDraft
) -> tuple[Dispatch, Contents]:
    clock = request.app[CLOCK]
    bulletin = as_bulletin(clock, draft)
    target = await target_of_draft(session, draft)
    dispatch = bulletin_dispatch(clock, bulletin, target, draft.sections)
    return dispatch, Contents(draft.publication, (), bulletin)


async def _names(request: web.Request, session: AsyncSession) -> dict[str, str]:
    """Of writers and of who decided, as drafts hold them."""
    say = request.app[PAGES].words(request)
    people = {f"user:{user.id}": user.name or user.email for user in await users(session)}
    programs = {
        f"token:{one.id}": say(N_("令牌“%(name)s”")) % {"name": one.name} for one in await tokens(session)
    }
    return people | programs


def _publication(request: web.Request) -> Publication:
    return publication_named(request, field(request, "publication", 40))


def _written(request: web.Request, publication: Publication) -> Written:
    """Raises: BdnewsError: the time is none."""
    form = request[FORM]
    text = field(request, "at", 40)
    at: datetime | None = None
    if text:
        settings = request.app[SETTINGS]
        at = read_moment(text, settings.service.timezone, request.app[CLOCK]())
    chosen = set(form.getall("section", []))
    if chosen.issuperset(publication.section_keys):
        chosen = set()  # all of them narrow nothing down
    return Written(
        title=field(request, "title", 4 * LONGEST_TITLE),
        body=_body(request),
        urgent="urgent" in form,
        ad="ad" in form,
        sections=[key for key in publication.section_keys if key in chosen],
        whom=Whom.read(form).names,
        at=at,
    )


def _body(request: web.Request) -> str:
    """Lines as they were typed, without what no text may hold."""
    text = str(request[FORM].get("body", "")).replace("\r\n", "\n")[:_MOST_TYPED]
    return "".join(sign for sign in text if sign == "\n" or sign.isprintable())


def _html(body: str) -> str:
    """Cleaned; links are the text's own."""
    return body_html(body, {url: url for url in body_links(body)})


def _empty(request: web.Request) -> dict[str, Any]:
    names: Mapping[str, list[str]] = {"list": [], "segment": [], "except_list": [], "except_segment": []}
    return {
        "title": "",
        "body": "",
        "urgent": False,
        "ad": False,
        "sections": [],
        "whom": names,
        "at": "",
        "version": 0,
        "publication": publication_named(request, "").key,
    }


def _typed(request: web.Request) -> dict[str, Any]:
    """What stands in the form, to be shown again."""
    form = request[FORM]
    return _empty(request) | {
        "title": field(request, "title", 4 * LONGEST_TITLE),
        "body": _body(request),
        "urgent": "urgent" in form,
        "ad": "ad" in form,
        "sections": form.getall("section", []),
        "whom": Whom.read(form).names,
        "at": field(request, "at", 40),
        "publication": field(request, "publication", 40),
    }


def _values(request: web.Request, draft: BulletinDraft) -> dict[str, Any]:
    zone = request.app[SETTINGS].service.timezone
    return {
        "title": draft.title,
        "body": draft.body,
        "urgent": draft.urgent,
        "ad": draft.ad,
        "sections": draft.sections,
        "whom": _empty(request)["whom"] | draft.whom,
        "at": draft.at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if draft.at else "",
        "version": draft.version,
        "publication": draft.publication,
    }
