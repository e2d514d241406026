"""One writer, many askers: requests that come while a transaction runs share the next one.

A commit costs a disk write; a transaction a message would be the slowest part of sending. One writer task also means
that rows are locked in one order, so two commits can't deadlock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database

Request = TypeVar("Request")
Result = TypeVar("Result")


class GroupCommit(Generic[Request, Result]):
    """Takes requests one at a time, applies them in groups, answers each when its group is on the disk.

    Used as `async with GroupCommit(database, apply) as commits: result = await commits.submit(request)`.
    """

    def __init__(
        self,
        database: Database,
        apply: Callable[[AsyncSession, Sequence[Request]], Awaitable[Sequence[Result]]],
        *,
        most: int = 500,
    ) -> None:
        """Args: apply: writes a group in the given session; gives one result for each request, in their order."""
        self._database = database
        self._apply = apply
        self._most = most
        self._waiting: asyncio.Queue[tuple[Request, asyncio.Future[Result]]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "GroupCommit[Request, Result]":
        self._writer = asyncio.create_task(self._write_groups(), name="group-commit")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._waiting.join()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def submit(self, request: Request) -> Result:
        """Returns: the request's result, once it is committed. Raises: what `apply` or the commit raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._waiting.put((request, future))
        return await future

    async def _write_groups(self) -> None:
        while True:
            group = [await self._waiting.get()]
            while len(group) < self._most and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            try:
                async with self._database.write() as session:
                    results = await self._apply(session, [request for request, _ in group])
            except Exception as error:  # noqa: BLE001  # handed to everyone who asked
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), result in zip(group, results, strict=True):
                    if not future.done():
                        future.set_result(result)
            finally:
                for _ in group:
                    self._waiting.task_done()
