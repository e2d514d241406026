"""Pictures: permanent material, pictures inside articles, material of three days.

Source: Adding_Permanent_Assets.html, Adding_Temporary_Assets.html.
"""

import secrets
from dataclasses import dataclass, field

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, Upload
from bdnews_dispatch.sandbox.wechat_platform import Refusal

#: Pictures in articles are shown from here only.
PICTURE_HOST = "mmbiz.qpic.cn"
_MAGIC = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"GIF8": "gif", b"BM": "bmp"}
_MB = 1024 * 1024
#: kind → its limit in octets and its formats.
_KINDS = {"thumb": (64 * 1024, {"jpg"}), "image": (10 * _MB, {"jpg", "png", "gif", "bmp"})}


def _format(content: bytes) -> str:
    return next((name for magic, name in _MAGIC.items() if content.startswith(magic)), "")


@dataclass(slots=True)
class Materials:
    """Every picture of the account.

    Attributes:
        permanent: media_id → octets.
        temporary: media_id → octets.
        pictures: address → octets, of pictures inside articles.
    """

    clock: Clock
    permanent: dict[str, bytes] = field(default_factory=dict)
    temporary: dict[str, bytes] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "material/add_material": Endpoint("POST", upload=self._add),
            "media/uploadimg": Endpoint("POST", upload=self._picture),
            "media/upload": Endpoint("POST", upload=self._upload),
        }

    def _add(self, given: Upload) -> Answer:
        _check(given)
        media_id = secrets.token_urlsafe(32)
        self.permanent[media_id] = given.content
        url = f"http://{PICTURE_HOST}/mmbiz_{_format(given.content)}/{secrets.token_hex(16)}/0"
        return {"media_id": media_id, "url": url, "item": []}

    def _upload(self, given: Upload) -> Answer:
        _check(given)
        media_id = secrets.token_urlsafe(32)
        self.temporary[media_id] = given.content
        return {"type": given.kind, "media_id": media_id, "created_at": int(self.clock().timestamp())}

    def _picture(self, given: Upload) -> Answer:
        _filled(given)
        if _format(given.content) not in {"jpg", "png"}:
            raise Refusal(40005, "invalid file type")
        if len(given.content) >= _MB:
            raise Refusal(40009, "invalid image size")
        url = f"http://{PICTURE_HOST}/mmbiz_{_format(given.content)}/{secrets.token_hex(16)}/0"
        self.pictures[url] = given.content
        return {"url": url}


def _filled(given: Upload) -> None:
    if not given.content:
        raise Refusal(44001, "empty media data")


def _check(given: Upload) -> None:
    if given.kind not in _KINDS:
        raise Refusal(40004, "invalid media type")
    _filled(given)
    limit, formats = _KINDS[given.kind]
    if _format(given.content) not in formats:
        raise Refusal(40005, "invalid file type")
    if len(given.content) > limit:
        raise Refusal(40006, "invalid media size")
