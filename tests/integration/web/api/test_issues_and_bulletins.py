"""Issues, bulletins and deliveries by API: the same rules as by command."""

import io
from pathlib import Path

from tests.integration.web.api.conftest import Api, token_for
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Right

SAMPLE = (Path(__file__).parents[4] / "config" / "samples" / "dsj-sample.md").read_bytes()
MARKDOWN = {"Content-Type": "text/markdown", "Idempotency-Key": "issue-112"}


async def test_an_issue_is_pushed_once_published_and_withdrawn(api: Api) -> None:
    first = await api.ask("POST", "/issues?file_name=112.md", headers=MARKDOWN, data=SAMPLE)
    taken = await first.json()
    assert (first.status, taken["intake"], taken["issue"]["state"]) == (201, "new", "review")
    again = await api.ask("POST", "/issues?file_name=112.md", headers=MARKDOWN, data=SAMPLE)
    assert (again.headers["Idempotency-Replayed"], await again.json()) == ("true", taken)
    other_key = {**MARKDOWN, "Idempotency-Key": "another"}
    same = await (await api.ask("POST", "/issues", headers=other_key, data=SAMPLE)).json()
    assert (same["intake"], same["issue"]["id"]) == ("same", taken["issue"]["id"])
    path = first.headers["Location"].removeprefix("/api/v1")
    status, shown = await api.call("GET", path)
    assert (status, len(shown["document"]["sections"])) == (200, 5)
    assert (await api.call("POST", f"{path}/publish"))[1]["state"] == "published"
    assert (await api.call("POST", f"{path}/publish"))[0] == 409
    assert (await api.call("GET", "/issues?state=published"))[1]["items"][0]["id"] == taken["issue"]["id"]
    assert (await api.call("POST", f"{path}/withdraw"))[1]["state"] == "withdrawn"


async def test_what_is_no_issue_is_refused_with_its_reason(api: Api) -> None:
    for data, status in (
        (b"", 422),
        (b"\xff\xfe\x00", 422),
        ("没有期号".encode(), 422),
        (b"x" * 9_000_000, 413),
    ):
        answer = await api.ask(
            "POST", "/issues", headers={"Content-Type": "text/markdown"}, data=io.BytesIO(data)
        )
        assert answer.status == status, await answer.text()
    assert (await api.call("GET", "/issues"))[1]["items"] == []
    status, _ = await api.call("GET", "/issues/dsj/9999")
    assert status == 404


async def test_a_bulletin_goes_out_once(api: Api) -> None:
    wanted = {
        "title": "系统升级通知",
        "body": "今晚 **22:00** 升级。",
        "sections": ["国策要论"],
        "urgent": True,
    }
    status, first = await api.call("POST", "/bulletins", wanted)
    assert (status, first["urgent"], len(first["dispatches"])) == (201, True, 1)
    assert (await api.call("POST", "/bulletins", wanted))[1] == first
    assert (await api.call("GET", f"/bulletins/{first['id']}"))[1] == first
    assert (await api.call("POST", "/bulletins", {**wanted, "sections": ["没有的"]}))[0] == 422
    dispatch = (await api.call("GET", f"/dispatches/{first['dispatches'][0]}"))[1]
    assert (dispatch["kind"], dispatch["title"]) == ("bulletin", "系统升级通知")


async def test_a_token_that_may_not_approve_sends_no_urgent_bulletin_and_none_to_all(site: Site) -> None:
    api = Api(site, await token_for(site, [Right.BULLETINS_READ, Right.BULLETINS_WRITE]))
    words = {"title": "通知", "body": "一句话。"}
    for wanted in ({**words, "sections": ["policy"], "urgent": True}, words):
        status, problem = await api.call("POST", "/bulletins", wanted)
        assert (status, "批准" in problem["detail"] or "批准" in problem["title"]) == (403, True), problem
    assert (await api.call("GET", "/bulletins"))[1]["items"] == []
    assert (await api.call("POST", "/bulletins", {**words, "sections": ["policy"]}))[0] == 201


async def test_deliveries_tell_what_came_of_each_try(api: Api, sent: list[object]) -> None:
    page = (await api.call("GET", "/deliveries?limit=1&state=sent"))[1]
    (one,) = page["items"]
    assert "email" not in one
    status, shown = await api.call("GET", f"/deliveries/{one['id']}")
    assert (status, shown["tries"]) == (200, [])
    assert (await api.call("POST", f"/deliveries/{one['id']}/resolve", {"decision": "sent"}))[0] == 409
    assert (await api.call("POST", f"/dispatches/{one['dispatch']}/resolve", {"decision": "sent"}))[1] == {
        "decided": 0
    }
    assert (await api.call("GET", f"/deliveries?dispatch={one['dispatch']}"))[1]["items"][0] == one
    assert (await api.call("GET", "/deliveries/999999"))[0] == 404
