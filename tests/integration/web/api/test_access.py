"""Who may call, how often; what goes wrong says so as a problem; the description tells what there is."""

import re
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from tests.integration.web.api.conftest import Api, token_for
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import make_token, revoke, tokens
from bdnews_dispatch.web.api.bearers import LIMITS
from bdnews_dispatch.web.api.calls import Endpoint
from bdnews_dispatch.web.api.description import faults_of, openapi
from bdnews_dispatch.web.api.endpoints import ENDPOINTS
from bdnews_dispatch.web.api.problems import Problem


def filled(endpoint: Endpoint) -> str:
    """Its path with something in it."""
    return re.sub(r"\{(\w+)\}", lambda found: "7" if found[1] == "id" else "x", endpoint.path)


async def test_every_operation_wants_its_right(site: Site) -> None:
    """All of them, with a token for everything else, with none, and with one that is no token."""
    for endpoint in ENDPOINTS:
        others = Api(site, await token_for(site, [right for right in Right if right is not endpoint.right]))
        status, problem = await others.call(endpoint.method, filled(endpoint))
        assert (status, problem["code"]) == (403, "scope"), endpoint
        assert endpoint.right.value in problem["detail"]
        for token in ("", "bdn_" + "x" * 43, "bdn_'; DROP TABLE api_token"):
            response = await Api(site, token).ask(endpoint.method, filled(endpoint))
            assert response.status == 401, endpoint
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_token_ends_and_can_be_revoked(site: Site) -> None:
    async with site.database.write() as session:
        _, token = await make_token(
            session,
            site.clock,
            name="一周",
            scope=[Right.EVENTS_READ],
            ends_at=site.clock.now + timedelta(days=7),
        )
    api = Api(site, token)
    assert (await api.call("GET", "/events"))[0] == 200
    async with site.database.read() as session:
        (row,) = await tokens(session)
        assert row.used_at is not None
        assert token not in str(row.model_dump())
    site.clock.move(days=8)
    assert (await api.call("GET", "/events"))[0] == 401
    other = Api(site, await token_for(site, [Right.EVENTS_READ]))
    assert (await other.call("GET", "/events"))[0] == 200
    async with site.database.write() as session:
        await revoke(session, site.clock, max(one.id or 0 for one in await tokens(session)))
    assert (await other.call("GET", "/events"))[0] == 401


async def test_a_token_comes_only_so_often(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(site, await token_for(site, [Right.EVENTS_READ]))
    limits = site.app[LIMITS]
    take = limits.take
    monkeypatch.setattr(limits, "take", lambda token_id, _most: take(token_id, 2))
    first = await api.ask("GET", "/events")
    assert first.headers["RateLimit"].startswith('"token";r=1;')
    assert first.headers["RateLimit-Policy"] == '"token";q=2;w=60'
    assert (await api.ask("GET", "/events")).status == 200
    refused = await api.ask("GET", "/events")
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    other = Api(site, await token_for(site, [Right.EVENTS_READ]))
    assert (await other.ask("GET", "/events")).status == 200


async def test_what_goes_wrong_is_a_problem(api: Api) -> None:
    cases = [
        (await api.ask("GET", "/nothing"), 404, "not_found"),
        (await api.ask("PATCH", "/events"), 405, "method"),
        (await api.ask("GET", "/subscribers/999999"), 404, "not_found"),
        (await api.ask("GET", "/subscribers/x"), 422, "path.invalid"),
        (await api.ask("GET", "/subscribers/99999999999999999999"), 422, "path.invalid"),
        (await api.ask("GET", "/subscribers?limit=0"), 422, "query.invalid"),
        (await api.ask("GET", "/subscribers?nonsense=1"), 422, "query.invalid"),
        (await api.ask("GET", "/subscribers?limit=1&limit=2"), 422, "parameter.twice"),
        (await api.ask("GET", "/subscribers?cursor=%00"), 422, "query.invalid"),
        (await api.ask("GET", "/subscribers?cursor=bm9uc2Vuc2U"), 422, "cursor"),
        (await api.ask("GET", "/lists?x=1"), 422, "query.invalid"),
        (await api.ask("POST", "/lists", headers={"Content-Type": "text/plain"}), 415, "content_type"),
        (
            await api.ask("POST", "/lists", headers={"Content-Type": "application/json"}, data=b"{nonsense"),
            400,
            "json",
        ),
        (
            await api.ask("POST", "/lists", headers={"Content-Type": "application/json"}, data=b"[" * 10_000),
            400,
            "json",
        ),
        (await api.ask("POST", "/lists", {"name": "a" * 100_000}), 413, "too_large"),
        (await api.ask("POST", "/lists", {"name": "x\u0000"}), 422, "body.invalid"),
        (await api.ask("POST", "/lists", {"name": "x", "odd": 1}), 422, "body.invalid"),
        (await api.ask("POST", "/subscribers", {"email": "nonsense"}), 422, "email.invalid"),
        (await api.ask("POST", "/dispatches/1/resume", {}), 415, "body.unwanted"),
    ]
    for response, status, code in cases:
        problem = Problem.model_validate(await response.json(content_type=None))
        assert (response.status, problem.status, problem.code) == (status, status, code), problem
        assert response.content_type == "application/problem+json"
        assert problem.title
    named = await cases[16][0].json(content_type=None)
    assert [one["pointer"] for one in named["errors"]] == ["#/odd"]


async def test_the_description_is_right_and_readable(api: Api, site: Site) -> None:
    document = await (await site.client.get("/api/v1/openapi.json")).json()
    assert document == openapi()
    assert document["openapi"] == "3.1.0"
    Draft202012Validator.check_schema({"$defs": document["components"]["schemas"]})
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(one.method, f"/api/v1{one.path}") for one in ENDPOINTS}
    names = [one.name for one in ENDPOINTS]
    assert len(set(names)) == len(names)
    assert all(one.summary for one in ENDPOINTS)
    text = str(document)
    for ref in re.findall(r"#/components/schemas/(\w+)", text):
        assert ref in document["components"]["schemas"]
    page = await (await site.client.get("/api/v1")).text()
    for endpoint in ENDPOINTS:
        assert f"{endpoint.method} /api/v1{endpoint.path}" in page
        assert {401, 403, 429} <= faults_of(endpoint)
