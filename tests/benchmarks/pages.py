"""How long the console's pages take on a database as large as years make it: `make bench ARGS="--pages"`.

    python -m tests.benchmarks.pages --subscribers 500000 --deliveries 5000000 [--database sqlite|postgresql]

In: how many subscribers and deliveries. Out, for each database: every GET page of the console, asked of a real
`bdnews web` process over one connection by somebody who has signed in: the median and the 95th of a hundred in
milliseconds, and as a multiple of /live, asked in turn with it; the heaviest first. The first answer of each page is
told apart: it finds nothing in memory. What was made is deleted.
"""

import argparse
import asyncio
import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.benchmarks.crowd import Crowd, fill
from tests.benchmarks.service import SIGNING_KEY
from tests.ports import free_port
from tests.postgres import Server, execute

from bdnews_dispatch.accounts.passwords import hash_password
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, choose_password, make_link
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES

DATABASES = ("sqlite", "postgresql")
HEAVIEST = 10
#: A page that takes seconds is asked less often.
SECONDS_A_PAGE, LEAST = 12.0, 1
STARTED, START_SECONDS = "已启动", 60.0
EMAIL, PASSWORD = "admin@bench.example", "一句我自己记得住的、足够长的话"
#: Never ends while its dispatch runs.
STREAMS = {"/console/dispatches/{id}/events"}


def pages(crowd: Crowd) -> dict[str, str]:
    """Every page by a name, with its address."""
    people, deep = crowd.subscribers, crowd.subscribers * 9 // 10
    ids = {
        "/console/issues/{id}": crowd.issue,
        "/console/dispatches/{id}": crowd.newest,
        "/console/bulletins/{id}": crowd.draft,
        "/console/reports/{id}": crowd.finished,
        "/console/subscribers/{id}": people // 2,
        "/console/imports/{id}": crowd.import_run,
        "/console/webhooks/{id}": crowd.webhook,
        "/console/sources/{id}": crowd.feed,
    }
    found = {}
    for route in ROUTES:
        if route.method != "GET" or route.permission is not Permission.SESSION or route.path in STREAMS:
            continue
        room, _, rest = route.path.partition("/{id}")
        path = f"{room}/{ids.get(room + '/{id}', 1)}{rest}" if "/{id}" in route.path else route.path
        found[route.path] = path.replace("{section}", "policy").replace("{file}", "report.csv")
    issue = crowd.issue
    for path in ("/console/dispatches/new", "/console/dispatches/new/audience"):
        found[path] += f"?issue={issue}"
    one = "/console/subscribers?"
    found |= {
        "subscribers: by the front of an address": one + urlencode({"q": f"r{people // 3:06}"[:5]}),
        "subscribers: by a letter that all begin with": one + "q=r",
        "subscribers: by a whole address": one + urlencode({"q": f"r{people // 3:06}@qq.com"}),
        "subscribers: by the front of a name": one + "q=" + quote(f"读者{people // 3}"),
        "subscribers: nobody found": one + "q=zzz",
        "subscribers: by tag": one + "tag=" + quote("回访"),
        "subscribers: by a rare tag, deep": one + urlencode({"tag": "媒体", "after": deep}),
        "subscribers: by list": one + "list=" + quote("名单 7"),
        "subscribers: by list, deep": one + urlencode({"list": "名单 7", "after": deep}),
        "subscribers: deep": one + f"after={deep}",
        "subscribers: on WeChat": f"/console/subscribers/{people // 20 * 10}",
        "dispatches: a finished one": f"/console/dispatches/{crowd.finished}",
        "dispatches: a paused one": f"/console/dispatches/{crowd.paused}",
        **{
            f"deliveries: {state}": f"/console/dispatches/{crowd.newest}/deliveries?state={state}"
            for state in ("uncertain", "failed", "deferred", "sent", "delivered")
        },
        "deliveries: sent, of a finished one": f"/console/dispatches/{crowd.finished}/deliveries?state=sent",
        "deliveries: failed, of a finished one": f"/console/dispatches/{crowd.finished}/deliveries?state=failed",
        "audience: for a list": "/console/dispatches/new/audience?"
        + urlencode({"issue": issue, "list": "名单 7"}),
        "audience: for a segment": "/console/dispatches/new/audience?"
        + urlencode({"issue": issue, "segment": "政策读者"}),
        "suppressions: an address": "/console/suppressions?" + urlencode({"q": "r000017@qq.com"}),
        "suppressions: lifted": "/console/suppressions?lifted=1",
        "audit: deep": "/console/audit?after=5000",
        "preview: for a reader": f"/console/issues/{issue}/preview?subscriber={people // 2}",
    }
    return found


class Browser:
    """One connection, with the session's cookie."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._cookie = ""

    def sign_in(self) -> None:
        form = urlencode({"email": EMAIL, "password": PASSWORD})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/console/sign-in", form, kind)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def get(self, path: str) -> tuple[float, int]:
        """Returns: milliseconds until the last byte, and how many came. Raises: FileNotFoundError: not there."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"Cookie": self._cookie})
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status == http.HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(path)
        assert answer.status == 200, (path, answer.status, body[:500])
        return took, len(body)


def _ask(browser: Browser, path: str, times: int) -> dict[str, Any] | None:
    """Returns: None: there is no such page, because nobody has made its rows in crowd.py."""
    try:
        first, size = browser.get(path)
    except FileNotFoundError:
        return None
    found: list[float] = []
    trivial: list[float] = []
    began = time.monotonic()
    while len(found) < times and (len(found) < LEAST or time.monotonic() - began < SECONDS_A_PAGE):
        found.append(browser.get(path)[0])
        trivial.append(browser.get("/live")[0])
    found.sort()
    return {
        "first_ms": round(first, 1),
        "least_ms": round(found[0], 1),
        "median_ms": round(statistics.median(found), 2),
        "p95_ms": round(found[math.ceil(len(found) * 0.95) - 1], 1),
        "of_live": round(statistics.median(found) / statistics.median(trivial), 1),
        "asked": len(found),
        "kib": round(size / 1024),
    }


@contextmanager
def _web(folder: Path, url: str) -> Iterator[int]:
    """The real command. Yields: its port."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BDNEWS_")},
        "PYTHONUNBUFFERED": "1",
        "BDNEWS_SERVICE__DATA_FOLDER": str(folder),
        "BDNEWS_DATABASE__URL": url,
        "BDNEWS_SECURITY__SIGNING_KEYS": f'["{SIGNING_KEY}"]',
        "BDNEWS_WEB__PORT": str(port),
        "BDNEWS_WEB__BASE_URL": f"http://127.0.0.1:{port}",
        "BDNEWS_OPERATIONS__PORT": "0",
    }
    log = folder / "web.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bdnews_dispatch", "web"],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while STARTED not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(encoding="utf-8"))
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


async def _prepare(url: str, subscribers: int, deliveries: int) -> int:
    database = Database(url)
    await upgrade(database)
    made = await fill(database, system_clock(), subscribers, deliveries)
    async with database.write() as session:
        user = await add_user(session, system_clock, email=EMAIL, name="", role=Role.ADMIN)
        link = await make_link(session, system_clock, user)
        await choose_password(session, system_clock, link, hash_password(PASSWORD))
    await database.close()
    return made


def _measure(folder: Path, url: str, crowd: Crowd, times: int, only: str) -> dict[str, Any]:
    with _web(folder, url) as port:
        browser = Browser(port)
        browser.sign_in()
        trivial = _ask(browser, "/live", 10 * times)
        assert trivial is not None
        found, missing = {}, []
        for name, path in pages(crowd).items():
            if only in name:
                if (answer := _ask(browser, path, times)) is None:
                    missing.append(path)
                    continue
                found[name] = answer
                sys.stderr.write(f"{name} {found[name]}\n")
    slowest = sorted(found, key=lambda name: -found[name]["median_ms"])
    return {
        "live_ms": trivial["median_ms"],
        "heaviest": {name: found[name] for name in slowest[:HEAVIEST]},
        "not_there": missing,
        "over_100_ms": sum(1 for one in found.values() if one["median_ms"] > 100),
        "pages": {name: found[name] for name in slowest},
    }


def measure(
    subscribers: int, deliveries: int, times: int, databases: tuple[str, ...], only: str = ""
) -> dict[str, Any]:
    """All of it, on one database after the other."""
    told: dict[str, Any] = {}
    for kind in databases:
        with tempfile.TemporaryDirectory(prefix="bdnews-pages-") as name, _database(kind, Path(name)) as url:
            began = time.monotonic()
            made = asyncio.run(_prepare(url, subscribers, deliveries))
            filled = round(time.monotonic() - began)
            sys.stderr.write(f"{kind}: filled in {filled} s\n")
            told[kind] = {
                "filled_seconds": filled,
                **_measure(Path(name), url, Crowd(subscribers), times, only),
            }
            told["deliveries"] = made
    return told


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    """Yields: the address of an empty one."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bdnews.db'}"
        return
    server = Server(shared_buffers="1GB", max_wal_size="8GB", checkpoint_timeout="30min")
    try:
        execute(server.url.render_as_string(hide_password=False), "CREATE DATABASE pages")
        yield server.url.set(database="pages").render_as_string(hide_password=False)
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=20_000)
    parser.add_argument("--deliveries", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=30, help="how often each page is asked")
    parser.add_argument("--database", choices=DATABASES, help="one of them alone")
    parser.add_argument(
        "--url", default="", help="a database of this size that was filled before, and is kept"
    )
    parser.add_argument("--fill", action="store_true", help="fill the one that --url names, and ask nothing")
    parser.add_argument("--only", default="", help="pages with this in their names")
    given = parser.parse_args()
    if given.fill:
        asyncio.run(_prepare(given.url, given.subscribers, given.deliveries))
        return
    if given.url:
        with tempfile.TemporaryDirectory(prefix="bdnews-pages-") as name:
            crowd = Crowd(given.subscribers)
            told = _measure(Path(name), given.url, crowd, given.times, given.only)
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
        return
    databases = (given.database,) if given.database else DATABASES
    result = measure(given.subscribers, given.deliveries, given.times, databases, given.only)
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
