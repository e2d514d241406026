"""The pages' site, and somebody who has signed in."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from tests.integration.accounts.conftest import _cheap_hashes
from tests.integration.web.conftest import clock, sent, site
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link
from bdnews_dispatch.web.console.desk import DOORS

__all__ = ["_cheap_hashes", "clock", "sent", "site"]
PASSWORD = "一句我自己记得住的、足够长的话"


@dataclass
class Desk:
    """A browser at the console."""

    site: Site
    client: TestClient[Any, Any]
    email: str

    async def get(self, path: str, **options: Any) -> ClientResponse:
        response = await self.client.get(path, allow_redirects=False, **options)
        await response.read()
        return response

    async def page(self, path: str) -> str:
        response = await self.get(path)
        assert response.status == 200, (path, response.status)
        return await response.text()

    async def csrf(self) -> str:
        """Out of a page, as a browser has it."""
        found = re.search(r'name="csrf" value="([^"]+)"', await self.page("/console/dispatches"))
        assert found is not None
        return found[1]

    async def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> ClientResponse:
        """A form of the page's."""
        form = {"csrf": await self.csrf(), **(data or {})}
        response = await self.client.post(path, data=form, allow_redirects=False, **options)
        await response.read()
        return response

    async def done(self, path: str, data: dict[str, Any] | None = None) -> str:
        """A form, and the page that it leads back to."""
        response = await self.post(path, data)
        assert response.status == 303, (path, response.status, await response.text())
        return await self.page(response.headers["Location"])


_CLIENTS: list[TestClient[Any, Any]] = []


@pytest.fixture(autouse=True)
async def _closing() -> AsyncIterator[None]:
    """Everybody's browser."""
    yield
    while _CLIENTS:
        await _CLIENTS.pop().session.close()


async def somebody(site: Site, role: Role) -> Desk:
    """Somebody new, by their link and the sign-in page."""
    email = f"{role}@example.cn"
    async with site.database.write() as session:
        user = await add_user(session, site.clock, email=email, name="", role=role)
        link = await make_link(session, site.clock, user)
    client: TestClient[Any, Any] = TestClient(site.client.server)
    _CLIENTS.append(client)
    desk = Desk(site, client, email)
    form = {"password": PASSWORD, "again": PASSWORD}
    chosen = await client.post(f"/console/password/{link}", data=form, allow_redirects=False)
    assert chosen.status == 303
    entered = await client.post(
        "/console/sign-in", data={"email": email, "password": PASSWORD}, allow_redirects=False
    )
    assert entered.status == 303, await entered.text()
    assert urlsplit(entered.headers["Location"]).path == DOORS[0].path
    return desk


@pytest.fixture
async def desk(site: Site) -> Desk:
    """An admin's."""
    return await somebody(site, Role.ADMIN)
