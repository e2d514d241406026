"""A dispatch from the console: whom it reaches, begun, taken back, steered, tried again; its doubts decided."""

import datetime as dt

import pytest
from sqlmodel import col, select, update
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import PEOPLE, Site, words
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.dispatch.breakdown import by_domain
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch, DispatchKind
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.subscribers.models import Cadence
from bdnews_dispatch.web.keys import PUBLICATIONS

ROOM = "/console/dispatches"


async def plan(site: Site, dispatch_id: int) -> None:
    planner = Planner(site.database, site.clock, site.app[PUBLICATIONS], site.links)
    while await planner.plan_slice(dispatch_id):
        pass


async def of(site: Site, dispatch_id: int) -> Dispatch:
    async with site.database.read() as session:
        found = await session.get(Dispatch, dispatch_id)
    assert found is not None
    return found


async def put(site: Site, state: DeliveryState, *ids: int | None) -> None:
    async with site.database.write() as session:
        await session.exec(update(Delivery).where(col(Delivery.id).in_(ids)).values(state=state))


@pytest.fixture
async def waiting(site: Site) -> Issue:
    """An issue for review, and two people who would get it."""
    issue = await site.publish(now=False)
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name="会场", origin_name="t.csv")
    return issue


async def test_whom_it_reaches_is_said_before_and_it_begins_when_it_can_be_taken_back_no_more(
    desk: Desk, waiting: Issue
) -> None:
    site = desk.site
    before = words(await desk.page(f"{ROOM}/new?issue={waiting.id}"))
    assert "邮件 2 微信 1 不发 0" in before
    assert "发布并发送" in before
    fewer = words(await desk.page(f"{ROOM}/new?issue={waiting.id}&except_list=会场"))
    assert "排除 会场 −2" in fewer
    assert "邮件 0 微信 0" in fewer
    page = words(await desk.done(f"{ROOM}/new", {"issue": waiting.id}))
    assert "开始之前可以撤回" in page
    first = await of(site, 1)
    assert (first.due_at - site.clock()).total_seconds() == pytest.approx(20, abs=1)
    await plan(site, 1)
    assert (await of(site, 1)).state is DispatchState.SCHEDULED, "nobody has begun it"
    page = words(await desk.done(f"{ROOM}/1/undo"))
    assert "没有发给任何人" in page
    await site.handle_events()
    async with site.database.read() as session:
        assert len((await session.exec(select(Dispatch))).all()) == 1, "the publication starts no second one"
        assert (await session.exec(select(Issue.state))).all() == [IssueState.PUBLISHED]
    await desk.done(f"{ROOM}/new", {"issue": waiting.id})
    site.clock.move(seconds=21)
    await plan(site, 2)
    late = await desk.post(f"{ROOM}/2/undo")
    assert late.status == 409
    assert "已经开始，不能撤回了" in await late.text()
    log = await desk.page("/console/audit")
    for action in ("发布", "开始发送", "发出之前撤回"):
        assert f"<td>{action}</td>" in log, action


async def test_at_a_time(desk: Desk, waiting: Issue) -> None:
    wrong = await desk.post(f"{ROOM}/new", {"issue": waiting.id, "at": "2020-01-01T09:00"})
    assert wrong.status == 422
    assert "已经过去" in await wrong.text()
    assert "2020-01-01T09:00" in await wrong.text(), "what was typed is kept"
    later = (desk.site.clock() + dt.timedelta(days=2)).astimezone(dt.timezone(dt.timedelta(hours=8)))
    page = words(
        await desk.done(f"{ROOM}/new", {"issue": waiting.id, "at": f"{later:%Y-%m-%dT%H:%M}", "list": "会场"})
    )
    assert "将于" in page
    assert "名单 会场" in page
    again = words(await desk.done(f"{ROOM}/new", {"issue": waiting.id, "list": "会场"}))
    assert "没有再建一个" in again


async def test_steered_and_its_doubts_decided_one_by_one_and_all(desk: Desk, waiting: Issue) -> None:
    site = desk.site
    await desk.done(f"{ROOM}/new", {"issue": waiting.id})
    site.clock.move(seconds=21)
    await plan(site, 1)
    assert "已暂停" in words(await desk.done(f"{ROOM}/1/pause"))
    assert "由admin@example.cn暂停" in await desk.page(f"{ROOM}/1")
    assert (await desk.post(f"{ROOM}/1/pause")).status == 409
    assert "已从停下的地方继续" in words(await desk.done(f"{ROOM}/1/resume"))
    rows = await site.deliveries()
    await put(site, DeliveryState.UNCERTAIN, *(row.id for row in rows))
    page = words(await desk.page(f"{ROOM}/1"))
    assert "有 3 份没有得到对方答复" in page
    assert "readers.example 2" in page
    doubts = await desk.page(f"{ROOM}/1/deliveries")
    assert "he.jing@readers.example" in doubts
    await desk.done(f"{ROOM}/1/deliveries", {"delivery": rows[0].id, "decision": "sent"})
    states = [row.state for row in await site.deliveries()]
    assert states == [DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.UNCERTAIN]
    once_more = await desk.post(f"{ROOM}/1/deliveries", {"delivery": rows[0].id, "decision": "resend"})
    assert once_more.status == 409
    await desk.done(f"{ROOM}/1/deliveries", {"decision": "failed"})
    assert [row.state for row in await site.deliveries()][1:] == [DeliveryState.FAILED] * 2
    assert (await desk.post(f"{ROOM}/1/deliveries", {"decision": "burn"})).status == 404
    assert "已取消" in words(await desk.done(f"{ROOM}/1/cancel"))


async def test_those_whom_it_did_not_reach_get_it_and_nobody_twice(desk: Desk, sent: list[Delivery]) -> None:
    site = desk.site
    nobody = words(await desk.done(f"{ROOM}/{sent[0].dispatch_id}/retry"))
    assert "没有需要再发的" in nobody
    await put(site, DeliveryState.FAILED, sent[0].id)
    assert "看未能发出的 1 份" in words(await desk.page(f"{ROOM}/1"))
    await desk.done(f"{ROOM}/1/retry")
    site.clock.move(seconds=21)
    await plan(site, 2)
    second = [row for row in await site.deliveries() if row.dispatch_id == 2]
    reasons = {(row.subscriber_id, row.channel.value): row.reason for row in second}
    assert reasons.pop((sent[0].subscriber_id, "email")) == ""
    assert set(reasons.values()) == {"already_sent"}
    await put(site, DeliveryState.SENT, *(row.id for row in second if not row.reason))
    async with site.database.write() as session:
        await session.exec(update(Dispatch).values(state=DispatchState.FINISHED))
    assert "没有需要再发的" in words(await desk.done(f"{ROOM}/2/retry")), "what failed once has come since"


async def test_who_may_not_see_people_sees_no_address_and_who_only_reads_steers_nothing(
    site: Site, sent: list[Delivery]
) -> None:
    await put(site, DeliveryState.UNCERTAIN, *(row.id for row in sent))
    analyst = await somebody(site, Role.ANALYST)
    page = await analyst.page(f"{ROOM}/1/deliveries")
    assert "readers.example" not in page
    assert 'name="decision"' not in page
    assert 'class="big"' in await analyst.page(f"{ROOM}/1")
    assert (await analyst.post(f"{ROOM}/1/cancel")).status == 403
    assert (await analyst.get(f"{ROOM}/new?issue=1")).status == 403


async def test_progress_comes_as_events_and_tables_as_a_part(desk: Desk, sent: list[Delivery]) -> None:
    answer = await desk.get(f"{ROOM}/1/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert '"state": "finished"' in await answer.text()
    part = await desk.get(f"{ROOM}/1/tables")
    text = await part.text()
    assert "data-over" in text
    assert "<html" not in text
    assert "script-src 'self'" in part.headers["Content-Security-Policy"]
    listed = words(await desk.page(ROOM))
    assert "总第112期" in listed
    assert "✓ 已结束" in listed


async def test_domains_beyond_the_first_are_one_row(site: Site) -> None:
    issue = await site.publish()
    rows = "".join(f"a@d{n}.example,policy\n" for n in range(12)) + "b@d11.example,policy\n"
    await site.send(issue, f"email,sections\n{rows}".encode())
    async with site.database.read() as session:
        found = await by_domain(session, 1)
    assert (found[0].domain, found[0].total, found[0].reached) == ("d11.example", 2, 2)
    assert (len(found), found[-1].domain, found[-1].total) == (11, "", 2)


async def test_which_way_each_took_and_why_not_another(desk: Desk, sent: list[Delivery]) -> None:
    """A card that went out by a template, because the window was closed: the page says both."""
    async with desk.site.database.write() as session:
        one = await session.get(Delivery, sent[0].id)
        assert one is not None
        assert one.id is not None
        one.mode = "template"
        why = "客服消息：用户的客服窗口没有打开"
        session.add(
            Attempt(
                delivery_id=one.id,
                at=desk.site.clock(),
                outcome="accepted",
                code="0",
                text=why,
                mode="template",
                reference="7",
            )
        )
    page = words(await desk.page(f"{ROOM}/1/deliveries?state=sent"))
    assert "模板消息（template）" in page
    assert why in page
    assert "看已发出的，各走了哪种方式" in words(await desk.page(f"{ROOM}/1"))


async def test_a_week_with_one_issue_in_it_is_not_called_as_the_issue(desk: Desk) -> None:
    issue = await desk.site.publish()
    async with desk.site.database.write() as session:
        for cadence in (Cadence.WEEKLY, Cadence.MONTHLY):
            session.add(
                Dispatch(
                    cause=f"period:{cadence}",
                    kind=DispatchKind.PERIOD,
                    cadence=cadence,
                    publication="dsj",
                    issues=[{"id": issue.id or 0, "revision": 1}],
                    due_at=desk.site.clock(),
                    created_at=desk.site.clock(),
                )
            )
    page = words(await desk.page(ROOM))
    assert "周报：总第112期《" in page
    assert "月报：总第112期《" in page
