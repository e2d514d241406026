"""The watched folder: a file is taken when it has stopped growing, and is never lost.

In: files under `issues.folder`. Out: issues by intake; the file itself goes to `accepted/`, or to `rejected/` with a
report beside it. Callers: scheduling (its tick, for network folders) and service/ (watchfiles, for quickness).
"""

import asyncio
import hashlib
import json
import logging
import stat
from dataclasses import dataclass
from pathlib import Path

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.intake import Taken, take
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import Publications

logger = logging.getLogger(__name__)

ACCEPTED = "accepted"
REJECTED = "rejected"
#: What editors and copy programs leave while they write, and what systems leave about.
_IGNORED_SUFFIXES = (".part", ".tmp", ".crdownload", ".swp", "~")


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    modified_ns: int
    inode: int


class WatchedFolder:
    """Takes issue files out of a folder."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publications: Publications,
        *,
        folder: Path,
        review: bool,
        settle_seconds: float,
        max_bytes: int,
    ) -> None:
        self.folder = folder
        self._database = database
        self._clock = clock
        self._publications = publications
        self._review = review
        self._settle_ns = int(settle_seconds * 1e9)
        self._max_bytes = max_bytes
        self._seen: dict[Path, tuple[_Look, int]] = {}
        self._one_at_a_time = asyncio.Lock()

    def prepare(self) -> None:
        """Make the folders."""
        for path in (self.folder, self.folder / ACCEPTED, self.folder / REJECTED):
            path.mkdir(parents=True, exist_ok=True)

    async def scan(self) -> int:
        """Look once: take every file that has stood still long enough.

        Returns:
            How many files are still settling; look again soon if there are any.
        """
        async with self._one_at_a_time:
            settling = 0
            self.prepare()  # somebody may have taken the folder away
            present = await asyncio.to_thread(self._candidates)
            self._seen = {path: self._seen[path] for path in present if path in self._seen}
            now_ns = int(self._clock().timestamp() * 1e9)
            for path, look in present.items():
                before = self._seen.get(path)
                if before is None or before[0] != look:
                    self._seen[path] = (look, now_ns)
                    before = self._seen[path]
                if now_ns - before[1] < self._settle_ns:
                    settling += 1
                    continue
                del self._seen[path]
                await self._take(path)
            return settling

    def _candidates(self) -> dict[Path, _Look]:
        found = {}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith(".") or path.name.endswith(_IGNORED_SUFFIXES):
                continue
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):  # a symlink may point anywhere: left alone
                found[path] = _Look(status.st_size, status.st_mtime_ns, status.st_ino)
        return found

    async def _take(self, path: Path) -> None:
        try:
            data = await asyncio.to_thread(_read, path, self._max_bytes)
            taken = await self._store(path, data)
        except IssueError as error:
            await asyncio.to_thread(self._set_aside, path, error)
            logger.warning(
                "issue.rejected", extra={"file": path.name, "code": error.code, "line": error.line}
            )
            return
        except OSError as error:
            logger.warning("issue.unreadable", extra={"file": path.name, "error": error.strerror})
            return
        await asyncio.to_thread(_move, path, self.folder / ACCEPTED, data)
        logger.info(
            "issue.taken",
            extra={"file": path.name, "intake": taken.intake, "issue": taken.issue.total_number},
        )

    async def _store(self, path: Path, data: bytes) -> Taken:
        found = await asyncio.to_thread(
            parse_detected, data, self._publications, None, max_bytes=self._max_bytes
        )
        async with self._database.write() as session:
            return await take(
                session,
                self._clock,
                found.document,
                source_name=path.name,
                source=data,
                publish_now=not self._review,
                pictures=found.pictures.values(),
            )

    def _set_aside(self, path: Path, error: IssueError) -> None:
        moved = _move(path, self.folder / REJECTED, None)
        report = {
            "file": path.name,
            "at": self._clock().isoformat(),
            "code": error.code,
            "line": error.line,
            "message": error.message,
            "hint": error.hint or "请按提示改好后，再把文件放回上一层文件夹。",
        }
        moved.with_name(moved.name + ".report.json").write_text(
            json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )


def _read(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise IssueError(
            f"文件超过 {max_bytes // 1024 // 1024} MB 的上限",
            code="issue.too_large",
            line=data.count(b"\n") + 1,
            hint="设置 issues.max_bytes 可以调高上限。",
        )
    return data


def _move(path: Path, folder: Path, data: bytes | None) -> Path:
    """Move the file; one of the same name that is there already keeps its place."""
    target = folder / path.name
    if target.exists():
        mark = hashlib.sha256(
            data if data is not None else str(path.stat().st_mtime_ns).encode()
        ).hexdigest()[:8]
        target = folder / f"{path.stem}.{mark}{path.suffix}"
    Path(path).replace(target)
    return target
