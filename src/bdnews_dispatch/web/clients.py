"""Where a request comes from, as a network: enough to stop a flood, too little to know a person by.

In: a request, `[web] proxies`. Out: `203.0.113.0/24`, `2001:db8:1::/48`. Callers: handlers of forms.
"""

import ipaddress

from aiohttp import web

from bdnews_dispatch.web.keys import SETTINGS

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def network_of(request: web.Request) -> str:
    """The client's network; empty where the server can't tell (a socket of the machine itself).

    `X-Forwarded-For` is read from its end, only as far as our own proxies wrote it: what stands before is anybody's.
    """
    address = _address(request.remote or "")
    trusted = request.app[SETTINGS].web.proxies
    told = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    while address is not None and told and any(address in network for network in trusted):
        nearer = _address(told.pop().strip())
        if nearer is None:
            break
        address = nearer
    if address is None:
        return ""
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
