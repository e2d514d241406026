"""An operation and a call of it: what a resource declares, and what its function gets.

Callers: every resource; handling.py makes handlers of them, description.py their words.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import Bearer

#: Hex SHA-256 of a file that came in, set by whoever read it.
UPLOADED = web.RequestKey("uploaded", str)
#: Characters of an Idempotency-Key and of an If-Match.
LONGEST_HEADER = 200


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    Attributes:
        session: reads for a GET, else writes.
        path, query, body: as their models have checked them; None where an endpoint has none.
        change: what the audit log is told beside who did what to what; see `tell`.
    """

    request: web.Request
    session: AsyncSession
    bearer: Bearer
    path: Any = None
    query: Any = None
    body: Any = None
    change: dict[str, Any] = field(default_factory=dict)

    def tell(self, **change: Any) -> None:
        """For the audit log, what was decided: ids and choices as plain data, never an address or a person's name.

        The console's pages tell the same by the same names; log_words.py has words for them.
        """
        self.change.update(change)

    @property
    def origin(self) -> str:
        """What is kept as the origin of what this call does."""
        return f"API {self.bearer.name}"[:100]


@dataclass(frozen=True, slots=True)
class Created:
    """An answer with its own address. Attributes: location: below /api/v1."""

    answer: BaseModel
    location: str


Function = Callable[[Call], Awaitable[BaseModel | Created | AsyncIterator[bytes] | bytes | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation.

    Attributes:
        path: below /api/v1, with `{names}`.
        handle: the function; its docstring's first line is the operation's summary.
        answer: None: 204.
        status: of success.
        path_model, query, body: what checks them.
        faults: statuses of problems beside those that any operation can have.
        current: the function of the resource's GET, where `If-Match` guards this one.
        upload: the request's content is a file; the function reads it, and opens its own transactions.
        file: the answer is a file of this type, in pieces.
        whole: that file comes at once, with an ETag.
        leaves: people's data go out as a whole: the audit log says who has fetched them.
    """

    method: str
    path: str
    right: Right
    handle: Function
    answer: type[BaseModel] | None
    status: int = 200
    path_model: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    faults: frozenset[int] = field(default_factory=frozenset)
    current: Function | None = None
    upload: bool = False
    file: str = ""
    whole: bool = False
    leaves: bool = False

    @property
    def name(self) -> str:
        """The operation's id."""
        return f"{self.handle.__module__.rpartition('.')[2]}_{self.handle.__name__}"

    @property
    def reads(self) -> bool:
        """It changes nothing, though what it is asked may need a body."""
        return self.method == "GET" or self.right.value.endswith(".read")

    @property
    def summary(self) -> str:
        return (self.handle.__doc__ or "").strip().partition("\n")[0]
