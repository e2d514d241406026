"""A client that a program makes of the description works against the real server."""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.web.api.conftest import Api

from bdnews_dispatch.web.api.description import openapi

#: The client knows no database.
pytestmark = pytest.mark.database("sqlite")

NAME = "bdnews_generated_client"


@pytest.fixture
async def client(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client's module, and one with a token."""
    (tmp_path / "openapi.json").write_text(json.dumps(openapi()), encoding="utf-8")
    (tmp_path / "config.yml").write_text(f"package_name_override: {NAME}\npost_hooks: []\n")
    command = [
        *(sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json"),
        *("--meta", "none", "--output-path", NAME, "--config", "config.yml", "--fail-on-warning"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module(NAME)
    url = str(api.site.client.make_url("/")).rstrip("/")
    async with made.AuthenticatedClient(base_url=url, token=api.token) as client:
        yield client
    for module in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[module]


def part(path: str) -> Any:
    return importlib.import_module(f"{NAME}.{path}")


async def test_it_adds_finds_and_is_told_what_is_wrong(client: Any) -> None:
    models = part("models")
    create = part("api.subscribers.subscribers_create")
    new = models.NewSubscriber(email="he@readers.example", sections=["policy"])
    made = await create.asyncio(client=client, body=new)
    assert (made.email, made.agreements[0].sections) == ("he@readers.example", ["policy"])
    page = await part("api.subscribers.subscribers_index").asyncio(client=client, limit=10)
    assert [one.id for one in page.items] == [made.id]
    problem = await create.asyncio(client=client, body=models.NewSubscriber(email="nonsense"))
    assert (problem.status, problem.code) == (422, "email.invalid")
    shown = await part("api.subscribers.subscribers_show").asyncio_detailed(made.id, client=client)
    assert (shown.status_code, shown.parsed.id) == (200, made.id)
