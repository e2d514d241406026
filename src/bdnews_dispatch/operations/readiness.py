"""Readiness: can this process do its work now, and what to do where it can't.

In: settings, the database, the worker if there is one. Out: checks in words. Callers: `/ready`, `/metrics`. None of
them names an address, a secret or a path.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import current_revision, newest_revision
from bdnews_dispatch.dispatch.worker import LOOK_SECONDS, Worker
from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.telemetry import metrics

#: An answer stands for so long, so that nobody keeps the disk and the database busy by asking.
ANSWER_SECONDS = 2.0
#: For one check.
PATIENCE_SECONDS = 5.0
#: Below this the next large dispatch would stop half-way: a million deliveries write some 600 MB.
LOWEST_FREE_BYTES = 256 * 1024**2
#: A worker that has not looked at its rows for so long is stuck; it looks twice a second.
LONGEST_LOOK_SECONDS = 60 * LOOK_SECONDS


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be right. `what_to_do` is empty where it is."""

    check: str
    ok: bool
    message: str
    what_to_do: str = ""


class Readiness:
    """Whether one process is ready.

    Attributes:
        worker: set it once the worker runs.
    """

    def __init__(self, settings: Settings, database: Database, *, works: bool = False) -> None:
        """Args: works: this process has a worker, and is not ready without it."""
        self._folder = settings.service.data_folder
        self._database = database
        self._works = works
        self.worker: Worker | None = None
        self._one_at_a_time = asyncio.Lock()
        self._answer: Sequence[Check] = ()
        self._answered_at = float("-inf")

    async def look(self) -> Sequence[Check]:
        """Every check, at most two seconds old. Ready: all are `ok`."""
        async with self._one_at_a_time:
            if time.monotonic() - self._answered_at >= ANSWER_SECONDS:
                self._answer = [check async for check in self._checks()]
                self._answered_at = time.monotonic()
            return self._answer

    async def _checks(self) -> AsyncIterator[Check]:
        yield await _in_time("database", self._check_database, Phrase("请查看数据库是否在运行、能否连上。"))
        yield await _in_time("disk", self._check_disk, Phrase("请查看数据目录所在的磁盘。"))
        if self._works:
            yield await _in_time(
                "queue", self._check_queue, Phrase("请查看日志；若持续如此，请重新启动 worker。")
            )
            yield self._check_ledger()
            yield self._check_channels()

    async def _check_database(self) -> Check:
        revision, newest = await current_revision(self._database), newest_revision()
        if (
            revision is None or revision < newest
        ):  # a newer one serves this version as well: db.migrate.upgrade
            return Check(
                "database",
                ok=False,
                message=Phrase(
                    "数据库结构为 %(revision)s，应为 %(newest)s",
                    revision=revision or Phrase("空"),
                    newest=newest,
                ),
                what_to_do="请用新版程序启动一次，它会升级。",
            )
        return Check("database", ok=True, message=Phrase("可用，结构 %(revision)s", revision=revision))

    async def _check_disk(self) -> Check:
        # Where the database is a server and the keys are settings, nobody needs the folder, and it may not be there.
        folder = next(place for place in (self._folder, *self._folder.absolute().parents) if place.exists())
        usage = await asyncio.to_thread(shutil.disk_usage, folder)
        metrics.disk(usage.free, usage.total)
        message = Phrase(
            "数据目录所在磁盘剩余 %(free)s GB，共 %(total)s GB",
            free=f"{usage.free / 1024**3:.1f}",
            total=f"{usage.total / 1024**3:.1f}",
        )
        if usage.free < LOWEST_FREE_BYTES:
            return Check(
                "disk", ok=False, message=message, what_to_do="请腾出空间；腾出后自动继续，什么都不会丢。"
            )
        if folder == self._folder:
            await asyncio.to_thread(self._write_a_file)
        return Check("disk", ok=True, message=message)

    def _write_a_file(self) -> None:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(b"0")

    async def _check_queue(self) -> Check:
        worker = self.worker
        if worker is None:
            return Check("queue", ok=False, message="正在启动", what_to_do="请稍候。")
        waiting = await worker.jobs_waiting()
        ago = time.monotonic() - worker.looked_at
        if worker.looked_at == 0 or ago > LONGEST_LOOK_SECONDS:
            return Check(
                "queue",
                ok=False,
                message=Phrase("尚未查看过待办")
                if worker.looked_at == 0
                else Phrase("已有 %(seconds)s 秒没有查看待办", seconds=round(ago)),
                what_to_do="请查看日志中的 worker.look_failed；若持续如此，请重新启动 worker。",
            )
        return Check("queue", ok=True, message=Phrase("%(number)s 件待办", number=sum(waiting.values())))

    def _check_ledger(self) -> Check:
        """Reading may go on where writing does not: a full disk, a quota, a lock that somebody holds."""
        error = self.worker.unwritable if self.worker else None
        if error is None:
            return Check("ledger", ok=True, message="可以写入")
        # The first line alone: behind it a database may quote what was to be written.
        return Check("ledger", ok=False, message=error.message.partition("\n")[0], what_to_do=error.hint)

    def _check_channels(self) -> Check:
        broken = [way for way, is_open in (self.worker.breakers() if self.worker else {}).items() if is_open]
        if broken:
            return Check(
                "channels",
                ok=False,
                message=Phrase("暂不可用：%(ways)s", ways=broken),
                what_to_do=Phrase(
                    "请在“设置 › 邮件”或“设置 › 公众号”里测试，或运行 bdnews doctor；"
                    "修好后自动继续，什么都不会丢。"
                ),
            )
        return Check("channels", ok=True, message="各通道可用")


async def _in_time(name: str, check: Callable[[], Awaitable[Check]], what_to_do: str) -> Check:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await check()
    except TimeoutError:
        return Check(
            name,
            ok=False,
            message=Phrase("%(seconds)s 秒内没有答复", seconds=round(PATIENCE_SECONDS)),
            what_to_do=what_to_do,
        )
    except (SQLAlchemyError, OSError, BdnewsError) as error:
        # The class alone: an error's words may hold a connection string.
        return Check(
            name,
            ok=False,
            message=Phrase("不可用（%(kind)s）", kind=type(error).__name__),
            what_to_do=what_to_do,
        )
