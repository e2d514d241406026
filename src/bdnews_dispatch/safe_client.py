"""An HTTP session that reaches the world and nothing inside: what an admin types may not lead to our own network.

In: an address. Out: a session whose every connection goes to a public address, whatever its name resolves to at that
moment. Redirects are the caller's to follow, each address checked anew. Callers: webhooks/, watched_feeds/.
"""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from bdnews_dispatch.errors import BdnewsError, Phrase


class AddressError(BdnewsError):
    """The address may not be asked."""


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses alone.

    Args:
        inside: names that may be inside: settings `webhooks.inside`, `feeds.inside`.
    """

    def __init__(self, inside: Collection[str] = ()) -> None:
        self._inside = frozenset(name.lower() for name in inside)
        self._plain = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises: OSError: there is none, or it is not public."""
        try:
            found = await self._plain.resolve(host, port, family)
        except socket.gaierror:
            raise OSError(None, f"找不到主机 {host}") from None
        if host.lower() in self._inside:
            return found
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise OSError(None, f"{host} 不是公网地址")
        return public

    async def close(self) -> None:
        await self._plain.close()


def is_public(address: str) -> bool:
    """Whether an IP address is one of the world's; also where it is written inside an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast


def check_address(url: str, inside: Collection[str] = (), *, group: str = "webhooks") -> None:
    """Whether the address may be asked at all.

    Args:
        inside: names of hosts that need not be public, and may be asked by http.
        group: of the settings that name them; what is only read (`feeds`) may be asked by http everywhere.

    Raises:
        AddressError: it is none of the web, names somebody, or an IP address that is not public.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        URL(url)  # what sends it reads it anew, and takes less for an address
    except ValueError:
        raise AddressError(
            Phrase("地址“%(url)s”读不懂", url=url[:100]), hint="应为 https://… 的完整地址。"
        ) from None
    named_inside = host.lower() in {name.lower() for name in inside}
    plain = parts.scheme == "http" and (named_inside or group == "feeds")
    if parts.scheme != "https" and not plain:
        if group == "feeds":
            raise AddressError("只读取 http 与 https 的地址", hint="应为 https://… 的完整地址。")
        raise AddressError("只向 https 地址推送", hint="内网的接收方，请先把主机名写进 webhooks.inside。")
    if not host or parts.username or parts.password or any(sign.isspace() for sign in url):
        raise AddressError("地址里不能有用户名、密码或空格")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return  # a name: looked at when it is resolved, each time
    if not is_public(host) and not named_inside:
        raise AddressError(
            Phrase("%(host)s 不是公网地址", host=host),
            hint=Phrase("内网的地址，请先把它写进 %(group)s.inside。", group=group),
        )


def open_session(inside: Collection[str], seconds: float) -> aiohttp.ClientSession:
    """A session; close it."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(inside), ttl_dns_cache=None, use_dns_cache=False)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
