"""From a request to a resource's function and back: read, checked, in one transaction, written.

In: an `Endpoint` and a request that access.py has let in. Out: JSON with an ETag. What reads, reads; all else writes in
one transaction, in which the condition (`If-Match`), the change and the answer that is given once (`Idempotency-Key`)
stand or fall together.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bdnews_dispatch.accounts.audit import record
from bdnews_dispatch.web.api import conditions, once
from bdnews_dispatch.web.api.bearers import BEARER
from bdnews_dispatch.web.api.calls import UPLOADED, Call, Created, Endpoint
from bdnews_dispatch.web.api.once import Done
from bdnews_dispatch.web.api.problems import PREFIX, ApiError, Detail, details_of
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.keys import CLOCK, DATABASE, WAKE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def handler_of(endpoint: Endpoint) -> Handler:
    """The handler of an endpoint's route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        path = _checked(endpoint.path_model, dict(request.match_info), "path")
        query = _checked(endpoint.query, _query(request), "query")
        raw = b"" if endpoint.upload else await _raw(request, endpoint)
        call = Call(request, None, request[BEARER], path, query, _body(endpoint, raw))  # type: ignore[arg-type]
        database = request.app[DATABASE]
        conditions.refuse_unknown(endpoint, call)
        if endpoint.upload:
            done = await _upload_once(endpoint, call)
            request.app[WAKE]()
            return _answer(request, done, conditional=False)
        if endpoint.whole:
            async with database.read() as session:
                body = await endpoint.handle(replace(call, session=session))
            assert isinstance(body, bytes)  # noqa: S101  # of an endpoint whose file is whole
            return whole_file(request, endpoint.file, body)
        if endpoint.file:
            async with database.read() as session:
                pieces = await endpoint.handle(replace(call, session=session))
            assert isinstance(pieces, AsyncIterator)  # noqa: S101  # of an endpoint with a file
            await _note_leaving(endpoint, call)
            return await _file(request, endpoint.file, pieces)
        if endpoint.reads:
            async with database.read() as session:
                done = await _do(endpoint, replace(call, session=session))
            await _note_leaving(endpoint, call)
            return _answer(request, done, conditional=endpoint.method == "GET")
        async with database.write() as session:
            done = await _once(endpoint, replace(call, session=session), raw)
        request.app[WAKE]()
        return _answer(request, done, conditional=False)

    return handle


def whole_file(request: web.Request, kind: str, body: bytes) -> web.Response:
    """A file for one reader, asked for again and again; 304 where they have it."""
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": tag}
    if request.path.startswith(PREFIX):
        headers["Vary"] = "Authorization"
    if conditions.is_known(request.headers.get("If-None-Match", ""), tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)


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


async def _once(endpoint: Endpoint, call: Call, raw: bytes) -> Done:
    """With an Idempotency-Key the answer is kept with the change."""
    key = call.request.headers.get("Idempotency-Key")
    if key is None or endpoint.method != "POST":
        await conditions.check(endpoint, call)
        done = await _do(endpoint, call)
        await _audit(endpoint, call, done)
        return done
    once.check_key(key)
    fingerprint = once.fingerprint_of(endpoint, call, sha256(raw).hexdigest())
    if (known := await once.known_answer(call.session, call, key, fingerprint)) is not None:
        return known
    await conditions.check(endpoint, call)
    done = await _do(endpoint, call)
    await _audit(endpoint, call, done)
    await once.keep(call.session, call, key, fingerprint, done)
    return done


async def _upload_once(endpoint: Endpoint, call: Call) -> Done:
    """The same for a file: it is read as it comes, and its function opens its own transactions. Two with the same key
    at one moment both come in; the second one is told so.
    """
    request, key = call.request, call.request.headers.get("Idempotency-Key")
    database = request.app[DATABASE]
    if key is not None:
        once.check_key(key)
        async with database.read() as session:
            answered = await once.is_answered(session, call, key)
        if answered:
            digest = sha256()
            async for block in request.content.iter_chunked(256 * 1024):
                digest.update(block)
            async with database.read() as session:
                known = await once.known_answer(
                    session, call, key, once.fingerprint_of(endpoint, call, digest.hexdigest())
                )
            assert known is not None  # noqa: S101  # it was there just now
            return known
    done = await _do(endpoint, call)
    async with database.write() as session:
        await _audit(endpoint, replace(call, session=session), done)
        if key is not None:
            await once.keep(session, call, key, once.fingerprint_of(endpoint, call, request[UPLOADED]), done)
    return done


async def _audit(endpoint: Endpoint, call: Call, done: Done) -> None:
    """Who changed what, and what the endpoint's function tells of it (`Call.tell`)."""
    named = call.path.model_dump(mode="json") if call.path is not None else {}
    subject = done.location.removeprefix("/api/v1/") or " ".join(str(value) for value in named.values())
    await record(
        call.session,
        call.request.app[CLOCK],
        actor=f"token:{call.bearer.token_id} {call.bearer.name}",
        action=f"api.{endpoint.name}",
        subject=subject,
        change=call.change,
        network=network_of(call.request),
    )


async def _note_leaving(endpoint: Endpoint, call: Call) -> None:
    """Where what is read are people's data as a whole, the log says who has fetched them, before they go out."""
    if not endpoint.leaves:
        return
    async with call.request.app[DATABASE].write() as session:
        await _audit(endpoint, replace(call, session=session), Done(endpoint.status, b""))


async def _do(endpoint: Endpoint, call: Call) -> Done:
    result = await endpoint.handle(call)
    assert not isinstance(result, AsyncIterator | bytes)  # noqa: S101  # an endpoint with a file answers otherwise
    answer = result.answer if isinstance(result, Created) else result
    if answer is None:
        return Done(endpoint.status, b"")
    return Done(
        endpoint.status,
        _written(answer),
        conditions.tag_of(answer),
        f"/api/v1{quote(result.location)}" if isinstance(result, Created) else "",
        following=getattr(answer, "next", None) or "",
    )


def _answer(request: web.Request, done: Done, *, conditional: bool) -> web.Response:
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
    if conditional and conditions.is_known(request.headers.get("If-None-Match", ""), done.tag):
        return web.Response(status=304, headers=headers)
    return web.Response(
        status=done.status, body=done.body, content_type="application/json", charset="utf-8", headers=headers
    )


def _written(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()


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
