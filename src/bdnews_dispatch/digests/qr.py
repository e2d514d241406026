"""QR codes to whole texts, for mails (PNG behind `…/qr.png`) and pages (inline SVG).

In: an http(s) address. Out: PNG bytes or SVG text. Callers: web, rendering of pages.
"""

import io
from functools import lru_cache

import segno

from bdnews_dispatch.digests.inline import web_url

#: ISO/IEC 18004 asks for four light modules around a code; the white frame of the mail gives the other two.
_BORDER = 2


@lru_cache(maxsize=1024)
def qr_png(url: str, *, scale: int = 5) -> bytes:
    """A PNG, black on white in light and dark mode alike, since scanners want it so.

    Args:
        url: what the code says.
        scale: pixels a module; 5 is sharp at 72 CSS pixels on a screen of double density.

    Raises:
        ValueError: the address is no http(s) address of at most 700 octets.
    """
    buffer = io.BytesIO()
    _code(url).save(buffer, kind="png", scale=scale, border=_BORDER, dark="#000000", light="#ffffff")
    return buffer.getvalue()


def qr_svg(url: str, *, title: str = "") -> str:
    """An inline `<svg>` without a size of its own (CSS gives it), dark modules on white.

    Raises:
        ValueError: as `qr_png`.
    """
    return str(
        _code(url).svg_inline(
            border=_BORDER, dark="#000000", light="#ffffff", omitsize=True, title=title or None
        )
    )


def _code(url: str) -> segno.QRCode:
    if not web_url(url):
        raise ValueError("only http(s) addresses become QR codes")
    return segno.make(url, error="m", micro=False)
