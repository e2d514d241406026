"""What an endpoint of the stand-in is: a method, a body, a call. Called by every file beside it and wechat_api.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bdnews_dispatch.sandbox.wechat_platform import Refusal

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart call.

    Attributes:
        name: of the file.
        content: its octets.
        kind: `type` of the query.
    """

    name: str
    content: bytes
    kind: str


Call = Callable[[Mapping[str, Any]], Answer]
UploadCall = Callable[[Upload], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: exactly one of `call` and `upload` is set.

    Attributes:
        method: GET or POST; any other is 43001 or 43002.
        call: takes the JSON body, or the query of a GET.
        upload: takes the file.
    """

    method: str
    call: Call | None = None
    upload: UploadCall | None = None


def done(message: str = "ok", **more: Any) -> Answer:
    """A success that says so."""
    return {"errcode": 0, "errmsg": message, **more}


def integer(data: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number of a body; a GET's come as text.

    Raises:
        Refusal: 40035.
    """
    given = data.get(name, default)
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise Refusal(40035, f"invalid parameter: {name}")
    return given


def text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text of a body.

    Raises:
        Refusal: 40035.
    """
    given = data.get(name, default)
    if not isinstance(given, str):
        raise Refusal(40035, f"invalid parameter: {name}")
    return given


def texts(data: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts of a body.

    Raises:
        Refusal: 40035.
    """
    given = data.get(name)
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise Refusal(40035, f"invalid parameter: {name}")
    return given


def inner(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of a body.

    Raises:
        Refusal: 40035.
    """
    given = data.get(name)
    if not isinstance(given, dict):
        raise Refusal(40035, f"invalid parameter: {name}")
    return given
