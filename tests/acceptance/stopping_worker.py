"""A worker that stops dead at a named point: `python -m tests.acceptance.stopping_worker POINT TIME`.

It is the real `bdnews worker`; the TIME-th time that it comes to the point, the whole process stands still, and says so
by a file POINT in its folder. Then somebody kills it.

    claim   a batch is claimed, nothing of it has begun
    body    a message is out but for its dot; the gate has not been asked
    gate    the gate is open and on disk; the dot has not been sent
    dot     the dot is out; the relay has not answered
    250     the relay has answered; nobody has recorded it
    commit  an outcome is written, and its transaction not yet committed
"""

import asyncio
import itertools
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bdnews_dispatch.channels.email.pipelining import PipelinedLine
from bdnews_dispatch.cli import main
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_sqlite import SqliteLedgerStore
from bdnews_dispatch.dispatch.ledger_store import Group

POINTS = ("claim", "body", "gate", "dot", "250", "commit")


def stand_still(point: str) -> None:
    Path(point).touch()
    time.sleep(600)  # the loop with it: no lease is renewed, no other lane goes on


def stopping_at(point: str, when: int) -> None:
    """Put the stop into the code."""
    passed = itertools.count(1)

    def here() -> None:
        if next(passed) == when:
            stand_still(point)

    def after(owner: Any, name: str, came: Callable[[Any], bool] = bool) -> None:
        call = getattr(owner, name)

        async def and_stop(*values: Any, **named: Any) -> Any:
            result = await call(*values, **named)
            if came(result):
                here()
            return result

        setattr(owner, name, and_stop)

    match point:
        case "claim":
            after(Ledger, "claim", lambda result: bool(result[0]))
        case "body":
            after(PipelinedLine, "offer", lambda outcome: outcome is None)
        case "gate":
            after(Ledger, "gate")
        case "250":
            after(PipelinedLine, "finish")
        case "dot":
            finish = PipelinedLine.finish

            async def finish_and_stop(*values: Any, **named: Any) -> Any:
                answer = asyncio.create_task(finish(*values, **named))
                await asyncio.sleep(0.01)  # the relay answers much later
                here()
                return await answer

            PipelinedLine.finish = finish_and_stop  # type: ignore[method-assign]
        case "commit":
            write = SqliteLedgerStore._write

            def write_and_stop(store: SqliteLedgerStore, cursor: sqlite3.Cursor, group: Group) -> list[bool]:
                result = write(store, cursor, group)
                if group.accepted:
                    here()
                return result

            setattr(SqliteLedgerStore, "_write", write_and_stop)  # noqa: B010  # a method takes no assignment


if __name__ == "__main__":
    stopping_at(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:] = ["worker"]
    main()
