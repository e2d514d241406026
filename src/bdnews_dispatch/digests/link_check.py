"""What can be said of a link without following it: what readers could not open, or should not be sent to. Pure.

In: an address. Out: a word for what is wrong, or "". Caller: the console. Nothing is fetched: a page that makes
our server fetch addresses out of a file would be a way into our own network.
"""

import ipaddress
from urllib.parse import urlsplit

_LONGEST = 2_000
#: What stands behind an address in a Chinese sentence, and was taken for a part of it.
_SENTENCE = "，。；：、！？）】》”’"


def wrong_with(url: str) -> str:
    """`broken`, `sentence`, `long`, `private`, `plain` (no TLS), or "" where nothing can be said against it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "broken"
    if parts.scheme not in {"http", "https"} or not host or any(letter.isspace() for letter in url):
        return "broken"
    if any(mark in url for mark in _SENTENCE):
        return "sentence"
    if len(url) > _LONGEST:
        return "long"
    if _is_private(host):
        return "private"
    return "plain" if parts.scheme == "http" else ""


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host.rstrip(".") or host.endswith((".local", ".localhost", ".internal", ".lan"))
