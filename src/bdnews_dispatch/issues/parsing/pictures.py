"""Pictures of an issue, made fit for mails and pages; documents name them by the hash of what came.

In: a picture's bytes, hostile. Out: a JPEG or PNG without metadata, at most 1200 pixels wide and below 1 MB. Callers:
detected.py; whoever reads a document's references.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: Readers of formats that are tried; all others are refused unread.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
#: Pixels of a JPEG, which libjpeg scales down as it reads (a progressive one is held whole: some 6 octets each), and of
#: all others: what is decoded stays below 200 MB.
_MOST_OF_JPEG, _MOST_PIXELS = 30_000_000, 16_000_000
#: Twice a mail's 600 CSS pixels, for dense screens; a picture taller than this is scaled down by its height.
_WIDEST, _TALLEST = 1200, 4800
#: A PNG that is larger is a photograph, and goes as JPEG. Below 1 MB is what WeChat takes (media/uploadimg).
_MOST_PNG, _MOST_OCTETS = 400_000, 1_000_000
_QUALITIES = (85, 75, 60, 40)
_GRAPHICS = {"PNG", "GIF"}


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture that can be shown. `digest`: SHA-256 of the bytes that came, in hexadecimal."""

    digest: str
    mime: str
    width: int
    height: int
    content: bytes


def prepare(data: bytes) -> PreparedPicture | None:
    """Decode, turn upright, scale, write anew: no metadata, nothing hidden. None: it can't be read as a picture.

    Only the first frame of an animation is kept.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415  # most issues bring none

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            most = _MOST_OF_JPEG if opened.format == "JPEG" else _MOST_PIXELS
            if not 0 < opened.width * opened.height <= most:
                return None
            graphic = opened.format in _GRAPHICS
            scale = min(1, _WIDEST / min(opened.size), _TALLEST / max(opened.size))  # it may lie on its side
            opened.draft("RGB", (max(1, int(opened.width * scale)), max(1, int(opened.height * scale))))
            image = ImageOps.exif_transpose(opened)
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Exception:  # noqa: BLE001  # Pillow's readers raise whatever a format's bytes lead them to
        return None
    image.thumbnail((_WIDEST, _TALLEST), Image.Resampling.LANCZOS)
    mime, content = _written(image, graphic=graphic)
    return PreparedPicture(hashlib.sha256(data).hexdigest(), mime, image.width, image.height, content)


def _written(image: "Image.Image", *, graphic: bool) -> tuple[str, bytes]:
    if graphic:
        out = io.BytesIO()
        image.save(out, "PNG", optimize=True)
        if out.tell() <= _MOST_PNG:
            return "image/png", out.getvalue()
    from PIL import Image  # noqa: PLC0415  # loaded already

    if image.mode == "RGBA":  # JPEG knows no transparency: on paper, as the mail is
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    for quality in _QUALITIES:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
        if out.tell() < _MOST_OCTETS:
            break
    return "image/jpeg", out.getvalue()
