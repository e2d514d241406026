"""Versions, repeats, pages, limits of values: what a careful program relies on."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlmodel import col, select
from tests.integration.web.api.conftest import Api

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.web.api.problems import Problem

RULE = {"field": "sections", "any_of": ["policy"]}


async def test_a_segment_that_somebody_else_changed_stays(api: Api) -> None:
    made = await api.ask("PUT", "/segments/读政策的", {"rule": RULE})
    assert made.status == 200
    tag = (await api.ask("GET", "/segments/读政策的")).headers["ETag"]
    other = {"rule": {"field": "sections", "any_of": ["local"]}}
    assert (await api.ask("PUT", "/segments/读政策的", other, headers={"If-Match": tag})).status == 200
    status, problem = await api.call("PUT", "/segments/读政策的", {"rule": RULE}, headers={"If-Match": tag})
    assert (status, problem["code"]) == (412, "condition.failed")
    assert (await api.call("GET", "/segments/读政策的"))[1]["rule"] == other["rule"]
    assert (await api.ask("PUT", "/segments/新的", {"rule": RULE}, headers={"If-Match": "*"})).status == 412
    assert (await api.ask("DELETE", "/segments/读政策的", headers={"If-Match": tag})).status == 412


async def test_numbers_that_change_by_themselves_are_no_change_of_mine(api: Api) -> None:
    await api.ask("POST", "/lists", {"name": "部委"})
    before = (await api.ask("GET", "/lists/部委")).headers["ETag"]
    person = (await api.call("POST", "/subscribers", {"email": "he@readers.example", "sections": []}))[1]
    await api.ask("PUT", f"/lists/部委/members/{person['id']}")
    after = await api.ask("GET", "/lists/部委", headers={"If-None-Match": before})
    assert (after.status, (await after.json())["members"]) == (200, 1), "a reader sees that it is another"
    changed = await api.ask("PATCH", "/lists/部委", {"public": True}, headers={"If-Match": before})
    assert changed.status == 200, "and may still change the list"


async def test_if_match_where_nobody_looks_is_refused(api: Api) -> None:
    status, problem = await api.call("POST", "/lists", {"name": "x"}, headers={"If-Match": '"a"'})
    assert (status, problem["code"]) == (422, "condition.unknown")


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("wanted", ["a", '"a', '"' + "a" * 199 + '"'])
async def test_if_match_that_nobody_can_read_is_refused_of_a_repeat_as_well(api: Api, wanted: str) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await api.call("POST", "/dispatches/1/retry", headers=key))[0] == 200
    status, problem = await api.call("POST", "/dispatches/1/retry", headers={**key, "If-Match": wanted})
    assert (status, problem["code"]) == (422, "condition.malformed")
    old = await api.ask("POST", "/dispatches/1/retry", headers={**key, "If-Match": '"old"'})
    assert (old.status, old.headers["Idempotency-Replayed"]) == (200, "true"), (
        "what is done is not undone by it"
    )


@pytest.mark.parametrize("how", ["{}", "W/{}", '"x", {}', "*"])
async def test_what_is_known_is_not_sent_again(api: Api, how: str) -> None:
    await api.ask("POST", "/lists", {"name": "部委"})
    tag = (await api.ask("GET", "/lists/部委")).headers["ETag"]
    answer = await api.ask("GET", "/lists/部委", headers={"If-None-Match": how.format(tag)})
    assert (answer.status, await answer.read()) == (304, b"")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/dispatches", {"issue": 1, "at": "0001-01-01T00:00:00+14:00"}, 422),
        ("/dispatches", {"issue": "1"}, 422),
        ("/dispatches", {"issue": 2**31}, 422),
        ("/lists", {"name": 1}, 422),
        ("/lists", {"name": "x", "public": "yes"}, 422),
        ("/lists/%00", None, 422),
        ("/subscribers?cursor=WzIxNDc0ODM2NDhd", None, 422),  # [2147483648]
        ("/lists?cursor=WzFd", None, 422),  # [1]: a number where a name belongs
        ("/subscribers/2147483648", None, 422),
        ("/events?limit=0", None, 422),
    ],
)
async def test_what_does_not_fit_is_said_and_is_no_fault_of_the_database(
    api: Api, path: str, body: object, status: int
) -> None:
    answer = await api.ask("POST" if body is not None else "GET", path, body)
    problem = Problem.model_validate(await answer.json(content_type=None))
    assert answer.status == problem.status == status, problem
    assert problem.errors, problem
    assert all(not one.detail.isascii() for one in problem.errors), "in Chinese"


async def test_pages_lead_on(api: Api) -> None:
    for name in ("丙", "甲", "乙"):
        await api.ask("POST", "/lists", {"name": name})
    seen, path = [], "/lists?limit=1"
    while path:
        answer = await api.ask("GET", path)
        seen += [one["name"] for one in (await answer.json())["items"]]
        link = answer.links.get("next")
        path = str(link["url"].relative()).removeprefix("/api/v1") if link else ""  # type: ignore[union-attr]
    assert seen == sorted(["丙", "甲", "乙"])


async def test_a_file_comes_in_once(api: Api) -> None:
    csv = b"email\nhe@readers.example\n"
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/octet-stream"}
    first = await api.ask("POST", "/imports?file_name=a.csv", headers=headers, data=csv)
    again = await api.ask("POST", "/imports?file_name=a.csv", headers=headers, data=csv)
    assert (first.status, again.status) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = await api.ask("POST", "/imports?file_name=a.csv", headers=headers, data=csv + b"x@y.example\n")
    assert other.status == 422


async def test_every_change_is_in_the_log_and_names_nobody(api: Api) -> None:
    await api.ask("POST", "/subscribers", {"email": "he@readers.example", "sections": []})
    await api.ask("POST", "/lists", {"name": "部委"})
    await api.ask("GET", "/lists")
    await api.ask("POST", "/lists", {"name": 1})
    async with api.site.database.read() as session:
        entries = list(await session.exec(select(AuditEntry).order_by(col(AuditEntry.id))))
    assert [entry.action for entry in entries] == ["api.subscribers_create", "api.lists_create"]
    assert entries[0].actor.startswith("token:")
    assert "readers.example" not in "".join(entry.model_dump_json() for entry in entries)


async def test_events_are_numbered_as_they_are_committed(api: Api) -> None:
    """Sixteen who decide at once, some of them slowly: who reads on behind the last one misses none."""
    clock: Clock = lambda: datetime(2026, 11, 24, tzinfo=UTC)  # noqa: E731
    seen: list[str] = []
    cursor = ""

    async def one(number: int) -> None:
        async with api.site.database.write() as session:
            await record(session, clock, "test.done", f"test:{number}", number=number)
            await asyncio.sleep(0.02 * (number % 3))

    async def reads() -> None:
        nonlocal cursor
        while len(seen) < 16:
            page = (await api.call("GET", f"/events?name=test.done&cursor={cursor}"))[1]
            seen.extend(str(event["data"]["number"]) for event in page["items"])
            cursor = page["next"]

    async with asyncio.timeout(20):
        await asyncio.gather(reads(), *(one(number) for number in range(16)))
    async with api.site.database.read() as session:
        keys = set(await session.exec(select(Event.key).where(Event.name == "test.done")))
    assert {f"test:{number}" for number in seen} == keys


async def test_an_event_is_recorded_by_who_decides_alone(api: Api) -> None:
    with pytest.raises(RuntimeError, match=r"take Database\.write"):
        async with api.site.database.write_beside() as session:
            await record(session, api.site.clock, "test.done", "k")


async def test_an_attribute_is_written_and_taken_away(api: Api) -> None:
    person = (await api.call("POST", "/subscribers", {"email": "he@readers.example", "sections": []}))[1]
    path = f"/subscribers/{person['id']}/attributes/单位"
    assert (await api.call("PUT", path, {"value": " 信息中心 "}))[1]["attributes"] == {"单位": "信息中心"}
    assert (await api.call("PUT", path, {"value": "大数据局"}))[1]["attributes"] == {"单位": "大数据局"}
    assert (await api.call("PUT", path, {"value": ""}))[1]["attributes"] == {}
