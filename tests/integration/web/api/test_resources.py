"""The operations do what the commands do: people, lists, segments, suppressions, imports, dispatches, reports."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select
from tests.integration.web.api.conftest import Api
from tests.integration.web.readers_site import Site
from tests.making import document

from bdnews_dispatch.accounts.models import OnceAnswered
from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.dispatch import standing
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.starting import start_bulletin
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.models import Subscriber, Subscription
from bdnews_dispatch.web.keys import PUBLICATIONS, TALLIES

CHEN = {"email": "Chen.Wei@readers.example", "name": "陈薇", "sections": ["policy"], "evidence": "会场登记"}


async def added(api: Api, **changes: Any) -> dict[str, Any]:
    status, body = await api.call("POST", "/subscribers", {**CHEN, **changes})
    assert status == 201, body
    assert isinstance(body, dict)
    return body


async def test_a_person_from_first_to_last(api: Api, site: Site) -> None:
    response = await api.ask("POST", "/subscribers", CHEN)
    chen = await response.json()
    assert response.status == 201
    assert response.headers["Location"] == f"/api/v1/subscribers/{chen['id']}"
    assert chen["agreements"][0]["sections"] == ["policy"]
    assert chen["agreements"][0]["origin"] == "api"
    path = f"/subscribers/{chen['id']}"
    assert (await api.call("PUT", f"{path}/tags/专家"))[1]["tags"] == ["专家"]
    assert (await api.call("GET", "/subscribers?tag=专家"))[1]["items"][0]["id"] == chen["id"]
    assert (await api.call("GET", "/subscribers?email=CHEN.wei@readers.example"))[1]["items"][0]["id"]
    assert (await api.call("DELETE", f"{path}/tags/专家"))[1]["tags"] == []
    status, left = await api.call("POST", f"{path}/unsubscribe", {"reason": "来电要求"})
    assert (status, left["agreements"]) == (200, [])
    status, problem = await api.call("POST", "/subscribers", CHEN)
    assert (status, problem["code"]) == (409, "state"), "who has left stays away"
    assert (await added(api, resubscribe=True))["agreements"]
    copy = (await api.call("GET", f"{path}/copy"))[1]
    assert [one["end_reason"] for one in copy["agreements"] if one["ended_at"]] == ["api:来电要求"]
    async with site.database.read() as session:
        evidence = (await session.exec(select(Subscription.evidence))).all()
    assert "会场登记" in evidence
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[1]["email"] is None


async def test_names_may_hold_full_width_spaces(api: Api) -> None:
    status, body = await api.call("POST", "/lists", {"name": "部委", "description": "第一批　已核对"})
    assert status == 201, body


async def test_pages_follow_each_other(api: Api) -> None:
    for number in range(5):
        await added(api, email=f"r{number}@readers.example")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await api.call("GET", f"/subscribers?limit=2&cursor={cursor}")
        seen += [one["email"] for one in page["items"]]
        cursor = page["next"]
        if len(seen) == 2:
            await added(api, email="late@readers.example")
    assert seen == [*(f"r{number}@readers.example" for number in range(5)), "late@readers.example"]


async def test_the_same_call_again_is_done_once(api: Api, site: Site) -> None:
    key = {"Idempotency-Key": "abc-1"}
    answers = await asyncio.gather(*(api.ask("POST", "/subscribers", CHEN, headers=key) for _ in range(5)))
    assert {answer.status for answer in answers} == {201}
    assert len({await answer.text() for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 4
    assert len({answer.headers["Location"] for answer in answers}) == 1
    status, problem = await api.call("POST", "/subscribers", {**CHEN, "name": "别人"}, headers=key)
    assert (status, problem["code"]) == (422, "idempotency.reused")
    for bad in ("x" * 300, "two words"):
        status, problem = await api.call("POST", "/subscribers", CHEN, headers={"Idempotency-Key": bad})
        assert (status, problem["code"]) == (422, "idempotency.key"), bad
    refused = {"Idempotency-Key": "abc-2"}
    assert (await api.call("POST", "/subscribers", {"email": "x"}, headers=refused))[0] == 422
    assert (await api.call("POST", "/subscribers", CHEN, headers=refused))[0] == 201, (
        "what failed is not kept"
    )
    site.clock.move(days=2)
    assert "Idempotency-Replayed" not in (await api.ask("POST", "/subscribers", CHEN, headers=key)).headers


async def test_an_erasure_takes_kept_answers_along(api: Api, site: Site) -> None:
    chen = (await (await api.ask("POST", "/subscribers", CHEN, headers={"Idempotency-Key": "k"})).json())[
        "id"
    ]
    await api.ask("POST", "/lists", {"name": "会场"}, headers={"Idempotency-Key": "l"})
    await api.call("DELETE", f"/subscribers/{chen}")
    async with site.database.read() as session:
        kept = (await session.exec(select(OnceAnswered))).all()
    assert [one.key for one in kept] == ["l"]


async def test_what_has_not_changed_is_not_sent_again_and_what_has_is_not_lost(api: Api) -> None:
    await api.call("POST", "/lists", {"name": "会场", "description": "一"})
    first = await api.ask("GET", "/lists/会场")
    tag = first.headers["ETag"]
    again = await api.ask("GET", "/lists/会场", headers={"If-None-Match": tag})
    assert (again.status, await again.text()) == (304, "")
    change = {"description": "二"}
    assert (await api.call("PATCH", "/lists/会场", change, headers={"If-Match": tag}))[0] == 200
    status, problem = await api.call("PATCH", "/lists/会场", {"description": "三"}, headers={"If-Match": tag})
    assert (status, problem["code"]) == (412, "condition.failed")
    assert (await api.call("GET", "/lists/会场"))[1]["description"] == "二"


async def test_lists_and_segments(api: Api) -> None:
    chen = (await added(api))["id"]
    assert (await api.call("POST", "/lists", {"name": "会场", "public": True}))[1]["members"] == 0
    assert (await api.call("PUT", f"/lists/会场/members/{chen}"))[1]["members"] == 1
    assert (await api.call("GET", "/subscribers?list=会场"))[1]["items"][0]["lists"] == ["会场"]
    rule = {"rule": {"field": "list", "any_of": ["会场"]}}
    assert (await api.call("POST", "/segment-counts", rule))[1]["people"] == 1
    assert (await api.call("PUT", "/segments/来过", rule))[1]["people"] == 1
    assert [one["name"] for one in (await api.call("GET", "/segments"))[1]["items"]] == ["来过"]
    status, problem = await api.call("PUT", "/segments/坏", {"rule": {"field": "sql", "any_of": ["1=1"]}})
    assert (status, problem["code"]) == (422, "segment")
    assert (await api.call("DELETE", f"/lists/会场/members/{chen}"))[1]["members"] == 0
    assert (await api.call("GET", "/segments/来过"))[1]["people"] == 0
    assert (await api.call("DELETE", "/segments/来过"))[0] == 204
    assert (await api.call("GET", "/segments/来过"))[0] == 404
    assert (await api.call("PUT", "/lists/没有/members/1"))[0] == 404


async def test_suppressions(api: Api) -> None:
    body = {"target": "Gone@readers.example", "note": "来电要求"}
    status, made = await api.call("POST", "/suppressions", body)
    assert (status, made["target"], made["evidence"]) == (201, "gone@readers.example", "来电要求")
    assert (await api.call("GET", "/suppressions?target=GONE@readers.example"))[1]["items"] == [made]
    assert (await api.call("POST", "/suppressions/lift", body))[0] == 204
    assert (await api.call("POST", "/suppressions/lift", body))[0] == 404
    assert (await api.call("GET", "/suppressions"))[1]["items"] == []


async def test_an_import_from_upload_to_result(api: Api, site: Site) -> None:
    file = "email,name\nlin@readers.example,林\nnonsense,错\n".encode()
    headers = {"Content-Type": "application/octet-stream"}
    status, run = await api.call("POST", "/imports?file_name=a.csv", data=file, headers=headers)
    assert (status, run["state"], run["rows"]) == (201, "ready", 2), run
    assert run["columns"] == {"email": "email", "name": "name"}
    path = f"/imports/{run['id']}"
    status, problem = await api.call("POST", f"{path}/start", {})
    assert (status, problem["code"]) == (422, "import"), "a basis is needed"
    assert (await api.call("POST", f"{path}/start", {"basis": "会场登记", "list_name": "会场"}))[0] == 200
    importer = Importer(site.database, site.clock, site.app[PUBLICATIONS], site.links.signer)
    while await importer.run_slice(run["id"]):
        pass
    status, done = await api.call("GET", path)
    assert (done["state"], done["added"], done["refused"], done["list_name"]) == ("finished", 1, 1, "会场")
    assert done["kinds"][0]["first"][0]["row"] == 3
    result = await api.ask("GET", f"{path}/result")
    text = (await result.read()).decode("utf-8-sig")
    assert text.splitlines()[1].startswith("nonsense,错,3,")
    assert (await api.call("POST", f"{path}/cancel"))[0] == 409
    status, problem = await api.call("POST", "/imports?file_name=a.csv", data=b"", headers=headers)
    assert (status, problem["code"]) == (422, "import")
    async with site.database.read() as session:
        assert (await session.exec(select(Subscriber.email))).all() == ["lin@readers.example"]


async def test_a_file_that_is_too_large_is_refused_on_the_way(
    api: Api, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bdnews_dispatch.web.api import imports  # noqa: PLC0415

    save = imports._save
    monkeypatch.setattr(imports, "_save", lambda request, file, _most: save(request, file, 1_000))
    status, problem = await api.call("POST", "/imports?file_name=a.csv", data=b"x" * 2_000)
    assert (status, problem["code"]) == (413, "too_large")


async def test_dispatches_are_started_and_stopped(api: Api, site: Site) -> None:
    await added(api)
    issue = await site.publish()
    wanted = {"issue": issue.total_number}
    status, audience = await api.call("POST", "/audiences", wanted)
    assert (status, audience["planned"]) == (200, {"email": audience["planned"]["email"]})
    status, started = await api.call("POST", "/dispatches", wanted)
    assert status == 201, started
    assert (await api.call("POST", "/dispatches", wanted))[1]["id"] == started["id"], "the same is the same"
    path = f"/dispatches/{started['id']}"
    assert (await api.call("POST", f"{path}/pause", {"note": "等一等"}))[1]["note"] == "等一等"
    assert (await api.call("POST", f"{path}/pause", {}))[0] == 409
    assert (await api.call("POST", f"{path}/resume"))[0] == 200
    assert (await api.call("POST", f"{path}/cancel", {}))[1]["state"] == "cancelled"
    assert (await api.call("GET", path))[1]["title"]
    assert (await api.call("POST", "/dispatches", {"issue": 99999}))[0] == 404
    assert (await api.call("POST", "/dispatches", {**wanted, "lists": ["没有"]}))[0] == 404


async def test_reports_and_events(api: Api, site: Site, sent: list[Delivery]) -> None:
    number = sent[0].dispatch_id
    status, report = await api.call("GET", f"/reports/dispatches/{number}")
    assert (status, report["headline"]["counted_at"]) == (200, None)
    assert (await api.call("GET", "/reports/dispatches"))[1]["items"][0]["dispatch_id"] == number
    assert (await api.call("GET", "/reports/growth"))[1]["items"][0]["section"] == ""
    for days in (
        "since=0001-01-01&until=0001-01-01",
        "since=0001-01-01&until=9999-12-31",
        "until=0001-01-01",
    ):
        assert (await api.call("GET", f"/reports/growth?{days}"))[0] == 200
        assert (await api.call("GET", f"/reports/dispatches?{days}"))[0] == 200
    status, years = await api.call("GET", "/reports/sections")
    assert (status, [one["section"] for one in years["items"]][:2]) == (200, ["policy", "local"])
    assert [len(one["points"]) for one in years["items"]] == [12] * 5
    assert (years["items"][0]["points"][-1]["readers"], years["items"][0]["rate"]) == (1, None)
    assert (await api.call("GET", "/reports/sections?year=2026&by=issue"))[1]["items"][0]["points"][0][
        "name"
    ] == "112"
    assert (await api.call("GET", "/reports/sections?year=2100"))[1]["items"][0]["points"] == []
    for wrong in ("year=1999", "year=x", "by=week", "years=2026"):
        assert (await api.call("GET", f"/reports/sections?{wrong}"))[0] == 422, wrong
    assert (await api.call("GET", "/reports/sections?publication=none"))[0] == 404
    site.clock.move(minutes=1)
    _, page = await api.call("GET", "/events?limit=1")
    assert page["items"][0]["name"]
    _, rest = await api.call("GET", f"/events?cursor={page['next']}")
    assert page["items"][0]["id"] < rest["items"][0]["id"]
    _, nothing = await api.call("GET", f"/events?cursor={rest['next']}")
    assert (nothing["items"], nothing["next"]) == ([], rest["next"])
    _, rare = await api.call("GET", "/events?name=issue.withdrawn")
    assert (rare["items"], rare["next"]) == ([], rest["next"]), "the same months are not gone through again"
    await site.publish(document(113))
    _, fresh = await api.call("GET", f"/events?name=issue.published&cursor={rare['next']}")
    assert [one["name"] for one in fresh["items"]] == ["issue.published"]


async def test_large_dispatches_are_listed_at_once_and_counted_beside(
    api: Api, site: Site, sent: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FEW", 0)
    (first,) = (await api.call("GET", "/dispatches"))[1]["items"]
    assert (first["state"], first["deliveries"], first["counts"], first["counted_at"]) == (
        "finished",
        None,
        None,
        None,
    )
    await site.app[TALLIES].settled()
    (then,) = (await api.call("GET", "/dispatches"))[1]["items"]
    assert (then["deliveries"], then["counts"]["sent"]) == (len(sent), len(sent))
    assert then["counted_at"] is not None
    assert (await api.call("GET", f"/dispatches/{first['id']}"))[1]["deliveries"] == len(sent), (
        "of this moment"
    )


async def test_a_page_of_dispatches_asks_no_more_than_one_dispatch(
    api: Api, site: Site, sent: list[Delivery]
) -> None:
    async with site.database.write() as session:
        for number in range(6):
            one = Bulletin(
                publication="dsj",
                fingerprint=str(number),
                title=f"快讯 {number}",
                body="一句话。",
                created_at=site.clock(),
            )
            session.add(one)
            await session.flush()
            await start_bulletin(session, site.clock, one)
    asked: list[str] = []
    await api.call("GET", "/dispatches")  # the token's first use is written down

    def seen(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(site.database.engine.sync_engine, "before_cursor_execute", seen)
    try:
        status, few = await api.call("GET", "/dispatches?limit=2")
        for_two = len(asked)
        _, all_ = await api.call("GET", "/dispatches")
    finally:
        event.remove(site.database.engine.sync_engine, "before_cursor_execute", seen)
    assert len(asked) - for_two == for_two
    assert (status, few["items"]) == (200, all_["items"][:2])
    assert [one["title"] for one in all_["items"]][1:] == [f"快讯 {number}" for number in range(6)]
    assert [one["deliveries"] for one in all_["items"]] == [len(sent), *[0] * 6]
