"""One writer, many askers: requests that come while a transaction runs share the next one.

A commit costs a disk write; a transaction a message would be the slowest part of sending. One writer task also means
that rows are locked in one order, so two commits can't deadlock. Caller: hits (the ledger has its own).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, Self, TypeVar

Transaction = TypeVar("Transaction")
Request = TypeVar("Request")
Result = TypeVar("Result")


class GroupCommit(Generic[Transaction, Request, Result]):
    """Takes requests one at a time, applies them in groups, answers each when its group is on the disk.

    Used as `async with GroupCommit(database.write, apply) as commits: result = await commits.submit(request)`.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Transaction]],
        apply: Callable[[Transaction, Sequence[Request]], Awaitable[Sequence[Result]]],
        *,
        most: int = 500,
    ) -> None:
        """Args:
        begin: opens a writing transaction: `database.write`.
        apply: writes a group through it; gives one result for each request, in their order.
        """
        self._begin = begin
        self._apply = apply
        self._most = most
        self._waiting: asyncio.Queue[tuple[Request, asyncio.Future[Result]]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
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
                async with self._begin() as transaction:
                    results = await self._apply(transaction, [request for request, _ in group])
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
