"""Users: invited, given a role for all publications or for some, disabled; links to choose a password; second factors.

In: forms of an admin. Out: pages; a link is shown once, by the answer that made it.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from aiohttp import web
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import second_factors
from bdnews_dispatch.accounts import users as rooms
from bdnews_dispatch.accounts.models import ApiToken, ProviderIdentity, User
from bdnews_dispatch.accounts.rights import RIGHTS, Role, rights_of
from bdnews_dispatch.accounts.sessions import sessions_of
from bdnews_dispatch.accounts.tokens import is_good, tokens
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase, StateError
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS

ROOM = "/console/users"
#: What the form says for all publications; no key is written so.
_ALL = "*"


async def index(request: web.Request) -> web.Response:
    """Everybody."""
    return await _index(request)


async def invite(request: web.Request) -> web.StreamResponse:
    """Somebody new; the page that answers is the only one that shows their link."""
    app = request.app
    try:
        async with app[DATABASE].write() as session:
            user = await rooms.add_user(
                session,
                app[CLOCK],
                email=field(request, "email", 254),
                name=field(request, "name", rooms.LONGEST_NAME),
                role=_role(request),
                publications=_publications(request),
            )
            secret = await rooms.make_link(session, app[CLOCK], user)
            await note(request, session, "user.invite", f"user:{user.id}", _said(user))
    except BdnewsError as error:
        return await _index(request, problem=error)
    return await _show(request, user.id or 0, secret=secret)


async def show(request: web.Request) -> web.Response:
    """One of them."""
    return await _show(request, number(request.match_info["id"]))


async def act(request: web.Request) -> web.StreamResponse:
    """What a button says."""
    app, user_id, what = request.app, number(request.match_info["id"]), field(request, "do", 20)
    secret = ""
    try:
        async with app[DATABASE].write() as session:
            user = await _find(session, user_id)
            before = _said(user)
            if what == "link":
                secret = await rooms.make_link(session, app[CLOCK], user)
            elif what in _ACTS:
                await _ACTS[what](request, session, user)
            else:
                raise web.HTTPBadRequest
            change = {"before": before, "after": _said(user)} if what in {"role", "name"} else None
            await note(request, session, f"user.{what}", f"user:{user_id}", change)
    except BdnewsError as error:
        return await _show(request, user_id, problem=error)
    if secret:
        return await _show(request, user_id, secret=secret)
    raise back(f"{ROOM}/{user_id}", "changed")


async def _role_of(request: web.Request, session: AsyncSession, user: User) -> None:
    await rooms.change_role(session, user, _role(request), _publications(request, user.publications))


async def _name(request: web.Request, session: AsyncSession, user: User) -> None:
    user.name = field(request, "name", rooms.LONGEST_NAME)
    session.add(user)


async def _disable(request: web.Request, session: AsyncSession, user: User) -> None:
    await rooms.disable(session, request.app[CLOCK], user)


async def _enable(_: web.Request, session: AsyncSession, user: User) -> None:
    await rooms.enable(session, user)


async def _end(_: web.Request, session: AsyncSession, user: User) -> None:
    await rooms.end_sessions(session, user)


async def _factor(request: web.Request, session: AsyncSession, user: User) -> None:
    """For who has lost their telephone and their codes; one's own goes by a code, on one's own page."""
    if user.id == request[WHO].user_id:
        raise StateError("自己的第二重验证在“我的账户”里关闭", hint="那里要一个现在的验证码或备用码。")
    await second_factors.turn_off(session, user)
    await rooms.end_sessions(session, user)


async def _identity(_: web.Request, session: AsyncSession, user: User) -> None:
    await rooms.unbind(session, user)


_ACTS: Mapping[str, Callable[[web.Request, AsyncSession, User], Awaitable[None]]] = {
    "role": _role_of,
    "name": _name,
    "disable": _disable,
    "enable": _enable,
    "end": _end,
    "factor": _factor,
    "identity": _identity,
}


async def _index(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    app = request.app
    async with app[DATABASE].read() as session:
        found = await rooms.users(session)
    typed: dict[str, Any] = {"email": "", "name": "", "role": "", "publications": [_ALL]}
    if problem:
        typed = {name: field(request, name, 254) for name in ("email", "name", "role")}
        typed["publications"] = request[FORM].getall("publication", [])
    return page(
        request,
        "users.html",
        status=422 if problem else 200,
        found=found,
        problem=problem,
        typed=typed,
        publications=app[PUBLICATIONS],
        roles=list(Role),
        rights=RIGHTS,
    )


async def _show(
    request: web.Request, user_id: int, *, secret: str = "", problem: BdnewsError | None = None
) -> web.Response:
    app = request.app
    async with app[DATABASE].read() as session:
        user = await _find(session, user_id)
        found = await sessions_of(session, app[CLOCK], user_id)
        identities = (
            await session.exec(select(ProviderIdentity).where(ProviderIdentity.user_id == user_id))
        ).all()
        now = app[CLOCK]()
        own: list[ApiToken] = [one for one in await tokens(session, user_id) if is_good(one, now)]
        left = await second_factors.codes_left(session, user_id)
    return page(
        request,
        "user.html",
        status=422 if problem else 200,
        user=user,
        sessions=found,
        identities=identities,
        tokens=own,
        codes_left=left,
        link=f"{app[LINKS].base_url}/console/password/{secret}" if secret else "",
        problem=problem,
        publications=app[PUBLICATIONS],
        roles=list(Role),
        rights=sorted(rights_of(user.role, user.publications)),
        all_rights=RIGHTS,
    )


async def _find(session: AsyncSession, user_id: int) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise NotFoundError("没有这位用户")
    return user


def _role(request: web.Request) -> Role:
    try:
        return Role(field(request, "role", 20))
    except ValueError as error:
        raise BdnewsError("请选一个角色") from error


def _publications(request: web.Request, before: Collection[str] = ()) -> list[str]:
    """Those that were ticked; none: all, where that was said.

    Args:
        before: keys that they have: one that the settings hold no more may stay.

    Raises:
        BdnewsError: nothing was said, or a publication that is not there.
    """
    chosen = request[FORM].getall("publication", [])
    if _ALL in chosen:
        return []
    if not chosen:
        raise BdnewsError("请选管哪些刊物", hint="管全部的，请选“全部刊物”。")
    known = {*request.app[PUBLICATIONS], *before}
    if strange := [key for key in chosen if key not in known]:
        raise BdnewsError(Phrase("没有这些刊物：%(names)s", names=strange[:10]), hint="请刷新这一页再选。")
    return chosen


def _said(user: User) -> dict[str, Any]:
    """For the audit log: no address."""
    return {"role": user.role.value, "publications": list(user.publications)}
