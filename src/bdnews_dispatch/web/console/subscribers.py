"""Subscribers: found, looked at, added, changed, ended, tagged, suppressed, copied, erased."""

import json
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch import words
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.privacy.copying import copy_of, number_of_deliveries, seen_of
from bdnews_dispatch.privacy.erasing import erase as erase_person
from bdnews_dispatch.subscribers import lists, people, suppressions
from bdnews_dispatch.subscribers.adding import Said, add_by_hand
from bdnews_dispatch.subscribers.agreements import Proof, unsubscribe
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    ChannelChoice,
    Subscriber,
)
from bdnews_dispatch.subscribers.profiles import Wanted, find_people, profiles_of, suggest
from bdnews_dispatch.subscribers.tags import all_tags, tag_people, untag_people
from bdnews_dispatch.web.console.desk import ROWS, asked, back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROOM = "/console/subscribers"
#: Of the form for somebody new.
_BLANK: Mapping[str, object] = {
    **dict.fromkeys(("email", "name", "openid", "publication", "channel", "cadence", "evidence"), ""),
    "whole_issue": "",
    "resubscribe": "",
    "sections": (),
}
#: Deliveries and hits shown of a person; the copy holds all.
_SHOWN = 50
#: Under the field of a search.
_SUGGESTED = 8


async def index(request: web.Request) -> web.Response:
    """Everybody, or who fits."""
    query = request.query
    wanted = Wanted(
        words=asked(request, "q"), tag=asked(request, "tag", 40), list_name=asked(request, "list", 100)
    )
    after = number(query["after"]) if query.get("after") else 0
    async with request.app[DATABASE].read() as session:
        found = await find_people(session, wanted, after=after, limit=ROWS + 1)
        profiles = await profiles_of(session, found[:ROWS])
        names = await lists.list_names(session)
        tags = await all_tags(session)
    return page(
        request,
        "subscribers.html",
        profiles=profiles,
        wanted=wanted,
        lists=names,
        tags=tags,
        publications=request.app[PUBLICATIONS],
        following=str(request.rel_url.update_query(after=str(found[ROWS - 1].id)))
        if len(found) > ROWS
        else "",
    )


async def find(request: web.Request) -> web.Response:
    """Who may be meant by what is typed so far: a part of a page, for search.js."""
    async with request.app[DATABASE].read() as session:
        found = await suggest(session, asked(request, "q"), limit=_SUGGESTED)
    return page(request, "found.html", found=found)


async def show(request: web.Request) -> web.Response:
    """A person: everything that is kept."""
    return await _person(request, number(request.match_info["id"]))


async def new(request: web.Request) -> web.Response:
    """The form for somebody new."""
    return page(
        request, "subscriber_new.html", publications=request.app[PUBLICATIONS], typed=_BLANK, problem=None
    )


async def add(request: web.Request) -> web.StreamResponse:
    """Somebody new, or a change of who is there already."""
    app, form = request.app, request[FORM]
    publication = app[PUBLICATIONS].named(field(request, "publication", 40) or None)
    sections = [str(key)[:40] for key in form.getall("section", [])]
    whole = "whole_issue" in form
    said = Said(
        field(request, "email", 254) or None,
        field(request, "name", 100),
        field(request, "openid", 64) or None,
        [] if whole else (sections or None),
        ChannelChoice(form["channel"]) if form.get("channel") in set(ChannelChoice) else None,
        Cadence(form["cadence"]) if form.get("cadence") in set(Cadence) else None,
    )
    evidence = field(request, "evidence", 200)
    try:
        _check_evidence(evidence)
        async with app[DATABASE].write() as session:
            done = await add_by_hand(
                session,
                app[CLOCK],
                app[LINKS].signer,
                publication,
                said,
                Proof("admin", evidence),
                resubscribe="resubscribe" in form,
            )
            await note(
                request,
                session,
                "subscriber.add",
                f"subscriber:{done.subscriber_id}",
                {"status": done.status, "publication": publication.key, "resubscribe": "resubscribe" in form},
            )
    except BdnewsError as error:
        return page(
            request,
            "subscriber_new.html",
            status=422,
            publications=app[PUBLICATIONS],
            typed={**_BLANK, **{key: str(value)[:254] for key, value in form.items()}, "sections": sections},
            problem=error,
        )
    raise back(f"{ROOM}/{done.subscriber_id}", done.status)


def acting(action: str) -> Handler:
    """The handler of one of `ACTIONS`."""
    _, do = ACTIONS[action]

    async def act(request: web.Request) -> web.StreamResponse:
        subscriber_id = number(request.match_info["id"])
        try:
            async with request.app[DATABASE].write() as session:
                person = await people.find_by_id(session, subscriber_id)
                done = await do(request, session, person)
        except NotFoundError:
            raise
        except BdnewsError as error:
            return await _person(request, subscriber_id, problem=error)
        raise back(f"{ROOM}/{subscriber_id}", done)

    return act


async def copy(request: web.Request) -> web.Response:
    """All data of a person as a file, for them."""
    subscriber_id = number(request.match_info["id"])
    app = request.app
    async with app[DATABASE].read() as session:
        found = await copy_of(session, app[CLOCK], subscriber_id)
    async with app[DATABASE].write() as session:
        await note(request, session, "subscriber.copy", f"subscriber:{subscriber_id}")
    name = quote(f"订阅者-{subscriber_id}.json")
    return web.Response(
        text=json.dumps(found, ensure_ascii=False, indent=2),
        content_type="application/json",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"},
    )


def _check_evidence(evidence: str) -> None:
    if not evidence:
        raise BdnewsError("请写明依据：此人怎样同意的", hint="例如“2026 年 11 月 20 日来电要求订阅”。")


async def _person(
    request: web.Request, subscriber_id: int, *, problem: BdnewsError | None = None
) -> web.Response:
    app = request.app
    async with app[DATABASE].read() as session:
        person = await people.find_by_id(session, subscriber_id)
        (profile,) = await profiles_of(session, [person])
        kept = await seen_of(session, person, latest=_SHOWN)
        all_deliveries = await number_of_deliveries(session, subscriber_id)
        names = await lists.list_names(session)
    deliveries = kept["deliveries"][::-1]
    return page(
        request,
        "subscriber.html",
        status=422 if problem else 200,
        profile=profile,
        kept=kept,
        deliveries=[
            {**one, "words": words.delivery_state(one["state"]), "why": words.reason(one["reason"])}
            for one in deliveries
        ],
        all_deliveries=all_deliveries,
        publications=app[PUBLICATIONS],
        lists=[name for name in names if name not in profile.lists],
        problem=problem,
    )


async def _unsubscribe(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    publication = request.app[PUBLICATIONS].named(field(request, "publication", 40) or None)
    reason = field(request, "reason", 100)
    await unsubscribe(
        session, request.app[CLOCK], person.id or 0, publication.key, reason=reason, origin="admin"
    )
    await note(
        request,
        session,
        "subscriber.unsubscribe",
        _who(person),
        {"publication": publication.key},
    )
    return "unsubscribed"


async def _tag(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    tag = field(request, "tag", 40)
    await tag_people(session, [person.id or 0], tag)
    await note(request, session, "subscriber.tag", _who(person), {"tag": tag})
    return "tagged"


async def _untag(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    tag = field(request, "tag", 40)
    await untag_people(session, [person.id or 0], tag)
    await note(request, session, "subscriber.untag", _who(person), {"tag": tag})
    return "tagged"


async def _join(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    found = await lists.find_list(session, field(request, "list", 100))
    proof = Proof("admin", f"console {request[WHO].actor}")
    await lists.join_list(session, request.app[CLOCK], found.id or 0, [person.id or 0], proof)
    await note(request, session, "list.join", _who(person), {"list": found.name})
    return "joined"


async def _leave(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    found = await lists.find_list(session, field(request, "list", 100))
    await lists.leave_list(session, request.app[CLOCK], found.id or 0, [person.id or 0], reason="admin")
    await note(request, session, "list.leave", _who(person), {"list": found.name})
    return "left"


async def _suppress(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    channel, target = _target(request, person)
    await suppressions.suppress(
        session, request.app[CLOCK], channel, target, reason="admin", source="admin", evidence=_why(request)
    )
    await note(request, session, "suppression.add", _who(person), {"channel": channel.value})
    return "suppressed"


async def _lift(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    channel, target = _target(request, person)
    await suppressions.lift(session, request.app[CLOCK], channel, target, note=_why(request))
    await note(request, session, "suppression.lift", _who(person), {"channel": channel.value})
    return "lifted"


async def _erase(request: web.Request, session: AsyncSession, person: Subscriber) -> str:
    if field(request, "confirm").casefold() not in {"删除", "delete"}:
        raise BdnewsError("没有删除任何内容", hint="请在框里写“删除”两个字再提交：删除后无法恢复。")
    subject = _who(person)
    await erase_person(session, request.app[CLOCK], request.app[LINKS].signer, person.id or 0)
    await note(request, session, "subscriber.erase", subject)
    return "erased"


_WRITE, _STOP = Right.SUBSCRIBERS_WRITE, Right.SUPPRESSIONS_WRITE
#: Action → what it needs, and what does it.
ACTIONS: Mapping[str, tuple[Right, Callable[[web.Request, AsyncSession, Subscriber], Awaitable[str]]]] = {
    "unsubscribe": (_WRITE, _unsubscribe),
    "tag": (_WRITE, _tag),
    "untag": (_WRITE, _untag),
    "join": (_WRITE, _join),
    "leave": (_WRITE, _leave),
    "suppress": (_STOP, _suppress),
    "lift": (_STOP, _lift),
    "erase": (_WRITE, _erase),
}


def _target(request: web.Request, person: Subscriber) -> tuple[Channel, str]:
    channel = Channel.WECHAT if field(request, "channel") == Channel.WECHAT else Channel.EMAIL
    target = person.openid if channel is Channel.WECHAT else person.email_key
    if not target:
        raise BdnewsError("此人没有这个渠道的地址")
    return channel, target


def _why(request: web.Request) -> str:
    why = field(request, "note")
    if not why:
        raise BdnewsError("请写明为什么", hint="会与停发记录一起保留。")
    return why


def _who(person: Subscriber) -> str:
    return f"subscriber:{person.id}"
