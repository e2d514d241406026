"""Users, their passwords and sessions, what they did: on both databases, with the real hash."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select
from tests.making import HandClock

from bdnews_dispatch.accounts import audit, passwords
from bdnews_dispatch.accounts.models import ConsoleSession, PasswordLink, SignInFailure, User
from bdnews_dispatch.accounts.passwords import PasswordError, hash_new, hash_password
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.sessions import (
    IDLE,
    LASTS,
    MOST_FOR_NAME,
    MOST_FROM_NETWORK,
    TRIES_WITHIN,
    SignedIn,
    SignInError,
    TooManyTriesError,
    seen,
    sign_in,
    sign_out,
    signed_in,
)
from bdnews_dispatch.accounts.users import (
    LINK_LASTS,
    add_user,
    change_role,
    choose_password,
    disable,
    enable,
    first_admin,
    make_link,
    named_user,
    user_of_link,
)
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.errors import BdnewsError, NotFoundError, StateError

ZHANG, PASSWORD, HERE = "Zhang@example.cn", "一句我自己记得住的、足够长的话", "203.0.113.0/24"


async def user(database: Database, clock: HandClock, email: str = ZHANG, role: Role = Role.ADMIN) -> User:
    async with database.write() as session:
        found = await add_user(session, clock, email=email, name="张", role=role)
        await choose_password(session, clock, await make_link(session, clock, found), hash_password(PASSWORD))
        return found


async def enter(
    database: Database, clock: HandClock, password: str = PASSWORD, *, email: str = ZHANG, network: str = HERE
) -> str:
    entered = await sign_in(database, clock, email=email, password=password, network=network)
    assert not entered.half
    return entered.value


async def whose(database: Database, clock: HandClock, value: str) -> SignedIn | None:
    async with database.read() as session:
        return await signed_in(session, clock, value)


async def test_a_link_a_password_a_session(database: Database, clock: HandClock, full_cost: None) -> None:
    zhang = await user(database, clock)
    first = await enter(database, clock, email="  zhang@EXAMPLE.cn ")
    second = await enter(database, clock)
    assert first != second
    found = await whose(database, clock, first)
    assert found is not None
    assert (found.user_id, found.role, found.may(Right.USERS_WRITE)) == (zhang.id, Role.ADMIN, True)
    other = await whose(database, clock, second)
    assert other is not None
    assert other.csrf != found.csrf
    async with database.read() as session:
        kept = str(
            [(await session.exec(select(table))).all() for table in (User, ConsoleSession, PasswordLink)]
        )
    assert first not in kept
    assert PASSWORD not in kept
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in kept
    async with database.write() as session:
        await sign_out(session, found.session_id)
    assert await whose(database, clock, first) is None
    assert await whose(database, clock, second) is not None
    assert await whose(database, clock, "") is None


async def test_sessions_end(database: Database, clock: HandClock) -> None:
    await user(database, clock)
    idle, used = await enter(database, clock), await enter(database, clock)
    began = clock.now
    while clock.now < began + LASTS - IDLE:
        clock.now += IDLE / 2
        found = await whose(database, clock, used)
        assert found is not None
        async with database.write() as session:
            await seen(session, clock, found.session_id)
    assert await whose(database, clock, idle) is None
    clock.now = began + LASTS
    assert await whose(database, clock, used) is None
    async with database.write() as session:
        found_user = await named_user(session, ZHANG)
        link = await make_link(session, clock, found_user)
    value = await enter(database, clock)
    async with database.write() as session:
        await choose_password(session, clock, link, hash_password(PASSWORD + "！"))
    assert await whose(database, clock, value) is None, "all sessions end at a password change"


async def test_links_are_used_once_and_end(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        zhang = await add_user(session, clock, email=ZHANG, name="", role=Role.EDITOR)
        old = await make_link(session, clock, zhang)
        link = await make_link(session, clock, zhang)
        assert await user_of_link(session, clock, old) is None, "a newer link takes its place"
        for bad in ("short", "x" * 300, "aaaaaaaaaaaaaaaaaaaa", ZHANG.casefold()):
            with pytest.raises(PasswordError):
                await hash_new(bad, email=ZHANG)
        await choose_password(session, clock, link, hash_password(PASSWORD))
        with pytest.raises(NotFoundError):
            await choose_password(session, clock, link, hash_password(PASSWORD))
        late = await make_link(session, clock, zhang)
    clock.now += LINK_LASTS
    async with database.write() as session:
        assert await user_of_link(session, clock, late) is None
        assert await user_of_link(session, clock, "nonsense") is None


async def test_the_answer_is_the_same_for_nobody(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await user(database, clock)
    looked: list[str] = []
    verify = passwords._HASHER.verify

    class Counting:
        def verify(self, hashed: str, password: str) -> bool:
            looked.append(hashed[:9])
            return verify(hashed, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    passwords._nobody.cache_clear()
    monkeypatch.setattr(passwords, "_nobody", lambda: "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA")
    said = []
    for email in (ZHANG, "nobody@example.cn", "", "'; DROP TABLE console_user"):
        with pytest.raises(SignInError) as raised:
            await enter(database, clock, "wrong password here", email=email)
        said.append(str(raised.value))
    assert len(set(said)) == 1
    assert looked == ["$argon2id"] * 4, "the same work for each"


async def test_the_first_admin_gets_a_link_until_they_have_used_it(
    database: Database, clock: HandClock
) -> None:
    async def start() -> tuple[str, str] | None:
        async with database.write() as session:
            made = await first_admin(session, clock, "news.example.cn")
        return None if made is None else (made[0].email, made[1])

    first, second = await start(), await start()
    assert first is not None
    assert second is not None
    assert first[0] == "admin@news.example.cn"
    async with database.write() as session:
        assert await user_of_link(session, clock, first[1]) is None, "the one before is no longer good"
        chosen = await choose_password(session, clock, second[1], hash_password("a long password of mine"))
    assert chosen.role is Role.ADMIN
    assert await start() is None


async def test_where_somebody_was_invited_no_first_admin_is_made(
    database: Database, clock: HandClock
) -> None:
    async with database.write() as session:
        await add_user(session, clock, email="wang@example.cn", name="", role=Role.ADMIN)
        assert await first_admin(session, clock, "news.example.cn") is None


async def test_who_tries_too_often_waits(database: Database, clock: HandClock) -> None:
    await user(database, clock)
    for _ in range(MOST_FOR_NAME):
        with pytest.raises(SignInError):
            await enter(database, clock, "wrong password here")
    with pytest.raises(TooManyTriesError):
        await enter(database, clock)
    clock.now += TRIES_WITHIN + timedelta(seconds=1)
    assert await enter(database, clock)
    async with database.read() as session:
        told = [(row.actor, row.action, row.network) for row in await audit.entries(session)]
        assert told == [("user:1", "sign_in.failed", HERE)] * MOST_FOR_NAME
        assert (await session.exec(select(SignInFailure))).all() == []
    tries = [enter(database, clock, f"wrong password {n}", network="192.0.2.0/24") for n in range(30)]
    said = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(type(one) is SignInError for one in said) == MOST_FOR_NAME, (
        "those that come together are counted"
    )
    assert await enter(database, clock), "its owner, elsewhere, is not kept out"
    async with database.write() as session:
        session.add_all(
            SignInFailure(account=f"{n:064}", network=HERE, at=clock.now) for n in range(MOST_FROM_NETWORK)
        )
    with pytest.raises(TooManyTriesError):
        await enter(database, clock)
    assert await enter(database, clock, network="198.51.100.0/24")


async def test_a_password_that_changes_while_it_is_looked_at(database: Database, clock: HandClock) -> None:
    await user(database, clock)
    async with database.write() as session:
        link = await make_link(session, clock, await named_user(session, ZHANG))
    signing_in = asyncio.create_task(enter(database, clock))
    await asyncio.sleep(0)
    async with database.write() as session:
        await choose_password(session, clock, link, hash_password(PASSWORD + "！"))
    try:
        value = await signing_in
    except SignInError:
        return
    assert await whose(database, clock, value) is None


async def test_users_are_disabled_and_one_admin_stays(database: Database, clock: HandClock) -> None:
    zhang = await user(database, clock)
    value = await enter(database, clock)
    async with database.write() as session:
        with pytest.raises(StateError):
            await add_user(session, clock, email="ZHANG@example.cn", name="", role=Role.EDITOR)
        with pytest.raises(BdnewsError):
            await add_user(session, clock, email="no address", name="", role=Role.EDITOR)
        with pytest.raises(StateError):
            await disable(session, clock, zhang)
        with pytest.raises(StateError):
            await change_role(session, zhang, Role.ANALYST)
    await user(database, clock, "li@example.cn")
    async with database.write() as session:
        found = await named_user(session, ZHANG)
        await disable(session, clock, found)
    assert await whose(database, clock, value) is None
    with pytest.raises(SignInError):
        await enter(database, clock)
    async with database.write() as session:
        await enable(session, await named_user(session, ZHANG))
    assert await enter(database, clock)


async def test_what_was_done_can_not_be_changed_unseen(database: Database, clock: HandClock) -> None:
    async def write(number: int) -> None:
        async with database.write() as session:
            await audit.record(
                session,
                clock,
                actor="user:1",
                action="list.join",
                subject=f"subscriber:{number}",
                change={"n": number},
            )

    await asyncio.gather(*(write(number) for number in range(12)))
    async with database.read() as session:
        fitting, broken, last = await audit.verify(session)
        rows = await audit.entries(session, limit=5)
    assert (fitting, broken) == (12, None)
    assert [row.id for row in rows] == [12, 11, 10, 9, 8]
    assert last == rows[0].hash
    change = "UPDATE audit_entry SET subject = 'subscriber:999' WHERE id = 7"
    refused = [change, "DELETE FROM audit_entry WHERE id = 7"]
    if database.backend is Backend.POSTGRESQL:
        refused.append("TRUNCATE audit_entry")
    for statement in refused:
        with pytest.raises(DBAPIError, match="stay as they are"):
            async with database.write() as session:
                await session.execute(text(statement))
    async with (
        database.write() as session
    ):  # who owns the database can take the trigger away; the chain tells
        postgresql = database.backend is Backend.POSTGRESQL
        name = "audit_entry_stays ON audit_entry" if postgresql else "audit_entry_no_update"
        await session.execute(text(f"DROP TRIGGER {name}"))
        await session.execute(text(change))
    async with database.read() as session:
        assert (await audit.verify(session))[:2] == (6, 7)
