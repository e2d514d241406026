"""From a request to a resource's function and back: read, checked, in one transaction, written.

In: an `Endpoint` and a request that access.py has let in. Out: JSON with an ETag. What reads, reads; all else writes in
one transaction, in which the condition (`If-Match`), the change and the answer that is given once (`Idempotency-Key`)
stand or fall together.
"""

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from aiohttp import web
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.audit import record
from bdnews_dispatch.accounts.models import OnceAnswered
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import Bearer
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.web.api.bearers import BEARER
from bdnews_dispatch.web.api.problems import ApiError, Detail, details_of
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.keys import CLOCK, DATABASE, WAKE

#: Entity tags (RFC 9110 §8.8.3), or all of them.
TAGS = r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Item = TypeVar("Item")
#: Of a page.
MOST_ITEMS = 200
#: How long an answer is given again.
_KEPT = timedelta(days=1)
_LONGEST_KEY = 200
_HIGHEST_ID = 2**31 - 1


def _plain(text: str) -> str:
    if any(
        unicodedata.category(character) in {"Cc", "Cs"} and character not in "\r\n\t" for character in text
    ):
        raise ValueError("不能有控制字符")
    return text


#: Text that a person wrote: no control characters, which no database and no mail takes.
Text = Annotated[str, AfterValidator(_plain)]
Id = Annotated[int, Field(ge=1, le=_HIGHEST_ID)]
#: Of a table that may have more rows than 32 bits count.
HIGHEST_LONG = 2**63 - 1
LongId = Annotated[int, Field(ge=1, le=HIGHEST_LONG)]
#: Hex SHA-256 of a file that came in, set by whoever read it.
UPLOADED = web.RequestKey("uploaded", str)


def _near(moment: datetime) -> datetime:
    """In our time: neither database takes a year 0, and neither do people."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"年份应在 {_FIRST_YEAR} 与 {_LAST_YEAR} 之间")
    return moment


_FIRST_YEAR, _LAST_YEAR = 2000, 2100


def _written_day(day: object) -> object:
    """A number would count as seconds since 1970."""
    if isinstance(day, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        raise ValueError("应为日期，如 2026-12-01")
    return day


Day = Annotated[date, BeforeValidator(_written_day)]
Moment = Annotated[AwareDatetime, AfterValidator(_near)]


class Body(BaseModel):
    """What a request holds; what is not known is refused by name, and a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(BaseModel):
    """What an address holds, in its path or behind the question mark: all of it text, read as its field says."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What an answer holds.

    Attributes:
        COUNTED: fields that change by themselves: they are no part of what `If-Match` compares.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)
    COUNTED: ClassVar[frozenset[str]] = frozenset()


class Numbered(Asked):
    """A path with a number."""

    id: Id


class Page(Answer, Generic[Item]):
    """Some of many."""

    items: list[Item]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class PageQuery(Asked):
    """Which page."""

    cursor: Text = Field(
        default="", max_length=200, description="`next` of the page before; empty: the first."
    )
    limit: int = Field(default=50, ge=1, le=MOST_ITEMS)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    Attributes:
        session: reads for a GET, else writes.
        path, query, body: as their models have checked them; None where an endpoint has none.
    """

    request: web.Request
    session: AsyncSession
    bearer: Bearer
    path: Any = None
    query: Any = None
    body: Any = None

    @property
    def origin(self) -> str:
        """What is kept as the origin of what this call does."""
        return f"API {self.bearer.name}"[:100]


@dataclass(frozen=True, slots=True)
class Created:
    """An answer with its own address. Attributes: location: below /api/v1."""

    answer: BaseModel
    location: str


Function = Callable[[Call], Awaitable[BaseModel | Created | AsyncIterator[bytes] | None]]


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


@dataclass(frozen=True, slots=True)
class _Done:
    status: int
    body: bytes
    tag: str = ""
    location: str = ""
    again: bool = False
    following: str = ""


def handler_of(endpoint: Endpoint) -> Handler:
    """The handler of an endpoint's route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        path = _checked(endpoint.path_model, dict(request.match_info), "path")
        query = _checked(endpoint.query, _query(request), "query")
        raw = b"" if endpoint.upload else await _raw(request, endpoint)
        call = Call(request, None, request[BEARER], path, query, _body(endpoint, raw))  # type: ignore[arg-type]
        database = request.app[DATABASE]
        if endpoint.upload:
            _refuse_condition(endpoint, call)
            done = await _upload_once(endpoint, call)
            request.app[WAKE]()
            return _answer(request, done, conditional=False)
        if endpoint.file:
            async with database.read() as session:
                pieces = await endpoint.handle(replace(call, session=session))
            assert isinstance(pieces, AsyncIterator)  # noqa: S101  # of an endpoint with a file
            return await _file(request, endpoint.file, pieces)
        if endpoint.reads:
            _refuse_condition(endpoint, call)
            async with database.read() as session:
                done = await _do(endpoint, replace(call, session=session))
            return _answer(request, done, conditional=endpoint.method == "GET")
        async with database.write() as session:
            done = await _once(endpoint, replace(call, session=session), raw)
        request.app[WAKE]()
        return _answer(request, done, conditional=False)

    return handle


async def _file(request: web.Request, kind: str, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Cache-Control": "private, no-store", "Content-Disposition": "attachment"}
    )
    response.content_type, response.charset = kind, "utf-8"
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _once(endpoint: Endpoint, call: Call, raw: bytes) -> _Done:
    """With an Idempotency-Key the answer is kept with the change."""
    key = call.request.headers.get("Idempotency-Key")
    if key is None or endpoint.method != "POST":
        await _check_condition(endpoint, call)
        done = await _do(endpoint, call)
        await _audit(endpoint, call, done)
        return done
    _check_key(key)
    fingerprint = _fingerprint(endpoint, call, sha256(raw).hexdigest())
    if (known := await _known(call.session, call, key, fingerprint)) is not None:
        return known
    await _check_condition(endpoint, call)
    done = await _do(endpoint, call)
    await _audit(endpoint, call, done)
    await _keep(call.session, call, key, fingerprint, done)
    return done


async def _upload_once(endpoint: Endpoint, call: Call) -> _Done:
    """The same for a file: it is read as it comes, and its function opens its own transactions. Two with the same key
    at one moment both come in; the second one is told so.
    """
    request, key = call.request, call.request.headers.get("Idempotency-Key")
    database = request.app[DATABASE]
    if key is not None:
        _check_key(key)
        async with database.read() as session:
            row = await session.get(OnceAnswered, (call.bearer.token_id, key))
        if row is not None and row.at > request.app[CLOCK]() - _KEPT:
            digest = sha256()
            async for block in request.content.iter_chunked(256 * 1024):
                digest.update(block)
            async with database.read() as session:
                known = await _known(session, call, key, _fingerprint(endpoint, call, digest.hexdigest()))
            assert known is not None  # noqa: S101  # it was there just now
            return known
    done = await _do(endpoint, call)
    async with database.write() as session:
        await _audit(endpoint, replace(call, session=session), done)
        if key is not None:
            await _keep(session, call, key, _fingerprint(endpoint, call, request[UPLOADED]), done)
    return done


def _check_key(key: str) -> None:
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        where = Detail(parameter="Idempotency-Key", detail=f"应为 1–{_LONGEST_KEY} 个可见的 ASCII 字符")
        raise ApiError(422, "idempotency.key", "Idempotency-Key 不能这样写", errors=[where])


def _fingerprint(endpoint: Endpoint, call: Call, digest: str) -> str:
    return sha256(f"{endpoint.method}\0{call.request.rel_url}\0{digest}".encode()).hexdigest()


async def _known(session: AsyncSession, call: Call, key: str, fingerprint: str) -> _Done | None:
    """The answer that was given to this key."""
    known = await session.get(OnceAnswered, (call.bearer.token_id, key))
    if known is None or known.at <= call.request.app[CLOCK]() - _KEPT:
        return None
    if known.fingerprint != fingerprint:
        raise ApiError(422, "idempotency.reused", "这个 Idempotency-Key 已用于另一个请求", hint="请换一个。")
    return _Done(known.status, known.body.encode(), location=known.location, again=True)


async def _keep(session: AsyncSession, call: Call, key: str, fingerprint: str, done: _Done) -> None:
    clock = call.request.app[CLOCK]
    await session.execute(
        delete(OnceAnswered).where(
            col(OnceAnswered.token_id) == call.bearer.token_id, col(OnceAnswered.at) <= clock() - _KEPT
        )
    )
    session.add(
        OnceAnswered(
            token_id=call.bearer.token_id,
            key=key,
            fingerprint=fingerprint,
            status=done.status,
            location=done.location,
            body=done.body.decode(),
            at=clock(),
        )
    )
    await session.flush()


async def _audit(endpoint: Endpoint, call: Call, done: _Done) -> None:
    """Who changed what; ids and choices, never what a body says of people: the log outlives an erasure."""
    named = call.path.model_dump(mode="json") if call.path is not None else {}
    subject = done.location.removeprefix("/api/v1/") or " ".join(str(value) for value in named.values())
    await record(
        call.session,
        call.request.app[CLOCK],
        actor=f"token:{call.bearer.token_id} {call.bearer.name}",
        action=f"api.{endpoint.name}",
        subject=subject,
        network=network_of(call.request),
    )


async def _do(endpoint: Endpoint, call: Call) -> _Done:
    result = await endpoint.handle(call)
    assert not isinstance(result, AsyncIterator)  # noqa: S101  # an endpoint with a file answers otherwise
    answer = result.answer if isinstance(result, Created) else result
    if answer is None:
        return _Done(endpoint.status, b"")
    return _Done(
        endpoint.status,
        _written(answer),
        _tag(answer),
        f"/api/v1{quote(result.location)}" if isinstance(result, Created) else "",
        following=getattr(answer, "next", None) or "",
    )


def _refuse_condition(endpoint: Endpoint, call: Call) -> None:
    """A condition that nobody looks at, or can read, must not seem to hold."""
    wanted = call.request.headers.get("If-Match")
    if wanted is not None and not re.fullmatch(TAGS, wanted.strip()):
        where = Detail(parameter="If-Match", detail='应为 * 或 "…"，多个以逗号分隔')
        raise ApiError(422, "condition.malformed", "If-Match 不能这样写", errors=[where])
    if wanted is not None and endpoint.current is None:
        where = Detail(parameter="If-Match", detail="这个操作没有可比的版本")
        raise ApiError(422, "condition.unknown", "这个操作不能带 If-Match", errors=[where])


async def _check_condition(endpoint: Endpoint, call: Call) -> None:
    """`If-Match` (RFC 9110 §13.1.1), in the transaction of the change."""
    _refuse_condition(endpoint, call)
    wanted = call.request.headers.get("If-Match")
    if endpoint.current is None or wanted is None:
        return
    try:
        now = await endpoint.current(call)
    except NotFoundError:
        if endpoint.method != "PUT":
            raise
        now = None  # there is none to match: it would be made
    if isinstance(now, BaseModel):
        if wanted.strip() == "*":
            return
        stable = _tag(now).partition(".")[0]
        if stable in [one.strip().partition(".")[0] for one in wanted.split(",")]:
            return
    raise ApiError(412, "condition.failed", "它已被别人改过，没有更改任何内容", hint="请重新 GET，再改。")


def _answer(request: web.Request, done: _Done, *, conditional: bool) -> web.Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if done.location:
        headers["Location"] = done.location
    if done.again:
        headers["Idempotency-Replayed"] = "true"
    if not done.body:
        return web.Response(status=done.status, headers=headers)
    if done.tag:
        headers["ETag"] = done.tag
    if done.following:
        following = request.rel_url.update_query(cursor=done.following)
        headers["Link"] = f'<{following}>; rel="next"'
    if conditional and _is_known(request.headers.get("If-None-Match", ""), done.tag):
        return web.Response(status=304, headers=headers)
    return web.Response(
        status=done.status, body=done.body, content_type="application/json", charset="utf-8", headers=headers
    )


def _written(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()


def _tag(answer: BaseModel) -> str:
    """Of what somebody may change, and, behind a dot, of the whole: `If-Match` takes the first, `If-None-Match` all."""
    counted: frozenset[str] = getattr(answer, "COUNTED", frozenset())
    stable = sha256(answer.model_dump_json(exclude=set(counted)).encode()).hexdigest()[:24]
    return f'"{stable}.{sha256(_written(answer)).hexdigest()[:16]}"'


def _is_known(asked: str, tag: str) -> bool:
    """`If-None-Match` (RFC 9110 §13.1.2): the comparison is the weak one."""
    if asked.strip() == "*":
        return bool(tag)
    return tag in [one.strip().removeprefix("W/") for one in asked.split(",")]


def _query(request: web.Request) -> dict[str, Any]:
    """Each name once: of several values it would be anybody's guess which one counts."""
    found: dict[str, Any] = {}
    for name, value in request.query.items():
        if name in found:
            where = Detail(parameter=name, detail="写了不止一次")
            raise ApiError(422, "parameter.twice", "参数写了不止一次", errors=[where])
        found[name] = value
    return found


def _checked(model: type[BaseModel] | None, given: Mapping[str, Any], what: str) -> Any:
    if model is None:
        if given and what == "query":
            errors = [Detail(parameter=name, detail="不认识") for name in given]
            raise ApiError(422, "parameter.unknown", "不认识的参数", errors=errors)
        return None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ApiError(
            422,
            f"{what}.invalid",
            "参数不对",
            errors=details_of(error.errors(include_url=False), in_body=False),
        ) from None


async def _raw(request: web.Request, endpoint: Endpoint) -> bytes:
    if endpoint.body is None:
        if request.body_exists and await request.content.read(1):
            raise ApiError(415, "body.unwanted", "这个请求不应有内容")
        return b""
    if request.content_type != "application/json":
        raise ApiError(
            415,
            "content_type",
            "内容应为 JSON",
            hint="Content-Type: application/json",
            headers={"Accept": "application/json"},
        )
    return await request.read()


def _body(endpoint: Endpoint, raw: bytes) -> Any:
    if endpoint.body is None:
        return None
    try:
        return endpoint.body.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        if found and found[0]["type"] == "json_invalid":
            raise ApiError(
                400, "json", "内容不是正确的 JSON", errors=details_of(found, in_body=True)
            ) from None
        raise ApiError(422, "body.invalid", "内容不对", errors=details_of(found, in_body=True)) from None


def cursor_of(last: int | str | None) -> str | None:
    """Where the next page begins. Args: last: id or name of the last one here; None: there are no more."""
    if last is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([last]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *, highest: int = _HIGHEST_ID) -> int:
    """The id behind which a page begins; 0 for the first.

    Args:
        highest: that the column can hold.

    Raises:
        ApiError: it is not one of ours.
    """
    last = _last_of(cursor) if cursor else 0
    if isinstance(last, int) and not isinstance(last, bool) and 0 <= last <= highest:
        return last
    raise _not_ours()


def read_name_cursor(cursor: str) -> str:
    """The name behind which a page begins; "" for the first. For errors see `read_cursor`."""
    last = _last_of(cursor) if cursor else ""
    if isinstance(last, str):
        return last
    raise _not_ours()


def _last_of(cursor: str) -> Any:
    try:
        (last,) = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _not_ours() from None
    return last


def _not_ours() -> ApiError:
    where = Detail(parameter="cursor", detail="请用答复中的 next")
    return ApiError(422, "cursor", "这不是我们给的 cursor", errors=[where])


def page_of(
    rows: list[Any], limit: int, id_of: Callable[[Any], int | str | None]
) -> tuple[list[Any], str | None]:
    """A page of what was read with `limit + 1`, and the cursor behind it."""
    shown = rows[:limit]
    return shown, cursor_of(id_of(shown[-1])) if len(rows) > limit else None
