"""The first page says what needs a person, what is under way and what comes next, each with where to go."""

import datetime as dt

from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words
from tests.making import document

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.starting import start_issue
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.webhooks.models import Webhook

PAGE = "/console/today"


async def test_a_quiet_day(desk: Desk) -> None:
    text = words(await desk.page(PAGE))
    assert "没有要处理的" in text
    assert "没有正在发送的" in text
    assert "从这里开始" in text, "there is no issue yet, and nobody to send it to"
    assert "每周一封的读者" in text
    assert "✓ 数据库" in text
    assert "今日模板消息（条） 0 / 100000" in text


async def test_what_has_begun_needs_no_first_steps(desk: Desk, sent: list[Delivery]) -> None:
    assert "从这里开始" not in await desk.page(PAGE)


async def test_what_needs_a_person_leads_to_where_it_is_done(desk: Desk) -> None:
    site = desk.site
    issue = await site.publish()
    await site.send(issue)
    await site.publish(document(total=113), now=False)
    later, now = await site.publish(document(total=114)), site.clock()
    async with site.database.write() as session:
        dispatch = await session.get(Dispatch, 1)
        delivery = await session.get(Delivery, 1)
        assert dispatch is not None
        assert delivery is not None
        dispatch.state, delivery.state = DispatchState.SENDING, DeliveryState.UNCERTAIN
        session.add_all([dispatch, delivery])
        started = await start_issue(session, site.clock, later, at=now + dt.timedelta(days=2))
        session.add(
            BulletinDraft(
                publication="dsj",
                title="<b>停电",
                body="x",
                state=DraftState.WAITING,
                asked_at=now,
                created_at=now,
                changed_at=now,
            )
        )
        session.add(
            WatchedFeed(
                url="https://a.example/",
                publication="dsj",
                failures=1,
                problem="连不上",
                next_at=now,
                created_at=now,
            )
        )
        session.add(
            Webhook(
                url="https://b.example/", disabled_at=now, why="连续五天没有送达", next_at=now, created_at=now
            )
        )
    page = await desk.page(PAGE)
    text = words(page)
    for said in (
        "1 份存疑",
        "待批准 &lt;b&gt;停电",
        "总第113期",
        "https://a.example/ 连不上",
        "已停用 ： 连续五天没有送达",
    ):
        assert said.replace(" ", "") in text.replace(" ", "").replace("<b>", "&lt;b&gt;"), said
    assert "<b>停电" not in page
    for path in (
        "dispatches/1",
        "bulletins/1",
        "sources/1",
        "webhooks/1",
        f"dispatches/{started.dispatch.id}",
    ):
        assert f'href="/console/{path}"' in page
        assert (await desk.get(f"/console/{path}")).status == 200


async def test_everybody_who_signs_in_comes_here(site: Site) -> None:
    for role in (Role.ANALYST, Role.REVIEWER):
        desk = await somebody(site, role)
        assert "今日" in await desk.page(PAGE)
