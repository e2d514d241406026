"""Second factors: an app's codes, recovery codes, how often somebody may try; on both databases, with the real hash."""

from datetime import timedelta

import pyotp
import pytest
from sqlmodel import select
from tests.integration.accounts.test_accounts import HERE, PASSWORD, ZHANG, user
from tests.making import HandClock

from bdnews_dispatch.accounts.models import ConsoleSession, HalfSignIn, RecoveryCode, User
from bdnews_dispatch.accounts.passwords import hash_password
from bdnews_dispatch.accounts.sealing import SealError, seal, unseal
from bdnews_dispatch.accounts.second_factors import (
    CODES,
    MOST_WRONG,
    CodeError,
    address_for_app,
    begin,
    begun,
    codes_left,
    confirm,
    new_codes,
    shows,
    turn_off,
)
from bdnews_dispatch.accounts.sessions import (
    HALF_LASTS,
    MOST_CODES,
    MOST_FOR_NAME,
    MOST_FOR_NAME_ANYWHERE,
    HalfwayError,
    SignInError,
    TooManyTriesError,
    halfway,
    show_code,
    sign_in,
    signed_in,
)
from bdnews_dispatch.accounts.users import choose_password, disable, find_user, make_link
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.links import Signer, SigningKey

OLD, NEW = SigningKey("k1", b"s" * 40), SigningKey("k2", b"t" * 40)
SIGNER = Signer([OLD])


async def enrolled(database: Database, clock: HandClock) -> tuple[User, pyotp.TOTP, list[str]]:
    """Somebody with an app, and their recovery codes."""
    found = await user(database, clock)
    async with database.write() as session:
        secret = await begin(session, SIGNER, found)
        app = pyotp.TOTP(secret)
        codes = await confirm(session, clock, SIGNER, found, app.at(clock.now))
    clock.move(minutes=1)
    return found, app, list(codes)


async def half_in(database: Database, clock: HandClock, network: str = HERE) -> str:
    entered = await sign_in(database, clock, email=ZHANG, password=PASSWORD, network=network)
    assert entered.half
    return entered.value


async def show(database: Database, clock: HandClock, value: str, code: str, network: str = HERE) -> str:
    return await show_code(
        database, clock, SIGNER, value=value, code=code, network=network, browser="Firefox"
    )


async def test_the_way_in_is_a_password_and_then_a_code(database: Database, clock: HandClock) -> None:
    zhang, app, _ = await enrolled(database, clock)
    half = await half_in(database, clock)
    async with database.read() as session:
        assert await signed_in(session, clock, half) is None, "half of a sign-in opens nothing"
        assert await halfway(session, clock, half)
    with pytest.raises(SignInError, match="验证码不对"):
        await show(database, clock, half, "000000")
    value = await show(database, clock, half, f" {app.at(clock.now)[:3]} {app.at(clock.now)[3:]} ")
    async with database.read() as session:
        who = await signed_in(session, clock, value)
        assert who is not None
        assert (who.user_id, who.second_factor) == (zhang.id, True)
        assert (await session.exec(select(ConsoleSession.browser))).all() == ["Firefox"]
        assert not await halfway(session, clock, half), "used up"


async def test_a_code_is_taken_once_and_near_its_time(database: Database, clock: HandClock) -> None:
    zhang, app, _ = await enrolled(database, clock)
    async with database.write() as session:
        found = await session.get(User, zhang.id)
        assert found is not None
        now, code = clock.now, app.at(clock.now)
        assert await shows(session, clock, SIGNER, found, code)
        assert not await shows(session, clock, SIGNER, found, code), "somebody who looked on"
        assert not await shows(session, clock, SIGNER, found, app.at(now - timedelta(seconds=30))), "older"
        assert await shows(session, clock, SIGNER, found, app.at(now + timedelta(seconds=30))), (
            "a clock ahead"
        )
        clock.move(minutes=5)
        assert not await shows(session, clock, SIGNER, found, app.at(now + timedelta(minutes=2)))
        assert not await shows(session, clock, SIGNER, found, app.at(now + timedelta(minutes=8)))
        for nonsense in ("", "12345", "1234567", "１２３４５６", "abcdef", "-12345"):
            assert not await shows(session, clock, SIGNER, found, nonsense)


async def test_recovery_codes_work_once_each_however_they_are_written(
    database: Database, clock: HandClock
) -> None:
    zhang, _, codes = await enrolled(database, clock)
    assert len(set(codes)) == CODES
    value = await show(database, clock, await half_in(database, clock), codes[0].upper().replace("-", " "))
    assert value
    with pytest.raises(SignInError):
        await show(database, clock, await half_in(database, clock), codes[0])
    async with database.write() as session:
        assert zhang.id is not None
        assert await codes_left(session, zhang.id) == CODES - 1
        found = await session.get(User, zhang.id)
        assert found is not None
        await new_codes(session, found)
        assert await codes_left(session, zhang.id) == CODES
        assert not await shows(session, clock, SIGNER, found, codes[1]), "of the set before"


async def test_wrong_codes_end_the_half_and_a_password_does_not_count_them_anew(
    database: Database, clock: HandClock
) -> None:
    _, app, _ = await enrolled(database, clock)
    half = await half_in(database, clock)
    for _ in range(MOST_CODES):
        with pytest.raises(SignInError):
            await show(database, clock, half, "000000")
    with pytest.raises(HalfwayError):
        await show(database, clock, half, app.at(clock.now))
    tried = 0
    with pytest.raises(TooManyTriesError):  # by which call it happens is not the point
        for _ in range(MOST_FOR_NAME):
            again = await half_in(database, clock)
            tried += 1
            with pytest.raises(SignInError, match="验证码"):
                await show(database, clock, again, "000000")
    assert tried < MOST_FOR_NAME, "who has the password only may not go on guessing codes"


async def test_many_wrong_codes_over_days_leave_the_recovery_codes_alone(
    database: Database, clock: HandClock
) -> None:
    zhang, app, codes = await enrolled(database, clock)
    async with database.write() as session:
        found = await session.get(User, zhang.id)
        assert found is not None
        for _ in range(MOST_WRONG - 1):
            assert not await shows(session, clock, SIGNER, found, "000000")
        assert await shows(session, clock, SIGNER, found, app.at(clock.now)), (
            "a right one begins the count anew"
        )
        clock.move(minutes=1)
        for _ in range(MOST_WRONG):
            assert not await shows(session, clock, SIGNER, found, "000000")
        assert not await shows(session, clock, SIGNER, found, app.at(clock.now))
        assert await shows(session, clock, SIGNER, found, codes[0])
        clock.move(minutes=1)
        assert await shows(session, clock, SIGNER, found, app.at(clock.now))


async def test_strangers_elsewhere_do_not_keep_the_owner_out(database: Database, clock: HandClock) -> None:
    await user(database, clock)
    await sign_in(database, clock, email=ZHANG, password=PASSWORD, network=HERE)
    for number in range(MOST_FOR_NAME_ANYWHERE):
        with pytest.raises(SignInError):
            await sign_in(database, clock, email=ZHANG, password="wrong", network=f"10.{number}.0.0/24")
    with pytest.raises(TooManyTriesError):
        await sign_in(database, clock, email=ZHANG, password=PASSWORD, network="192.0.2.0/24")
    assert (await sign_in(database, clock, email=ZHANG, password=PASSWORD, network=HERE)).value
    async with database.write() as session:
        found = await find_user(session, ZHANG)
        assert found is not None
        await choose_password(session, clock, await make_link(session, clock, found), hash_password(PASSWORD))
    assert (await sign_in(database, clock, email=ZHANG, password=PASSWORD, network="192.0.2.0/24")).value


async def test_the_half_is_over_after_a_while_and_with_the_account(
    database: Database, clock: HandClock
) -> None:
    zhang, app, _ = await enrolled(database, clock)
    half = await half_in(database, clock)
    clock.move(seconds=HALF_LASTS.total_seconds() + 1)
    with pytest.raises(HalfwayError):
        await show(database, clock, half, app.at(clock.now))
    half = await half_in(database, clock)
    async with database.write() as session:
        found = await session.get(User, zhang.id)
        assert found is not None
        await choose_password(
            session, clock, await make_link(session, clock, found), hash_password(PASSWORD + "二")
        )
    with pytest.raises(HalfwayError):
        await show(database, clock, half, app.at(clock.now))
    entered = await sign_in(database, clock, email=ZHANG, password=PASSWORD + "二", network=HERE)
    assert entered.half, "a reset of the password never skips the second factor"


async def test_a_disabled_user_gets_no_further(database: Database, clock: HandClock) -> None:
    zhang, app, _ = await enrolled(database, clock)
    await user(database, clock, "other@example.cn")
    half = await half_in(database, clock)
    async with database.write() as session:
        found = await session.get(User, zhang.id)
        assert found is not None
        await disable(session, clock, found)
    with pytest.raises(HalfwayError):
        await show(database, clock, half, app.at(clock.now))


async def test_what_is_not_confirmed_asks_for_nothing(database: Database, clock: HandClock) -> None:
    zhang = await user(database, clock)
    async with database.write() as session:
        seen = await begin(session, SIGNER, zhang)
        secret = await begin(session, SIGNER, zhang)
        assert secret != seen, "somebody else may have seen the one before"
        assert begun(SIGNER, zhang) == secret
        assert begun(Signer([NEW]), zhang) == "", "with a key that is gone it begins anew"
        with pytest.raises(CodeError):
            await confirm(session, clock, SIGNER, zhang, "000000")
    entered = await sign_in(database, clock, email=ZHANG, password=PASSWORD, network=HERE)
    assert not entered.half
    async with database.write() as session:
        found = await session.get(User, zhang.id)
        assert found is not None
        assert begun(SIGNER, found) == "", "another sign-in forgets it: it may not have been theirs"
        secret = await begin(session, SIGNER, found)
        await confirm(session, clock, SIGNER, found, pyotp.TOTP(secret).at(clock.now))
        with pytest.raises(StateError):
            await begin(session, SIGNER, found)
        await turn_off(session, found)
        with pytest.raises(StateError):
            await confirm(session, clock, SIGNER, found, "000000")
        assert (await session.exec(select(RecoveryCode))).all() == []


async def test_nothing_that_opens_lies_in_the_database(database: Database, clock: HandClock) -> None:
    _, app, codes = await enrolled(database, clock)
    half = await half_in(database, clock)
    async with database.read() as session:
        kept = str([(await session.exec(select(table))).all() for table in (User, RecoveryCode, HalfSignIn)])
    for secret in (app.secret, half, codes[0], codes[0].replace("-", "")):
        assert secret not in kept


def test_sealed_with_an_old_key_it_opens_after_a_rotation_and_with_no_other() -> None:
    sealed = seal(SIGNER, "秘密")
    assert "秘密" not in sealed
    assert unseal(Signer([NEW, OLD]), sealed) == "秘密"
    with pytest.raises(SealError):
        unseal(Signer([NEW]), sealed)


def test_the_apps_address_names_who_and_where() -> None:
    secret = pyotp.random_base32()
    address = address_for_app(secret, "zhang@example.cn", "bdnews")
    assert address.startswith("otpauth://totp/bdnews:zhang%40example.cn?")
    assert f"secret={secret}" in address
