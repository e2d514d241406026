"""Forms as people and mail programs post them. In: a request. Out: its fields, text only. Callers: handlers of POST."""

import contextlib

from aiohttp import web
from multidict import MultiDict, MultiDictProxy


async def read_form(request: web.Request) -> MultiDictProxy[str]:
    """The fields, urlencoded or multipart; a body that is neither has none.

    Raises:
        web.HTTPRequestEntityTooLarge: it is larger than the application takes.
    """
    fields: MultiDict[str] = MultiDict()
    with contextlib.suppress(ValueError, LookupError, AssertionError):  # broken multipart, unknown charset
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                fields.add(name, value)
    return MultiDictProxy(fields)
