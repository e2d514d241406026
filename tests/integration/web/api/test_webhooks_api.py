"""Webhooks by API."""

from tests.integration.web.api.conftest import Api

from bdnews_dispatch.accounts.rights import Right


async def test_an_endpoint_from_its_making_to_its_end(api: Api) -> None:
    wanted = {"url": "https://hooks.example.com/in", "names": ["issue.published", "dispatch.*"]}
    status, made = await api.call("POST", "/webhooks", wanted)
    assert (status, made["secret"][:6]) == (201, "whsec_")
    path = f"/webhooks/{made['id']}"
    shown = (await api.call("GET", path))[1]
    assert "secret" not in shown
    rotated = (await api.call("POST", f"{path}/rotate"))[1]
    assert rotated["secret"] != made["secret"]
    off = (await api.call("POST", f"{path}/switch", {"on": False}))[1]
    assert (off["next_at"], off["why"]) == (None, "人工停用")
    assert (await api.call("POST", f"{path}/switch", {"on": True}))[1]["disabled_at"] is None
    assert (await api.call("POST", f"{path}/replay", {"after": 0}))[1]["cursor"] == 0
    assert (await api.call("GET", f"{path}/tries"))[1] == {"items": []}
    assert [one["id"] for one in (await api.call("GET", "/webhooks"))[1]["items"]] == [made["id"]]
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404


async def test_what_is_refused(api: Api) -> None:
    for body in (
        {"url": "http://x.example/"},
        {"url": "https://10.0.0.1/"},
        {"url": "https://x.example/", "names": ["?"]},
    ):
        assert (await api.call("POST", "/webhooks", body))[0] == 422
    reader = await api.may(Right.SETTINGS_READ)
    assert (await reader.call("POST", "/webhooks", {"url": "https://x.example/"}))[0] == 403


async def test_a_token_that_may_change_nothing_is_told_where_it_leads_and_no_secret(api: Api) -> None:
    url = "https://hooks.example.com/in/x7?key=geheim"
    reader = await api.may(Right.SETTINGS_READ)
    for resource in ("/webhooks", "/watched-feeds"):
        made = (await api.call("POST", resource, {"url": url}))[1]
        assert made["url"] == url
        for path in (resource, f"{resource}/{made['id']}"):
            told = (await reader.call("GET", path))[1]
            (one,) = told.get("items", [told])
            assert one["url"] == "https://hooks.example.com/in/…", path
        assert (await api.call("GET", f"{resource}/{made['id']}"))[1]["url"] == url
