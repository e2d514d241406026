"""One address of somebody else's, read within bounds: time, octets, redirects, and never inside our own network.

In: an address. Out: octets, or a `FetchError` that says in words what went wrong. What a server says of its length is
not believed: what comes is counted, unpacked as well. Caller: taking.py.

Source: RFC 9110 (redirects 15.4, conditional requests 13.1).
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.safe_client import AddressError, check_address, open_session

_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_LONGEST_ADDRESS = 2000
#: What aiohttp meets in an answer that is none.
_LOST = (aiohttp.ClientError, OSError, ValueError, zlib.error)


class FetchError(BdnewsError):
    """It could not be read; another time it may."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `body`: None: it has not changed (304). `url`: where it was in the end."""

    url: str
    body: bytes | None
    kind: str
    etag: str
    last_modified: str


class Fetcher:
    """Reads addresses over one session.

    Args:
        inside: hosts that need not be public.
        seconds: for one address, redirects and all.
    """

    def __init__(self, session: aiohttp.ClientSession, inside: Collection[str], seconds: float) -> None:
        self._session = session
        self._inside = inside
        self._seconds = seconds

    async def fetch(self, url: str, *, most: int, known: Mapping[str, str] | None = None) -> Fetched:
        """Read it.

        Args:
            most: octets, unpacked.
            known: `If-None-Match`, `If-Modified-Since`, where the last answer said so.

        Raises:
            FetchError: it is not there, too slow, too large, leads astray, or is on our own network.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url, most, known or {})
        except TimeoutError:
            raise FetchError(f"{self._seconds:.0f} 秒内没有读完") from None
        except AddressError as error:
            raise FetchError(error.message, hint=error.hint) from error
        except (ssl.SSLError, aiohttp.ClientSSLError):
            raise FetchError("证书不被信任") from None
        except _LOST as error:
            raise FetchError(f"读不到：{_said(error)}") from error

    async def _follow(self, url: str, most: int, known: Mapping[str, str]) -> Fetched:
        headers = {"User-Agent": "bdnews-dispatch-feeds/1", "Accept-Encoding": "gzip", **known}
        for _ in range(_MOST_REDIRECTS + 1):
            check_address(url, self._inside, group="feeds")
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in _REDIRECTS:
                    url = urljoin(url, answer.headers.get("Location", ""))[:_LONGEST_ADDRESS]
                    continue
                if answer.status == 304 and known:
                    return Fetched(url, None, "", "", "")
                if answer.status != 200:
                    raise FetchError(f"对方回答 HTTP {answer.status}")
                return Fetched(
                    url,
                    await _body(answer, most),
                    answer.content_type,
                    answer.headers.get("ETag", "")[:200],
                    answer.headers.get("Last-Modified", "")[:60],
                )
        raise FetchError(f"转向超过 {_MOST_REDIRECTS} 次")


@asynccontextmanager
async def open_fetcher(inside: Collection[str], seconds: float) -> AsyncIterator[Fetcher]:
    """A fetcher with a session of its own."""
    async with open_session(inside, seconds) as session:
        yield Fetcher(session, inside, seconds)


async def _body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in {"identity", "", "gzip", "x-gzip"}:
        raise FetchError(f"对方用了没有请求的压缩方式 {packing[:20]}")
    unpack = zlib.decompressobj(31) if "gzip" in packing else None
    found = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        found += unpack.decompress(chunk, most + 1 - len(found)) if unpack else chunk
        if len(found) > most:
            raise FetchError(f"超过 {most // 1024 // 1024} MB 的上限")
    if unpack is not None and not unpack.eof:
        raise FetchError("读不到：压缩的内容不完整")
    return bytes(found)


def _said(error: Exception) -> str:
    """What a person may read of it: no address, one line."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorDNSError():
            refused = isinstance(error.os_error, ConnectionRefusedError)
            return "对方拒绝连接" if refused else error.os_error.strerror or "连不上"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "对方没有说完就断开了"
        case aiohttp.ClientResponseError():
            return "对方的回答不合 HTTP"
        case OSError():
            return error.strerror or "连不上"
        case _:
            return type(error).__name__
