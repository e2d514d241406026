"""What tests make: issues, subscribers, a clock that is moved by hand, a service against the sandbox."""

import datetime as dt
import io
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.card_forecast import CardAccounts
from bdnews_dispatch.dispatch.control import show
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.starting import issue_dispatch, start_issue
from bdnews_dispatch.dispatch.worker import Worker
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section
from bdnews_dispatch.issues.intake import Taken, take
from bdnews_dispatch.issues.publications import Publication, load_publications
from bdnews_dispatch.links import Signer, SigningKey
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.sandbox import KeptMail, Sandbox
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.service.sandbox import at_sandbox, open_sandbox
from bdnews_dispatch.service.worker import open_worker
from bdnews_dispatch.settings import ImportsSettings, Settings, load_settings
from bdnews_dispatch.subscribers.imports.models import ImportMode
from bdnews_dispatch.subscribers.imports.receiving import receive
from bdnews_dispatch.subscribers.imports.result import refused_rows
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.imports.starting import Choices, begin, choose, find_run, told
from bdnews_dispatch.subscribers.targeting import Target, read_target

#: Faults at the full size of docs/faults.md, not at the one that fits into every run.
FULL = bool(os.environ.get("BDNEWS_TEST_FULL"))
START = dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC)
DSJ = load_publications().named("dsj")
SECTIONS = DSJ.section_keys
#: Every set of sections that a reader may choose: 31.
SETS = [chosen for size in range(1, 6) for chosen in itertools.combinations(SECTIONS, size)]


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += dt.timedelta(**by)


def document(
    total: int = 112, sections: Iterable[str] = SECTIONS, *, articles: int = 2, mark: str = ""
) -> IssueDocument:
    """An issue with so many articles in each section; `mark` changes what it says."""
    return IssueDocument(
        publication="dsj",
        number=total % 24 + 1,
        total_number=total,
        date=dt.date(2026, 11, 20),
        title="大数据发展动态",
        sections=tuple(
            Section(
                key=key,
                name=DSJ.section(key).name,  # type: ignore[union-attr]
                articles=tuple(
                    Article(
                        title=f"{key}-{number}{mark} 的题目",
                        page=number,
                        editor_note="编者按的一句话。",
                        source="样刊编辑部",
                        body=(Block(type=BlockType.PARAGRAPH, text="第一句话。第二句话。", line=1),),
                        line=1,
                    )
                    for number in range(1, articles + 1)
                ),
            )
            for key in sections
        ),
    )


def readers(number: int, *, channel: str = "email", cadence: str = "issue", start: int = 1) -> bytes:
    """A CSV of readers with all sets of sections in turn."""
    file = io.StringIO()
    file.write("email,name,openid,sections,channel,cadence\n")
    for n in range(start, start + number):
        openid = "" if channel == "email" else f"oReader{n:021d}"
        chosen = "|".join(SETS[n % len(SETS)])
        file.write(f"reader{n}@readers.example,读者{n},{openid},{chosen},{channel},{cadence}\n")
    return file.getvalue().encode()


#: Signs nothing that leaves a test.
SIGNER = Signer([SigningKey("test", b"only-for-tests-and-long-enough-for-a-key")])


@dataclass
class Imported:
    """What an import did. `errors`: each problem of each refused row; `notes`: what else was told, by row."""

    told: dict[str, Any]
    errors: list[tuple[int, str, str, str]]
    notes: list[tuple[int, str]]

    def __getattr__(self, name: str) -> Any:
        """`rows`, `added`, `changed`, `unchanged`, `refused`, `id`, `unknown_columns`."""
        return self.told[name]

    @property
    def codes(self) -> list[tuple[int, str]]:
        return [(row, code) for row, _, code, _ in self.errors]


async def import_file(
    database: Database,
    clock: Clock,
    publication: Publication,
    path: Path,
    *,
    mode: ImportMode = ImportMode.UPDATE,
    list_name: str | None = None,
    columns: Mapping[str, str] | None = None,
    file_name: str = "名单.csv",
    limits: ImportsSettings | None = None,
    signer: Signer = SIGNER,
) -> Imported:
    """Import a file as the command does, in this process."""
    limits = limits or ImportsSettings(max_bytes=64 * 1024 * 1024, max_rows=1_000_000, keep_days=30)
    run_id = await receive(database, clock, limits, publication, path, file_name=file_name, origin="test")
    choices = Choices(mode, columns or {}, list_name or "", "会场登记，同意接收")
    async with database.write() as session:
        await choose(session, run_id, choices)
        await begin(session, clock, run_id)
    importer = Importer(database, clock, load_publications(), signer)
    while await importer.run_slice(run_id):
        pass
    async with database.read() as session:
        shown = told(await find_run(session, run_id))
        refused = [row async for row in refused_rows(session, run_id)]
    return Imported(
        shown,
        [(row.number, *problem) for row in refused for problem in row.problems],
        [
            (first["row"], kind["code"])
            for kind in shown["kinds"]
            if not kind["refused"]
            for first in kind["first"]
        ],
    )


async def import_csv(
    database: Database,
    clock: Clock,
    publication: Publication,
    data: bytes,
    *,
    list_name: str | None = None,
    origin_name: str = "test.csv",
    **more: Any,
) -> Imported:
    """Import bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return await import_file(
            database, clock, publication, path, list_name=list_name, file_name=origin_name, **more
        )


#: The rows of a station that has SQLite.
DATABASE_FILE = "bdnews.db"


def database_url(folder: Path) -> str:
    """Where a station of this folder has its rows; the fixture `backend` puts another one in its place."""
    return f"sqlite:///{folder / DATABASE_FILE}"


def test_settings(folder: Path, **overrides: dict[str, Any]) -> Settings:
    """Settings with everything under the folder and every port chosen freely."""
    base: dict[str, dict[str, Any]] = {
        "service": {"data_folder": str(folder)},
        "database": {"url": database_url(folder)},
        "issues": {"folder": str(folder / "issues"), "settle_seconds": 0.05},
        "sandbox": {"smtp_port": 0, "http_port": 0},
        "web": {"port": 0, "base_url": "http://news.example"},
        "operations": {"port": 0},
        "delivery": {"retry_first_seconds": 0.1},
    }
    if base["database"]["url"].startswith("postgresql"):  # many machines sign with the same key
        base["security"] = {"signing_keys": ["test:only-for-tests-and-long-enough-for-a-key"]}
    for group, values in overrides.items():
        base.setdefault(group, {}).update(values)
    return load_settings({}, overrides=base)


test_settings.__test__ = False  # type: ignore[attr-defined]  # not a test, in spite of its name


@dataclass
class Station:
    """The parts of a service beside a sandbox, without web pages; workers run when a test asks."""

    parts: Parts
    sandbox: Sandbox

    @property
    def accounts(self) -> CardAccounts:
        settings = self.parts.settings
        return CardAccounts(self.parts.reach, settings.wechat, with_sandbox_account(settings).wechat)

    async def forecast(self, taken: Taken) -> dict[str, Any]:
        """What its dispatch would do."""
        parts = self.parts
        planner = Planner(parts.database, parts.clock, parts.publications, parts.links)
        async with parts.database.read() as session:
            dispatch = issue_dispatch(parts.clock, taken.issue, Target())
            return (await planner.forecast(session, dispatch, self.accounts)).as_json()

    async def people(self, csv: bytes, *, list_name: str | None = None) -> None:
        await import_csv(
            self.parts.database, self.parts.clock, DSJ, csv, list_name=list_name, origin_name="test.csv"
        )

    async def publish(self, what: IssueDocument | None = None) -> Taken:
        async with self.parts.database.write() as session:
            return await take(
                session,
                self.parts.clock,
                what or document(),
                source_name="t.md",
                source=b"",
                publish_now=True,
            )

    async def start(self, taken: Taken, *, at: dt.datetime | None = None, **names: Sequence[str]) -> int:
        """Args: names: of lists and segments, as `read_target` has them."""
        async with self.parts.database.write() as session:
            target = await read_target(session, **names)
            started = await start_issue(session, self.parts.clock, taken.issue, target=target, at=at)
            assert started.dispatch.id is not None
            return started.dispatch.id

    @asynccontextmanager
    async def worker(self, **changes: dict[str, Any]) -> AsyncIterator[Worker]:
        """A worker that is running. Args: changes: of settings, by group."""
        import asyncio  # noqa: PLC0415
        from dataclasses import replace  # noqa: PLC0415

        settings = self.parts.settings.model_copy(
            update={
                group: getattr(self.parts.settings, group).model_copy(update=values)
                for group, values in changes.items()
            }
        )
        async with open_worker(replace(self.parts, settings=settings)) as worker:
            running = asyncio.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.stop()
                await running

    async def until(self, dispatch_id: int, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the dispatch is in one of the states; finished by default."""
        import asyncio  # noqa: PLC0415

        async with asyncio.timeout(seconds):
            while True:
                try:
                    shown = await self.show(dispatch_id)
                except NotFoundError:
                    shown = {"state": "not started"}
                if shown["state"] in (states or ("finished",)):
                    return shown
                await asyncio.sleep(0.05)

    async def show(self, dispatch_id: int) -> dict[str, Any]:
        async with self.parts.database.read() as session:
            return await show(session, dispatch_id)

    async def show_state(self, dispatch_id: int) -> str:
        """Only its state: counting a ledger takes time of its own."""
        async with self.parts.database.read() as session:
            return str((await session.exec(select(Dispatch.state).where(Dispatch.id == dispatch_id))).one())

    async def deliveries(self, dispatch_id: int) -> list[Delivery]:
        async with self.parts.database.read() as session:
            rows = await session.exec(
                select(Delivery).where(Delivery.dispatch_id == dispatch_id).order_by(col(Delivery.id))
            )
            return list(rows)

    def received(self) -> list[str]:
        """To whom mail came, once for each mail."""
        return sorted(mail.recipients[0] for mail in self.sandbox.mails())


@asynccontextmanager
async def open_station(
    folder: Path, clock: Clock = system_clock, **overrides: dict[str, Any]
) -> AsyncIterator[Station]:
    """A station in the folder; a second one in the same folder finds what the first one left."""
    settings = test_settings(folder, **overrides)
    async with (
        open_sandbox(settings, clock) as sandbox,
        open_parts(at_sandbox(settings, sandbox), clock) as parts,
    ):
        yield Station(parts, sandbox)


def read_mail(mail: KeptMail) -> EmailMessage:
    """The mail as Python's own parser reads it."""
    message = message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    """The text or html part."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())
