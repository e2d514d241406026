"""The API told as OpenAPI 3.1, from the endpoints and the models that check; and a page to read it.

In: endpoints.py. Out: JSON; HTML. Both are public: they say what there is, and nothing of what is in it.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bdnews_dispatch import __version__
from bdnews_dispatch.issues.parsing import issue_schema
from bdnews_dispatch.web.api.calls import LONGEST_HEADER, Endpoint
from bdnews_dispatch.web.api.conditions import TAGS
from bdnews_dispatch.web.api.endpoints import ENDPOINTS
from bdnews_dispatch.web.api.problems import CONTENT_TYPE, Problem
from bdnews_dispatch.web.keys import PAGES

_REF = "#/components/schemas/{model}"
_WORDS = {
    400: "内容不是正确的 JSON",
    401: "没有令牌，或令牌不对",
    403: "令牌不能做这件事",
    404: "没有找到",
    409: "现在的状态不允许",
    412: "它已被别人改过",
    413: "内容太大",
    415: "内容的类型不对",
    422: "内容不对，逐项说明",
    428: "没有写明从哪一版改起",
    429: "太频繁",
    503: "数据库现在不能用",
}


async def document(request: web.Request) -> web.Response:
    """`/api/v1/openapi.json`."""
    del request
    return web.json_response(openapi(), headers={"Cache-Control": "public, max-age=300"})


async def schema_of_issues(request: web.Request) -> web.Response:
    """`/api/v1/issue.schema.json`: what an issue as JSON looks like."""
    del request
    return web.json_response(
        issue_schema(),
        content_type="application/schema+json",
        headers={"Cache-Control": "public, max-age=300"},
    )


async def page(request: web.Request) -> web.Response:
    """`/api/v1`: every operation in words."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for endpoint in ENDPOINTS:
        groups.setdefault(endpoint.path.split("/")[1], []).append(
            {
                "method": endpoint.method,
                "path": f"/api/v1{endpoint.path}",
                "summary": endpoint.summary,
                "right": endpoint.right.value,
                "query": fields_of(endpoint.query),
                "body": fields_of(endpoint.body),
                "upload": endpoint.upload,
            }
        )
    return request.app[PAGES].response(request, "api.html", groups=groups)


@cache
def openapi() -> dict[str, Any]:
    """The description."""
    used: list[tuple[type[BaseModel], Any]] = [(Problem, "serialization")]
    for endpoint in ENDPOINTS:
        if endpoint.body is not None:
            used.append((endpoint.body, "validation"))
        if endpoint.answer is not None:
            used.append((endpoint.answer, "serialization"))
    refs, definitions = models_json_schema(list(dict.fromkeys(used)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(f"/api/v1{endpoint.path}", {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bdnews_dispatch",
            "version": __version__,
            "description": "订阅与分发的 JSON API。令牌在控制台的“令牌”里建，或由管理员用 bdnews tokens add。",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**_of_addresses(), **definitions.get("$defs", {})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _of_addresses() -> dict[str, Any]:
    """What parameters name: states, modes."""
    found: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        for model in (endpoint.path_model, endpoint.query):
            if model is not None:
                found |= model.model_json_schema(ref_template=_REF).get("$defs", {})
    return found


def _operation(endpoint: Endpoint, refs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.path.split("/")[1]],
        "description": f"需要权限 {endpoint.right.value}。",
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, refs),
    }
    if endpoint.upload:
        found["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    elif endpoint.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[endpoint.body, "validation"]}},
        }
    return found


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = []
    for place, model in (("path", endpoint.path_model), ("query", endpoint.query)):
        if model is None:
            continue
        schema = model.model_json_schema(ref_template=_REF)
        for name, field in schema["properties"].items():
            needed = place == "path" or name in schema.get("required", ())
            told = {key: value for key, value in field.items() if key not in {"title", "description"}}
            one = {"name": name, "in": place, "required": needed, "schema": told}
            if "description" in field:
                one["description"] = field["description"]
            found.append(one)
    if endpoint.method == "POST" and not endpoint.reads:
        found.append(_header("Idempotency-Key", "同一个键的同一请求只做一次，再来的得到同一答复。"))
    if endpoint.current is not None:
        found.append(_header("If-Match", "GET 时得到的 ETag：已被别人改过则不改。", f"^({TAGS})$"))
    return found


def _header(name: str, words: str, pattern: str = "^[!-~]+$") -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_HEADER, "pattern": pattern}
    return {"name": name, "in": "header", "required": False, "description": words, "schema": schema}


def _responses(endpoint: Endpoint, refs: Any) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "完成"}
    if endpoint.file:
        done["content"] = {endpoint.file: {"schema": {"type": "string"}}}
    elif endpoint.answer is not None:
        done["content"] = {"application/json": {"schema": refs[endpoint.answer, "serialization"]}}
    found = {str(endpoint.status): done}
    if endpoint.method == "GET" and (endpoint.whole or not endpoint.file):
        found["304"] = {"description": "没有变化"}
    for status in sorted(faults_of(endpoint)):
        found[str(status)] = {
            "description": _WORDS[status],
            "content": {CONTENT_TYPE: {"schema": refs[Problem, "serialization"]}},
        }
    # Said by the server itself, before it knows which operation it is.
    too_long = found.setdefault("400", {"description": "地址或首部太长（8 KB）", "content": {}})
    too_long["content"]["text/plain"] = {"schema": {"type": "string"}}
    return found


def faults_of(endpoint: Endpoint) -> set[int]:
    """Statuses of every problem that an operation can answer with."""
    found = {401, 403, 422, 429, 503, *endpoint.faults}
    if endpoint.path_model is not None:
        found.add(404)
    if endpoint.body is not None:
        found |= {400, 413}
    if not endpoint.upload:
        found.add(415)
    if endpoint.current is not None:
        found.add(412)
    return found


def fields_of(model: type[BaseModel] | None) -> Sequence[dict[str, Any]]:
    """What the page says of each field: name, kind, whether it is needed, words."""
    if model is None:
        return ()
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "kind": _kind(field),
            "needed": name in schema.get("required", ()),
            "words": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _kind(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "$ref" in field:
        return re.sub(r".*/", "", field["$ref"])
    if "anyOf" in field:
        return " | ".join(_kind(one) for one in field["anyOf"])
    if field.get("type") == "array":
        return f"[{_kind(field.get('items', {}))}]"
    return str(field.get("format") or field.get("type", ""))
