"""The pages' site, and a client of the API with a token."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse
from tests.integration.web.conftest import clock, sent, site
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import make_token

__all__ = ["clock", "sent", "site"]


@dataclass
class Api:
    """Calls as a program makes them."""

    site: Site
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, Any]:
        """Status, and JSON where there is any."""
        response = await self.ask(method, path, body, headers=headers, **options)
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.content_type else text

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> ClientResponse:
        """The response, read."""
        told = {"Authorization": f"Bearer {self.token}", **self.headers, **(headers or {})}
        if body is not None:
            options["data"] = json.dumps(body).encode()
            told.setdefault("Content-Type", "application/json")
        response = await self.site.client.request(method, f"/api/v1{path}", headers=told, **options)
        await response.read()
        return response

    async def may(self, *scope: Right) -> "Api":
        """Another token."""
        return Api(self.site, await token_for(self.site, scope))


async def token_for(site: Site, scope: Collection[Right]) -> str:
    async with site.database.write() as session:
        _, token = await make_token(session, site.clock, name="测试", scope=scope, ends_at=None)
    return token


@pytest.fixture
async def api(site: Site) -> Api:
    """With every right."""
    return Api(site, await token_for(site, list(Right)))
