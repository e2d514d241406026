"""Tokens that belong to users: never more than their user may, now."""

import pytest
from tests.integration.accounts.test_accounts import user
from tests.making import HandClock

from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.tokens import bearer_of, make_token, tokens
from bdnews_dispatch.accounts.users import add_user, change_role, disable, enable
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError

WANTED = [Right.ISSUES_READ, Right.ISSUES_WRITE]


async def scope(database: Database, clock: HandClock, token: str) -> set[Right] | None:
    async with database.read() as session:
        bearer = await bearer_of(session, clock, token)
    return None if bearer is None else set(bearer.scope)


async def test_a_token_follows_its_user(database: Database, clock: HandClock) -> None:
    await user(database, clock)
    wang = await user(database, clock, "wang@example.cn", Role.EDITOR)
    async with database.write() as session:
        found = await session.get(User, wang.id)
        row, token = await make_token(session, clock, name="推送", scope=WANTED, ends_at=None, user=found)
        machine, of_machine = await make_token(session, clock, name="机器", scope=WANTED, ends_at=None)
        assert [one.id for one in await tokens(session, wang.id)] == [row.id]
        assert [one.id for one in await tokens(session)] == [machine.id, row.id]
    assert await scope(database, clock, token) == set(WANTED)
    for change, left in (
        (lambda session, who: change_role(session, who, Role.ANALYST), {Right.ISSUES_READ}),
        (lambda session, who: change_role(session, who, Role.EDITOR), set(WANTED)),
        (lambda session, who: change_role(session, who, Role.EDITOR, {"dsj"}), set()),
        (lambda session, who: change_role(session, who, Role.EDITOR), set(WANTED)),
        (lambda session, who: disable(session, clock, who), None),
        (enable, set(WANTED)),
    ):
        async with database.write() as session:
            found = await session.get(User, wang.id)
            assert found is not None
            await change(session, found)
        assert await scope(database, clock, token) == left
        assert await scope(database, clock, of_machine) == set(WANTED)


async def test_nobody_makes_a_token_that_may_more_than_they(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        editor = await add_user(session, clock, email="a@example.cn", name="", role=Role.EDITOR)
        with pytest.raises(BdnewsError, match=r"subscribers\.write"):
            await make_token(
                session, clock, name="t", scope=[Right.SUBSCRIBERS_WRITE], ends_at=None, user=editor
            )
        one = await add_user(
            session, clock, email="b@example.cn", name="", role=Role.EDITOR, publications=["dsj"]
        )
        with pytest.raises(BdnewsError, match="几种刊物"):
            await make_token(session, clock, name="t", scope=[Right.ISSUES_READ], ends_at=None, user=one)
        with pytest.raises(BdnewsError, match="全部刊物"):
            await add_user(
                session, clock, email="c@example.cn", name="", role=Role.ADMIN, publications=["dsj"]
            )
