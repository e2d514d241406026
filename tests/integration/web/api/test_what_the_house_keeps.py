"""Lists that the command line has as well: imports, mail that came back, quotas, the log; a dispatch tried again."""

from pathlib import Path

import pytest
from sqlmodel import col, select, update
from tests.integration.web.api.conftest import Api, token_for
from tests.integration.web.readers_site import PEOPLE, Site, open_site
from tests.making import DSJ, HandClock, import_csv

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_APPID
from bdnews_dispatch.web.keys import PUBLICATIONS

URGENT = {"title": "紧急", "body": "一句话。", "urgent": True}


async def test_imports_the_newest_first(api: Api) -> None:
    ids = []
    for number in range(3):
        csv = f"email\nr{number}@readers.example\n".encode()
        headers = {"Content-Type": "application/octet-stream"}
        brought = await api.ask("POST", f"/imports?file_name={number}.csv", headers=headers, data=csv)
        ids.append((await brought.json())["id"])
    seen, path = [], "/imports?limit=2"
    while path:
        answer = await api.ask("GET", path)
        seen += [one["id"] for one in (await answer.json())["items"]]
        link = answer.links.get("next")
        path = str(link["url"].relative()).removeprefix("/api/v1") if link else ""  # type: ignore[union-attr]
    assert seen == sorted(ids, reverse=True)
    assert (await (await api.may(Right.IMPORTS_WRITE)).call("GET", "/imports"))[0] == 403


async def test_mail_that_came_back(api: Api, site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        for number in range(3):
            session.add(
                ReturnedMail(
                    fingerprint=f"{number}",
                    way="smtp",
                    kind=Kind.BOUNCE,
                    delivery_id=sent[0].id if number else None,
                    status="5.1.1",
                    code=550,
                    verdict="hard",
                    text="user unknown" if number else "",
                    raw=b"Subject: geheim",
                    received_at=site.clock(),
                )
            )
            await session.flush()
    page = (await api.call("GET", "/returns?limit=2"))[1]
    rest = (await api.call("GET", f"/returns?limit=2&cursor={page['next']}"))[1]
    assert [one["id"] for one in page["items"] + rest["items"]] == [3, 2, 1]
    newest, unknown = page["items"][0], rest["items"][0]
    assert (newest["kind"], newest["verdict"], newest["code"]) == ("bounce", "hard", 550)
    assert (newest["delivery"], unknown["delivery"], rest["next"]) == (sent[0].id, None, None)
    assert "geheim" not in str(page)
    assert "raw" not in newest
    for right in (Right.REPORTS_READ, Right.DISPATCHES_READ):
        assert (await (await api.may(right)).call("GET", "/returns"))[0] == 403


async def test_quotas(api: Api) -> None:
    reader = await api.may(Right.DISPATCHES_READ)
    status, found = await reader.call("GET", "/quotas")
    told = [(one["account"], one["quota"], one["used"]) for one in found["items"]]
    assert status == 200
    assert told == [("sandbox", quota, 0) for quota in ("templates", "mass_calls", "mass_full")]
    assert all(one["limit"] > 0 for one in found["items"][:2])


@pytest.mark.parametrize("appid", ["wx0123456789abcdef", SANDBOX_APPID])
async def test_the_sandbox_in_an_accounts_place_is_told_once(
    database: Database, clock: HandClock, tmp_path: Path, appid: str
) -> None:
    async with open_site(database, clock, tmp_path, wechat={"appid": appid, "secret": "s" * 32}) as site:
        api = Api(site, await token_for(site, [Right.DISPATCHES_READ]))
        items = (await api.call("GET", "/quotas"))[1]["items"]
    found = {"wx0123456789abcdef": "real", SANDBOX_APPID: "sandbox"}
    told = [(one["account"], one["appid"]) for one in items]
    assert len(told) == 3 * len({appid, SANDBOX_APPID})
    assert set(told) == {(found[one], one) for one in {appid, SANDBOX_APPID}}


async def test_the_log_by_pages_by_whom_and_by_what(api: Api, site: Site) -> None:
    for name in ("甲", "乙", "丙"):
        await api.ask("POST", "/lists", {"name": name})
    await api.ask("PATCH", "/lists/甲", {"public": True})
    async with site.database.write() as session:
        await audit.record(session, site.clock, actor="cli", action="user.name", subject="user:1")
    first = (await api.call("GET", "/audit?limit=3"))[1]
    rest = (await api.call("GET", f"/audit?limit=3&cursor={first['next']}"))[1]
    entries = first["items"] + rest["items"]
    assert [one["id"] for one in entries] == [5, 4, 3, 2, 1]
    assert (entries[0]["actor"], entries[1]["action"]) == ("cli", "api.lists_change")
    assert entries[1]["change"] == {"public": True}
    oldest = (await api.call("GET", "/audit?limit=3&oldest_first=true"))[1]
    assert [one["id"] for one in oldest["items"]] == [1, 2, 3]
    on = (await api.call("GET", f"/audit?oldest_first=true&cursor={oldest['next']}"))[1]
    assert [one["id"] for one in on["items"]] == [4, 5]
    assert [one["id"] for one in (await api.call("GET", "/audit?actor=cli"))[1]["items"]] == [5]
    mine = (await api.call("GET", "/audit?action=api.lists_create"))[1]["items"]
    assert [one["id"] for one in mine] == [3, 2, 1]
    async with site.database.read() as session:
        assert (await audit.verify(session))[2] == entries[0]["hash"]
    everything_else = await api.may(*(set(Right) - {Right.AUDIT_READ}))
    assert (await everything_else.call("GET", "/audit"))[0] == 403


async def test_what_did_not_arrive_is_tried_again(api: Api, site: Site, sent: list[Delivery]) -> None:
    same = (await api.call("POST", "/dispatches/1/retry"))[1]
    assert same["id"] == 1, "everybody has got it"
    async with site.database.write() as session:
        failed = update(Delivery).where(col(Delivery.id) == sent[0].id).values(state=DeliveryState.FAILED)
        await session.exec(failed)
    status, again = await api.call("POST", "/dispatches/1/retry")
    assert (status, again["id"], again["state"]) == (200, 2, "scheduled")
    assert (await api.call("POST", "/dispatches/1/retry"))[1]["id"] == 2, "once"
    status, problem = await api.call("POST", "/dispatches/2/retry")
    assert (status, problem["code"]) == (409, "state"), "it is not over"
    assert (await api.call("POST", "/dispatches/99/retry"))[0] == 404
    assert (await (await api.may(Right.DISPATCHES_READ)).call("POST", "/dispatches/1/retry"))[0] == 403


async def test_what_two_have_agreed_to_and_one_has_called_back_one_does_not_send_again(
    api: Api, site: Site
) -> None:
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name=None, origin_name="t.csv")
    made = (await api.call("POST", "/bulletins", URGENT))[1]
    path = f"/dispatches/{made['dispatches'][0]}"
    planner = Planner(site.database, site.clock, site.app[PUBLICATIONS], site.links)
    while await planner.plan_slice(made["dispatches"][0]):
        pass
    await api.call("POST", f"{path}/cancel", {})
    status, problem = await api.call("POST", f"{path}/retry")
    assert (status, "由一个人再发" in problem["detail"]) == (409, True)
    async with site.database.write() as session:
        (dispatch,) = await session.exec(select(Dispatch))
        dispatch.state = DispatchState.FINISHED
    assert (await api.call("POST", f"{path}/retry"))[1]["id"] == 2, "what failed was agreed to"


async def test_who_has_come_since_gets_no_bulletin_of_before(api: Api, site: Site) -> None:
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name=None, origin_name="t.csv")
    made = (await api.call("POST", "/bulletins", URGENT))[1]
    planner = Planner(site.database, site.clock, site.app[PUBLICATIONS], site.links)
    while await planner.plan_slice(made["dispatches"][0]):
        pass
    async with site.database.write() as session:
        (dispatch,) = await session.exec(select(Dispatch))
        dispatch.state = DispatchState.FINISHED
        rows = list(await session.exec(select(Delivery).order_by(col(Delivery.id))))
        rows[0].state = DeliveryState.FAILED
        for row in rows[1:]:
            row.state = DeliveryState.SENT
    later = b"email,sections,channel,cadence\nnew@readers.example,policy,email,issue\n"
    await import_csv(site.database, site.clock, DSJ, later, list_name=None, origin_name="later.csv")
    again = (await api.call("POST", f"/dispatches/{made['dispatches'][0]}/retry"))[1]["id"]
    site.clock.move(minutes=1)
    while await planner.plan_slice(again):
        pass
    async with site.database.read() as session:
        second = list(await session.exec(select(Delivery).where(Delivery.dispatch_id == again)))
    assert {row.subscriber_id for row in second} == {row.subscriber_id for row in rows}
    assert [row.subscriber_id for row in second if not row.reason] == [rows[0].subscriber_id]
