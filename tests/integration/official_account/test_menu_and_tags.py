"""The menu by the settings and the tags by the sections, over the sandbox's account; on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import col, select, update
from tests.making import DSJ, Station, open_station

from bdnews_dispatch.channels.wechat.client import PlatformError
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.official_account.account import Account, open_account
from bdnews_dispatch.official_account.menu import menu_of
from bdnews_dispatch.official_account.quotas import COUNTED_CALLS, platform_quotas
from bdnews_dispatch.official_account.tags import Mended, mend_tags
from bdnews_dispatch.settings import MenuEntry
from bdnews_dispatch.subscribers.models import Follower, Subscriber, Subscription


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path) as station:
        yield station


@pytest.fixture
async def account(station: Station) -> AsyncIterator[Account]:
    async with open_account(station.accounts.sandbox, station.parts.clock, None) as account:
        yield account


def openid(number: int) -> str:
    return f"oReader{number:021d}"


async def readers_of(station: Station, *sections: str) -> None:
    """One follower for each of these, who reads it; `*` is the whole issue."""
    csv = "openid,sections,channel\n"
    for n, chosen in enumerate(sections, 1):
        csv += f"{openid(n)},{chosen},wechat\n"
        await station.sandbox.follow(openid(n))
    await station.people(csv.encode())
    async with station.parts.database.write() as session:
        for n in range(1, len(sections) + 1):
            session.add(Follower(openid=openid(n), updated_at=station.parts.clock()))


def carried(station: Station) -> dict[str, set[str]]:
    tags = station.sandbox.account.tags
    return {name: set(tags.carried[number]) for number, name in tags.names.items()}


async def mend(station: Station, account: Account, *, afresh: bool = False) -> Mended:
    return await mend_tags(station.parts.database, account.client, DSJ, afresh=afresh)


async def test_the_menu_that_ships_is_taken(station: Station, account: Account) -> None:
    buttons = menu_of(station.parts.settings.wechat.menu, DSJ, station.parts.links)
    await account.client.post("menu/create", data={"button": buttons})
    there = station.sandbox.account.menus.buttons
    assert [button["name"] for button in there] == ["最新一期", "看栏目", "我的"]
    assert [below["key"] for below in there[1]["sub_button"]] == [section.name for section in DSJ.sections]
    assert there[2]["sub_button"][0]["url"].endswith("/wechat/mine")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (MenuEntry(name="太长的按钮名字", keyword="最新"), "太长的按钮名字.*太长"),
        (
            MenuEntry(name="多", below=tuple(MenuEntry(name=f"第{n}", keyword="最新") for n in range(6))),
            "下面有 6 项",
        ),
    ],
)
def test_what_the_platform_would_refuse_is_said_before(
    station: Station, entry: MenuEntry, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        menu_of([entry], DSJ, station.parts.links)


async def test_tags_become_what_people_read(station: Station, account: Account) -> None:
    await readers_of(station, "policy", "policy|local", "*", "company")
    everybody = {openid(3)}
    assert await mend(station, account) == Mended(tagged=4 + 5, untagged=0, failed=0)
    assert carried(station) == {
        "国策要论": everybody | {openid(1), openid(2)},
        "地方新政": everybody | {openid(2)},
        "产业镜像": everybody,
        "前沿观察": everybody,
        "企业动向": everybody | {openid(4)},
    }
    assert await mend(station, account) == Mended(0, 0, 0)
    async with station.parts.database.write() as session:
        person = (await session.exec(select(Subscriber.id).where(Subscriber.openid == openid(4)))).one()
        await session.execute(
            update(Subscription).where(col(Subscription.subscriber_id) == person).values(sections=["local"])
        )
        await session.execute(
            update(Follower).where(col(Follower.openid) == openid(1)).values(following=False)
        )
    assert await mend(station, account) == Mended(tagged=1, untagged=2, failed=0)
    assert carried(station)["地方新政"] == everybody | {openid(2), openid(4)}


async def test_what_somebody_changed_there_is_mended(station: Station, account: Account) -> None:
    """In the platform's own console: a tag taken from one, put on another; and a tag deleted."""
    await readers_of(station, "policy", "local", "policy|local")
    await mend(station, account)
    tags = station.sandbox.account.tags
    by_name = {name: number for number, name in tags.names.items()}
    tags.page = 1
    tags.carried[by_name["国策要论"]] = {openid(2)}
    del tags.names[by_name["地方新政"]], tags.carried[by_name["地方新政"]]
    before = carried(station)["国策要论"]
    assert before == {openid(2)}
    assert await mend(station, account, afresh=True) == Mended(tagged=4, untagged=1, failed=0)
    assert carried(station)["国策要论"] == {openid(1), openid(3)}
    assert carried(station)["地方新政"] == {openid(2), openid(3)}


async def test_whom_the_platform_refuses_is_tried_again(station: Station, account: Account) -> None:
    await readers_of(station, *["policy"] * 60)
    station.sandbox.account.tags.refused = {openid(7)}
    await station.sandbox.unfollow(openid(8))  # we have not heard of it: the whole call is refused
    assert await mend(station, account) == Mended(tagged=58, untagged=0, failed=2)
    assert station.sandbox.platform.calls["tags/members/batchtagging"] == 2 + 50, (
        "one by one where one spoils it"
    )
    station.sandbox.account.tags.refused = set()
    assert await mend(station, account) == Mended(tagged=1, untagged=0, failed=1)


async def test_a_hundred_tags_are_all_there_are(station: Station, account: Account) -> None:
    for number in range(100):
        await account.client.post("tags/create", data={"tag": {"name": f"别的{number}"}})
    with pytest.raises(PlatformError, match="45056"):
        await mend(station, account)


async def test_the_platform_is_asked_for_its_quotas(station: Station, account: Account) -> None:
    for _ in range(3):
        with pytest.raises(PlatformError):
            await account.client.post("message/mass/send", data={"touser": []})
    found = {row["call"]: row for row in await platform_quotas(account.client)}
    assert found["message/mass/send"] == {"call": "message/mass/send", "used": 3, "limit": 100}
    assert found["message/template/send"]["limit"] == 100_000
    assert set(found) == set(COUNTED_CALLS)


async def test_what_is_there_as_we_have_it_is_not_written_anew(station: Station, account: Account) -> None:
    await readers_of(station, "policy", "local", "policy|local")
    await mend(station, account)
    written: list[str] = []

    def seen(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("SELECT") and "wechat_tagged" in statement:
            written.append(statement)

    event.listen(station.parts.database.engine.sync_engine, "before_cursor_execute", seen)
    try:
        assert await mend(station, account, afresh=True) == Mended(0, 0, 0)
    finally:
        event.remove(station.parts.database.engine.sync_engine, "before_cursor_execute", seen)
    assert written == []
