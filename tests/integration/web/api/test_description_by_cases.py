"""Cases made of the description, sent over HTTP, each answer held to it: no 5xx, nothing that is not described.

BDNEWS_TEST_FULL=1: the edges of every parameter, and 2,000 cases an operation.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.web.api.conftest import token_for
from tests.integration.web.readers_site import RunningClock, Site, open_site
from tests.making import FULL

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.web.api.description import openapi

#: It refuses more: NUL, numbers beyond its types.
pytestmark = pytest.mark.database("postgresql")

CASES = 2_000 if FULL else 3
#: In full it takes hours: resource by resource, each of which can be asked for by its name (-k "[subscribers").
RESOURCES = sorted({path.split("/")[3] for path in openapi()["paths"]}) if FULL else [""]


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(
        database, RunningClock(), tmp_path, web={"api_requests_a_minute": 10_000_000}
    ) as site:
        yield site


@pytest.mark.parametrize("resource", RESOURCES)
async def test_every_answer_is_described(site: Site, tmp_path: Path, resource: str) -> None:
    await site.send(await site.publish())
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(openapi()), encoding="utf-8")
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(description),
            "--url",
            str(site.client.make_url("/")),
        ),
        *("--header", f"Authorization: Bearer {await token_for(site, list(Right))}"),
        *("--max-examples", str(CASES), "--checks", "all", "--seed", "20261124", "--no-color"),
        # A rule may be narrower than a schema can say: an address, a section, a rule of a segment.
        *("--exclude-checks", "positive_data_acceptance"),
        *(("--include-path-regex", f"^/api/v1/{resource}(/|$)") if resource else ()),
        *(
            "--phases",
            "coverage,fuzzing" if FULL else "fuzzing",
            "--suppress-health-check",
            "all",
        ),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
