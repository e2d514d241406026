"""An address of another program as it may be shown: those of webhooks and feeds are often secrets themselves.

In: an address. Out: the whole of it for who may change it, else where it leads to. Callers: the console, the API.
"""

from urllib.parse import urlsplit

#: A part of a path that is so long may be a secret; a word that says what is there is shorter.
_LIKE_A_SECRET = 20


def beginning_of(url: str) -> str:
    """Its scheme, its host, and the first part of its path; … stands for what is left out."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    start = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    first, _, rest = parts.path.lstrip("/").partition("/")
    if len(first) >= _LIKE_A_SECRET or not first:
        return f"{start}…" if first or parts.query or parts.fragment else start
    if rest:
        return f"{start}{first}/…"
    return f"{start}{first}…" if parts.query or parts.fragment else f"{start}{first}"
