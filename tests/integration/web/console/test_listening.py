"""A dispatch's stream of events ends with its session, however that ends; and listening keeps no session alive."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse
from sqlmodel import col, select, update
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.models import ConsoleSession, User
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.sessions import IDLE, LASTS
from bdnews_dispatch.accounts.users import disable, find_user, make_link
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.web import progress
from bdnews_dispatch.web.keys import NEWS

EVENTS = "/console/dispatches/1/events"
PATIENCE = 20


@asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[ClientResponse]:
    """The stream of a dispatch that goes on; its first line has come."""
    async with desk.site.database.write() as session:
        dispatch = await session.get(Dispatch, 1)
        assert dispatch is not None
        dispatch.state = DispatchState.SENDING
    async with asyncio.timeout(PATIENCE), desk.client.get(EVENTS, allow_redirects=False) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert b'"state": "sending"' in await stream.content.readuntil(b"\n\n")
        yield stream


async def user_of(desk: Desk) -> User:
    async with desk.site.database.read() as session:
        user = await find_user(session, desk.email)
    assert user is not None
    return user


async def sign_out(desk: Desk) -> None:
    assert (await desk.post("/console/sign-out")).status == 303


async def choose_another_password(desk: Desk) -> None:
    """On another browser, by a link."""
    async with desk.site.database.write() as session:
        link = await make_link(session, desk.site.clock, await user_of(desk))
    form = {"password": PASSWORD + "！", "again": PASSWORD + "！"}
    answer = await desk.site.client.post(f"/console/password/{link}", data=form, allow_redirects=False)
    assert answer.status == 303


async def be_disabled(desk: Desk) -> None:
    async with desk.site.database.write() as session:
        user = await find_user(session, desk.email)
        assert user is not None
        await disable(session, desk.site.clock, user)


async def be_idle(desk: Desk) -> None:
    desk.site.clock.move(seconds=IDLE.total_seconds() + 1)


async def be_here_for_a_week(desk: Desk) -> None:
    async with desk.site.database.write() as session:
        long_ago = desk.site.clock() - LASTS
        await session.execute(update(ConsoleSession).values(created_at=long_ago))


@pytest.mark.parametrize(
    "ending", [sign_out, choose_another_password, be_disabled, be_idle, be_here_for_a_week]
)
async def test_it_ends_with_the_session(
    site: Site, sent: list[Delivery], ending: Callable[[Desk], Awaitable[None]]
) -> None:
    desk = await somebody(site, Role.EDITOR)
    async with listening(desk) as stream:
        await ending(desk)
        site.app[NEWS].tell()
        rest = await stream.content.read()
    assert re.search(rb"event: ended\ndata: \{\}\n\n$", rest)
    assert rest.count(b"event: ended") == 1
    assert (await desk.get(EVENTS)).status == 303


async def test_it_ends_when_the_right_is_taken_away(
    site: Site, sent: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every role may read dispatches today; one that may not is made for this test."""
    desk = await somebody(site, Role.EDITOR)
    async with listening(desk) as stream:
        monkeypatch.setattr("bdnews_dispatch.accounts.sessions.rights_of", lambda *_: frozenset())
        site.app[NEWS].tell()
        assert (await stream.content.read()).endswith(b"event: ended\ndata: {}\n\n")


async def test_a_look_that_takes_long_delays_no_end(
    site: Site, sent: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger may be looked at every hour, and nobody tells that something has happened: the session is."""
    monkeypatch.setattr(progress, "LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(progress, "SESSION_SECONDS", 0.05)
    desk = await somebody(site, Role.EDITOR)
    async with listening(desk) as stream:
        await sign_out(desk)
        assert await stream.content.read() == b"event: ended\ndata: {}\n\n"


async def test_listening_keeps_no_session_alive_and_other_sessions_no_stream(
    site: Site, sent: list[Delivery]
) -> None:
    desk, other = await somebody(site, Role.EDITOR), await somebody(site, Role.ADMIN)
    async with listening(desk) as stream:
        async with site.database.read() as session:
            newest = select(ConsoleSession.seen_at).order_by(col(ConsoleSession.id))
            before = (await session.exec(newest)).all()
        site.clock.move(minutes=30)
        await sign_out(other)
        site.app[NEWS].tell()
        await stream.content.readuntil(b"\n\n")
        async with site.database.read() as session:
            assert (await session.exec(newest)).all() == before[:1]
        async with site.database.write() as session:
            dispatch = await session.get(Dispatch, 1)
            assert dispatch is not None
            dispatch.state = DispatchState.FINISHED
        site.app[NEWS].tell()
        rest = await stream.content.read()
    assert b'"state": "finished"' in rest
    assert b"event: ended" not in rest
