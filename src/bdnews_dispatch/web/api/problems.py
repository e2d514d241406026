"""What went wrong, as `application/problem+json` (RFC 9457).

In: an exception. Out: an answer. Caller: web/faults.py.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError

from bdnews_dispatch.bulletins.drafting import ChangedSinceError, SecondPersonError
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
#: What to do where somebody else was faster.
CHANGED = "请重新 GET，再改。"


class Detail(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(extra="forbid")
    pointer: str = Field(default="", description="指向内容某处的 JSON Pointer，如 #/sections/0。")
    parameter: str = Field(default="", description="查询参数、路径参数或首部的名称。")
    detail: str


class Problem(BaseModel):
    """A problem by RFC 9457."""

    model_config = ConfigDict(extra="forbid")
    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = Field(description="带点的名称，永不改变。")
    hint: str = Field(default="", description="下一步该做什么。")
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
        case SecondPersonError():
            problem = _problem(403, "second_person", error.message, error.hint)
        case ChangedSinceError():
            problem = _problem(409, "changed", error.message, CHANGED)
        case StateError():
            problem = _problem(409, "state", error.message, error.hint)
        case IntegrityError():
            logger.info("api.conflict", extra={"route": route})
            problem = _problem(409, "conflict", "同时有别的更改，没有更改任何内容", "请重新读取，再试一次。")
        case StatementError() if _is_about_values(error):
            logger.info("api.value", extra={"route": route, "error": type(error.orig).__name__})
            problem = _problem(422, "value", "有一个值数据库存不下，没有更改任何内容", "请检查数字与文字。")
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


def _is_about_values(error: StatementError) -> bool:
    """Whether a value was at fault, not the database: it does not fit its column (SQLSTATE class 22, or the driver
    says so before it asks the server).
    """
    if isinstance(error, DataError) or isinstance(error.orig, (OverflowError, ValueError)):
        return True
    cause = error.orig.__cause__ if error.orig is not None else None
    return isinstance(cause, ValueError) or str(getattr(error.orig, "sqlstate", "") or "").startswith("22")


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
            found.append(Detail(pointer=pointer if where else "#", detail=_said(error)))
        else:
            found.append(Detail(parameter=where[0] if where else "", detail=_said(error)))
    return found


#: Words for what pydantic finds; the values in braces are its own (its `ctx`).
_FOUND: Mapping[str, str] = {
    "missing": "必须写",
    "extra_forbidden": "不认识",
    "string_type": "应为文字",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "写法不对",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "list_type": "应为数组",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "too_long": "最多 {max_length} 项",
    "too_short": "至少 {min_length} 项",
    "enum": "应为 {expected} 之一",
    "literal_error": "应为 {expected} 之一",
    "greater_than_equal": "应不小于 {ge}",
    "less_than_equal": "应不大于 {le}",
    "timezone_aware": "应写明时区，如 2026-12-01T09:00:00+08:00",
    "datetime_type": "应为时间，如 2026-12-01T09:00:00+08:00",
    "datetime_parsing": "应为时间，如 2026-12-01T09:00:00+08:00",
    "datetime_from_date_parsing": "应为时间，如 2026-12-01T09:00:00+08:00",
    "date_from_datetime_parsing": "应为日期，如 2026-12-01",
    "date_parsing": "应为日期，如 2026-12-01",
    "json_invalid": "不是正确的 JSON：{error}",
    "string_unicode": "不是正确的 UTF-8",
}


def _said(error: Any) -> str:
    """What pydantic found, in our words; in its own where there are none."""
    context = error.get("ctx") or {}
    if error["type"] == "value_error":
        return str(context.get("error", error["msg"]))
    words = _FOUND.get(error["type"])
    return words.format_map({name: str(value) for name, value in context.items()}) if words else error["msg"]
