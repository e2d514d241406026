"""Tokens of the JSON API: one's own; an admin sees everybody's and may revoke them.

In: forms. Out: pages; a token is shown once, by the answer that made it.
"""

from collections.abc import Mapping
from datetime import timedelta

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import tokens as rooms
from bdnews_dispatch.accounts.models import ApiToken, User
from bdnews_dispatch.accounts.rights import Right, rights_of
from bdnews_dispatch.accounts.users import users
from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE

ROOM = "/console/tokens"
_MOST_DAYS = 3660


async def index(request: web.Request) -> web.Response:
    """One's own, or all."""
    return await _page(request)


async def add(request: web.Request) -> web.StreamResponse:
    """A new one of one's own; the page that answers is the only one that shows it."""
    app, form = request.app, request[FORM]
    try:
        async with app[DATABASE].write() as session:
            user = await session.get(User, request[WHO].user_id)
            row, token = await rooms.make_token(
                session,
                app[CLOCK],
                name=field(request, "name", 2 * rooms.LONGEST_NAME),
                scope=[right for right in Right if right in form.getall("right", [])],
                ends_at=app[CLOCK]() + timedelta(days=_days(field(request, "days", 6))),
                user=user,
            )
            what = {"scope": row.scope, "ends_at": row.ends_at.isoformat() if row.ends_at else None}
            await note(request, session, "token.add", f"token:{row.id}", what)
    except BdnewsError as error:
        return await _page(request, problem=error)
    return await _page(request, token=token)


async def revoke(request: web.Request) -> web.StreamResponse:
    """Not good from now on."""
    app, token_id = request.app, number(request.match_info["id"])
    async with app[DATABASE].write() as session:
        row = await session.get(ApiToken, token_id)
        if row is None or not _sees(request, row):
            raise web.HTTPNotFound
        await rooms.revoke(session, app[CLOCK], token_id)
        await note(request, session, "token.revoke", f"token:{token_id}")
    raise back(ROOM, "revoked")


async def _page(request: web.Request, *, token: str = "", problem: BdnewsError | None = None) -> web.Response:
    app, who = request.app, request[WHO]
    everybodys = who.may(Right.USERS_WRITE)
    async with app[DATABASE].read() as session:
        found = await rooms.tokens(session, None if everybodys else who.user_id)
        owners = await _owners(session) if everybodys else {}
    now = app[CLOCK]()
    mine = rights_of(who.role, who.publications)
    return page(
        request,
        "tokens.html",
        status=422 if problem else 200,
        found=[(one, rooms.is_good(one, now)) for one in found],
        owners=owners,
        token=token,
        problem=problem,
        rights=[right for right in Right if right in mine],
        typed={
            "name": field(request, "name") if problem else "",
            "days": field(request, "days", 6) if problem else "365",
            "rights": request[FORM].getall("right", []) if problem else [],
        },
    )


async def _owners(session: AsyncSession) -> Mapping[int, str]:
    return {user.id: user.name or user.email for user in await users(session) if user.id is not None}


def _sees(request: web.Request, token: ApiToken) -> bool:
    return request[WHO].may(Right.USERS_WRITE) or token.user_id == request[WHO].user_id


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_DAYS):
        raise BdnewsError(Phrase("令牌的期限应为 1–%(most)s 天", most=_MOST_DAYS))
    return int(text)
