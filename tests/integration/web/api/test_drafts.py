"""Drafts by API: the console's rules, over HTTP; nobody approves their own words, whatever token they show."""

from typing import Any

import pytest
from sqlmodel import col, select
from tests.integration.web.api.conftest import Api
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts.models import AuditEntry, User
from bdnews_dispatch.accounts.rights import Right, Role, rights_of
from bdnews_dispatch.accounts.tokens import make_token
from bdnews_dispatch.accounts.users import add_user, find_user
from bdnews_dispatch.dispatch.models import Dispatch

WORDS = {"title": "通知", "body": "一句**话**。"}
URGENT = {**WORDS, "title": "紧急风险提示", "urgent": True}


@pytest.fixture(autouse=True)
async def _people(site: Site) -> None:
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name="会场", origin_name="t.csv")


async def user(site: Site, role: Role) -> User:
    async with site.database.write() as session:
        email = f"{role}@example.cn"
        found = await find_user(session, email)
        return found or await add_user(session, site.clock, email=email, name="", role=role)


async def of(site: Site, role: Role) -> Api:
    """With a token of somebody's own, which may all that they may."""
    owner = await user(site, role)
    async with site.database.write() as session:
        scope = rights_of(owner.role, ())
        _, token = await make_token(session, site.clock, name="自己的", scope=scope, ends_at=None, user=owner)
    return Api(site, token)


async def done(api: Api, method: str, path: str, body: Any = None, **options: Any) -> Any:
    status, answer = await api.call(method, path, body, **options)
    assert status in {200, 201}, answer
    return answer


async def refused(api: Api, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
    status, problem = await api.call(method, path, body, **options)
    assert status >= 400, problem
    return status, problem["code"]


async def dispatches(site: Site) -> list[Dispatch]:
    async with site.database.read() as session:
        return list(await session.exec(select(Dispatch).order_by(col(Dispatch.id))))


async def test_an_urgent_one_takes_two_and_a_writers_own_token_is_no_second(site: Site) -> None:
    """An admin may write and approve; a second token of theirs is the same person."""
    admin, again, reviewer = (
        await of(site, Role.ADMIN),
        await of(site, Role.ADMIN),
        await of(site, Role.REVIEWER),
    )
    made = await done(admin, "POST", "/drafts", URGENT)
    assert (made["state"], made["version"], made["second_person"]) == ("draft", 1, True)
    assert made["writers"] == [f"user:{(await user(site, Role.ADMIN)).id}"]
    path = f"/drafts/{made['id']}"
    assert await refused(admin, "POST", f"{path}/send") == (403, "second_person")
    assert await refused(reviewer, "POST", f"{path}/approve", {"version": 1}) == (409, "state"), (
        "nobody asked"
    )
    assert (await done(admin, "POST", f"{path}/ask"))["state"] == "waiting"
    for own in (admin, again):
        assert await refused(own, "POST", f"{path}/approve", {"version": 1}) == (403, "second_person")
    assert await refused(reviewer, "POST", f"{path}/approve", {}) == (422, "body.invalid"), (
        "of which version?"
    )
    assert await dispatches(site) == []
    back = await done(reviewer, "POST", f"{path}/return", {"words": "标题写明地点"})
    assert (back["state"], back["words"]) == ("draft", "标题写明地点")
    await done(again, "PUT", path, {**URGENT, "title": "紧急：贵阳", "version": 1})
    await done(again, "POST", f"{path}/ask")
    assert await refused(reviewer, "POST", f"{path}/approve", {"version": 1}) == (409, "changed")
    sent = await done(reviewer, "POST", f"{path}/approve", {"version": 2})
    (dispatch,) = await dispatches(site)
    assert (sent["state"], sent["bulletin"], sent["dispatches"]) == ("sent", 1, [dispatch.id])
    assert sent["decided_by"] == f"user:{(await user(site, Role.REVIEWER)).id}"
    assert dispatch.urgent
    assert dispatch.due_at > site.clock(), "it can be taken back"
    assert await refused(reviewer, "POST", f"{path}/approve", {"version": 2}) == (409, "state")
    assert await refused(admin, "POST", f"{path}/send") == (409, "state")
    assert len(await dispatches(site)) == 1


async def test_the_machines_token_approves_what_another_has_written(site: Site, api: Api) -> None:
    editor = await of(site, Role.EDITOR)
    mine, theirs = await done(api, "POST", "/drafts", URGENT), await done(editor, "POST", "/drafts", URGENT)
    for one in (mine, theirs):
        await done(api, "POST", f"/drafts/{one['id']}/ask")
    approve = f"/drafts/{mine['id']}/approve"
    assert await refused(api, "POST", approve, {"version": 1}) == (403, "second_person")
    assert await refused(editor, "POST", approve, {"version": 1}) == (403, "scope")
    other = await api.may(Right.BULLETINS_APPROVE)
    approved = await done(other, "POST", approve, {"version": 1})
    assert approved["decided_by"].startswith("token:")
    await done(api, "POST", f"/drafts/{theirs['id']}/approve", {"version": 1})
    assert len(await dispatches(site)) == 2


async def test_rights(site: Site) -> None:
    reader, writer = await of(site, Role.ANALYST), await of(site, Role.EDITOR)
    made = await done(writer, "POST", "/drafts", WORDS)
    path = f"/drafts/{made['id']}"
    assert await done(reader, "GET", path) == made
    assert (await reader.call("GET", "/drafts"))[1] == {"items": [made], "next": None}
    for method, where, body in (
        ("POST", "/drafts", WORDS),
        ("PUT", path, {**WORDS, "version": 1}),
        ("POST", f"{path}/ask", None),
        ("POST", f"{path}/send", None),
        ("POST", f"{path}/discard", None),
        ("POST", f"{path}/approve", {"version": 1}),
        ("POST", f"{path}/return", {"words": "不"}),
    ):
        assert await refused(reader, method, where, body) == (403, "scope")
    assert await refused(writer, "POST", f"{path}/return", {"words": "不"}) == (403, "scope")
    for method, where, body in (
        ("GET", "/drafts/99", None),
        ("PUT", "/drafts/99", {**WORDS, "version": 1}),
        ("POST", "/drafts/99/ask", None),
        ("POST", "/drafts/99/send", None),
        ("POST", "/drafts/99/discard", None),
    ):
        assert await refused(writer, method, where, body) == (404, "not_found")


async def test_nobody_writes_over_another(api: Api) -> None:
    made = await api.ask("POST", "/drafts", {**WORDS, "lists": ["会场"]})
    path, tag = made.headers["Location"].removeprefix("/api/v1"), made.headers["ETag"]
    assert await refused(api, "PUT", path, WORDS) == (428, "version.required")
    first = await done(api, "PUT", path, {**WORDS, "title": "一"}, headers={"If-Match": tag})
    assert (first["version"], first["lists"]) == (2, []), "all of it anew"
    second = {**WORDS, "title": "二"}
    assert await refused(api, "PUT", path, second, headers={"If-Match": tag}) == (412, "condition.failed")
    assert await refused(api, "PUT", path, {**second, "version": 1}) == (409, "changed")
    assert await refused(api, "POST", f"{path}/send", headers={"If-Match": tag}) == (412, "condition.failed")
    assert (await done(api, "PUT", path, {**second, "version": 2}))["title"] == "二"
    await done(api, "POST", f"{path}/ask")
    changed = await done(api, "PUT", path, {**WORDS, "version": 3})
    assert (changed["state"], changed["asked_at"]) == ("draft", None), "who changes it takes the request back"


async def test_whom_and_when(site: Site, api: Api) -> None:
    at = "2030-01-02T09:00:00+08:00"
    whom = {"sections": ["国策要论"], "lists": ["会场"], "except_lists": ["会场"], "at": at}
    made = await done(api, "POST", "/drafts", {**WORDS, **whom})
    assert (made["sections"], made["lists"], made["except_lists"]) == (["policy"], ["会场"], ["会场"])
    assert (made["at"], made["second_person"]) == ("2030-01-02T01:00:00Z", False)
    await done(api, "POST", f"/drafts/{made['id']}/send")
    (dispatch,) = await dispatches(site)
    assert dispatch.due_at.isoformat() == "2030-01-02T01:00:00+00:00"
    assert (dispatch.sections, dispatch.lists, dispatch.excluded_lists) == (["policy"], ["会场"], ["会场"])
    every = [section["key"] for section in DSJ.model_dump()["sections"]]
    everybody = await done(api, "POST", "/drafts", {**WORDS, "sections": every})
    assert (everybody["sections"], everybody["second_person"]) == ([], True), (
        "all of them narrow nothing down"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lists": ["没有的"]}, (404, "not_found")),
        ({"segments": ["没有的"]}, (404, "not_found")),
        ({"publication": "没有的"}, (404, "not_found")),
        ({"sections": ["没有的"]}, (422, "sections.unknown")),
        ({"title": " "}, (422, "body.invalid")),
        ({"title": "字" * 101}, (422, "refused")),
        ({"body": "x" * 20_001}, (422, "refused")),
        ({"at": "2030-01-02T09:00:00"}, (422, "body.invalid")),
        ({"version": 1}, (422, "body.invalid")),
    ],
)
async def test_what_is_refused_is_not_kept(
    api: Api, changes: dict[str, Any], problem: tuple[int, str]
) -> None:
    assert await refused(api, "POST", "/drafts", {**WORDS, **changes}) == problem
    assert (await api.call("GET", "/drafts"))[1]["items"] == []


async def test_what_is_thrown_away_is_listed_where_it_is_asked_for(api: Api) -> None:
    kept, gone = [await done(api, "POST", "/drafts", {**WORDS, "sections": ["policy"]}) for _ in range(2)]
    assert (await done(api, "POST", f"/drafts/{gone['id']}/discard"))["state"] == "discarded"
    assert await refused(api, "POST", f"/drafts/{gone['id']}/send") == (409, "state")
    assert await refused(api, "POST", f"/drafts/{gone['id']}/discard") == (409, "state")
    listed = {
        query: [one["id"] for one in (await api.call("GET", f"/drafts{query}"))[1]["items"]]
        for query in ("", "?state=discarded", "?state=waiting")
    }
    assert listed == {"": [kept["id"]], "?state=discarded": [gone["id"]], "?state=waiting": []}


async def test_the_same_call_again_writes_one(api: Api, site: Site) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = [await done(api, "POST", "/drafts", WORDS, headers=key) for _ in range(2)]
    assert first == again
    assert len((await api.call("GET", "/drafts"))[1]["items"]) == 1
    async with site.database.read() as session:
        told = list(await session.exec(select(AuditEntry.action)))
    assert told == ["api.drafts_create"]
