"""What went wrong, as `application/problem+json` (RFC 9457).

In: an exception. Out: an answer. Caller: web/faults.py.
"""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.errors import (
    BdnewsError,
    ImportFileError,
    NotFoundError,
    StateError,
    StorageError,
)
from bdnews_dispatch.subscribers.fields import FieldError
from bdnews_dispatch.subscribers.segments import SegmentError

logger = logging.getLogger(__name__)

PREFIX = "/api/"
CONTENT_TYPE = "application/problem+json"
#: The database is away: in so many seconds it may be back.
_RETRY_SECONDS = 5


class Detail(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid")
    pointer: str = Field(default="", description="JSON Pointer into the body, such as #/sections/0.")
    parameter: str = Field(default="", description="Name of a query or path parameter, or of a header.")
    detail: str


class Problem(BaseModel):
    """A problem by RFC 9457."""

    model_config = ConfigDict(extra="forbid")
    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = Field(description="A dotted name that never changes.")
    hint: str = Field(default="", description="What to do next.")
    errors: list[Detail] = Field(default_factory=list)


class ApiError(Exception):
    """A request that can't be answered as asked.

    Attributes:
        status: of HTTP.
        code: a dotted name that never changes.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str = "",
        errors: Sequence[Detail] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint
        self.errors, self.headers = list(errors), headers or {}


def problem_response(error: BaseException, *, route: str) -> web.Response:
    """The answer to what was raised. Args: route: its pattern, for the log."""
    headers: dict[str, str] = {}
    match error:
        case ApiError():
            headers = error.headers
            problem = _problem(error.status, error.code, error.detail, error.hint, error.errors)
        case web.HTTPException():
            headers = {
                name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers
            }
            problem = _problem(
                error.status, _CODES.get(error.status, "request"), _WORDS.get(error.status, "")
            )
        case FieldError():
            where = Detail(pointer=f"#/{error.column}", detail=error.message)
            problem = _problem(422, error.code, error.message, error.hint, [where])
        case NotFoundError():
            problem = _problem(404, "not_found", error.message, error.hint)
        case StateError():
            problem = _problem(409, "state", error.message, error.hint)
        case StorageError() | SQLAlchemyError():
            logger.warning("api.storage", extra={"route": route, "error": type(error).__name__})
            headers = {"Retry-After": str(_RETRY_SECONDS)}
            problem = _problem(503, "storage", "数据库现在不能用，没有更改任何内容", "请稍后再试。")
        case SegmentError():
            problem = _problem(422, "segment", error.message, error.hint)
        case ImportFileError():
            problem = _problem(422, "import", error.message, error.hint)
        case BdnewsError():
            problem = _problem(422, "refused", error.message, error.hint)
        case _:
            logger.error("api.failed", extra={"route": route}, exc_info=error)
            problem = _problem(
                500, "failed", "服务出了问题，没有更改任何内容", "请稍后再试，或告诉管理员时间。"
            )
    return web.Response(
        status=problem.status,
        text=json.dumps(problem.model_dump(exclude_defaults=False), ensure_ascii=False),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **headers},
    )


_CODES = {404: "not_found", 405: "method", 413: "too_large"}
_WORDS = {404: "没有这个地址", 405: "这个地址不能这样用", 413: "内容太大"}


def _problem(status: int, code: str, detail: str, hint: str = "", errors: Sequence[Detail] = ()) -> Problem:
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        errors=list(errors),
    )


def details_of(errors: Sequence[Any], *, in_body: bool) -> list[Detail]:
    """Pydantic's errors, each with where it is."""
    found = []
    for error in errors[:20]:
        where = [str(part) for part in error["loc"]]
        if in_body:
            pointer = "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in where)
            found.append(Detail(pointer=pointer if where else "#", detail=error["msg"]))
        else:
            found.append(Detail(parameter=where[0] if where else "", detail=error["msg"]))
    return found
