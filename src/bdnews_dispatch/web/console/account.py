"""One's own account: password, second factor, language, where one is signed in.

In: forms of who has signed in. Out: pages; recovery codes are shown once, by the answer that made them. Whoever must
have a second factor and has none gets no further than here (guests.py).
"""

from typing import Any

import segno
from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import second_factors
from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.accounts.passwords import SHORTEST, PasswordError, hash_new
from bdnews_dispatch.accounts.programs import end_programs, programs_of
from bdnews_dispatch.accounts.second_factors import CodeError
from bdnews_dispatch.accounts.sessions import (
    SignInError,
    confirm_password,
    end_others,
    end_session,
    proves,
    sessions_of,
)
from bdnews_dispatch.accounts.users import change_password
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.door import next_page
from bdnews_dispatch.web.console.guests import ENROLLING, FORM, SIGN_IN, WHO, must_enrol
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS
from bdnews_dispatch.web.language import LANGUAGES

ROOM = "/console/account"
#: Shown by the app beside the address.
_ISSUER = "bdnews_dispatch"
_LONGEST_CODE = 40


async def show(request: web.Request) -> web.Response:
    """Who one is here, and what of it can be changed."""
    return await _page(request)


async def password(request: web.Request) -> web.StreamResponse:
    """Another one; signed out everywhere, here too."""
    app, form = request.app, request[FORM]
    new = str(form.get("password", ""))
    try:
        if new != str(form.get("again", "")):
            raise PasswordError("两次写的不一样", hint="请再写一次。")  # noqa: TRY301  # told on this page
        await confirm_password(
            app[DATABASE],
            app[CLOCK],
            user_id=request[WHO].user_id,
            password=str(form.get("old", "")),
            network=network_of(request),
        )
        hashed = await hash_new(new, email=request[WHO].email)
        async with app[DATABASE].write() as session:
            user = await _self(request, session)
            await change_password(session, app[CLOCK], user, hashed)
            change = {}
            if field(request, "programs", 3):
                change = (await end_programs(session, app[CLOCK], request[WHO].user_id)).change
            await note(request, session, "password", f"user:{user.id}", change)
    except (PasswordError, SignInError) as error:
        return await _page(request, problem=error)
    raise web.HTTPSeeOther(f"{SIGN_IN}?password=chosen")


async def language(request: web.Request) -> web.StreamResponse:
    """Of the pages."""
    wanted = field(request, "language", 8)
    if wanted not in LANGUAGES:
        raise web.HTTPBadRequest
    async with request.app[DATABASE].write() as session:
        user = await _self(request, session)
        user.language = wanted
        session.add(user)
    raise web.HTTPSeeOther(next_page(field(request, "next", 2000)))


async def sessions(request: web.Request) -> web.StreamResponse:
    """Sign out elsewhere."""
    who, which = request[WHO], field(request, "end", 12)
    async with request.app[DATABASE].write() as session:
        if which == "others":
            await end_others(session, who.user_id, who.session_id)
        else:
            await end_session(session, who.user_id, number(which))
        await note(request, session, "session.end", f"user:{who.user_id}", {"which": which})
    raise back(ROOM, "signed_out")


async def second_factor(request: web.Request) -> web.Response:
    """Set it up, or what can be done about it."""
    return await _factor(request)


async def change_factor(request: web.Request) -> web.StreamResponse:
    """Begin, confirm, make other recovery codes, turn it off: the last two want a code of now."""
    app, what = request.app, field(request, "do", 20)
    code = field(request, "one_time_code", _LONGEST_CODE)
    clock, signer = app[CLOCK], app[LINKS].signer
    codes, right = None, True
    try:
        async with app[DATABASE].write() as session:
            user = await _self(request, session)
            if what == "begin":
                await second_factors.begin(session, signer, user)
            elif what == "confirm":
                codes = await second_factors.confirm(session, clock, signer, user, code)
                # Who is in elsewhere by the password alone is not in any longer.
                await end_others(session, request[WHO].user_id, request[WHO].session_id)
            elif what in {"codes", "off"}:
                right = await proves(session, clock, signer, user, code, network_of(request))
                if not right:
                    await note(request, session, "second_factor.refused", f"user:{user.id}")
                if right and what == "codes":
                    codes = await second_factors.new_codes(session, user)
                elif right:
                    await second_factors.turn_off(session, user)
            else:
                raise web.HTTPBadRequest
            if what != "begin" and right:
                await note(request, session, f"second_factor.{what}", f"user:{user.id}")
    except BdnewsError as error:
        return await _factor(request, problem=error)
    if not right:
        hint = N_("请看手机上现在的六位数字，或用一个备用码。")
        return await _factor(request, problem=CodeError("验证码不对", hint=hint))
    if codes is not None:
        return await _factor(request, codes=codes)
    raise back(ENROLLING if what == "begin" else ROOM, "" if what == "begin" else "changed")


async def _page(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    app, who = request.app, request[WHO]
    async with app[DATABASE].read() as session:
        found = await sessions_of(session, app[CLOCK], who.user_id)
        left = await second_factors.codes_left(session, who.user_id)
        programs = await programs_of(session, app[CLOCK], who.user_id)
    return page(
        request,
        "account.html",
        status=422 if problem else 200,
        problem=problem,
        sessions=found,
        codes_left=left,
        programs=programs,
        shortest=SHORTEST,
        publications=app[PUBLICATIONS],
    )


async def _factor(
    request: web.Request, *, problem: BdnewsError | None = None, codes: Any = None
) -> web.Response:
    app, who = request.app, request[WHO]
    qr = ""
    async with app[DATABASE].read() as session:
        user = await _self(request, session)
        secret = second_factors.begun(app[LINKS].signer, user)
        left = await second_factors.codes_left(session, who.user_id)
        active = user.totp_since is not None
    if secret:
        address = second_factors.address_for_app(secret, who.email, _ISSUER)
        qr = segno.make(address, error="m", micro=False).png_data_uri(scale=5, border=2)
    return page(
        request,
        "second_factor.html",
        status=422 if problem else 200,
        problem=problem,
        active=active,
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        qr_code=qr,
        codes=codes,
        codes_left=left,
        must=must_enrol(app[SETTINGS].sign_in, who) and not active,
    )


async def _self(request: web.Request, session: AsyncSession) -> User:
    user = await session.get(User, request[WHO].user_id)
    if user is None:
        raise NotFoundError("没有这位用户")
    return user
