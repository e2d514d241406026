"""Pages of lists: where the next one begins.

In: a cursor, as an answer gave it. Out: an id or a name. Callers: resources whose lists are long.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from bdnews_dispatch.web.api.models import HIGHEST_ID
from bdnews_dispatch.web.api.problems import ApiError, Detail


def cursor_of(last: int | str | None) -> str | None:
    """Where the next page begins. Args: last: id or name of the last one here; None: there are no more."""
    if last is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([last]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *, highest: int = HIGHEST_ID) -> int:
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
