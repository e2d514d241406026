"""Drafts: what is kept to be sent to many or published.

Source: Draft_Box/Add_draft.html and beside it: title ≤ 32, author ≤ 16, digest ≤ 128, content < 20,000 characters
    and < 1 MB; pictures from elsewhere are filtered out; the cover is permanent material.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, integer, text
from bdnews_dispatch.sandbox.wechat.materials import Materials
from bdnews_dispatch.sandbox.wechat_platform import Refusal

_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_SOURCE = re.compile(r"""\b(?:data-)?src\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.IGNORECASE | re.DOTALL)
_ARTICLES = 8
_PAGE = 20


@dataclass(slots=True)
class Draft:
    """One draft: its articles as the platform keeps them, and when.

    Attributes:
        made, changed: seconds.
    """

    articles: list[dict[str, Any]]
    made: int
    changed: int

    def shown(self, *, content: bool = True) -> Answer:
        """As draft/get tells it."""
        items = [{k: v for k, v in item.items() if content or k != "content"} for item in self.articles]
        return {"news_item": items, "create_time": self.made, "update_time": self.changed}


@dataclass(slots=True)
class Drafts:
    """The draft box.

    Attributes:
        box: media_id → draft; one that was sent or published is gone.
    """

    clock: Clock
    materials: Materials
    box: dict[str, Draft] = field(default_factory=dict)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "draft/add": Endpoint("POST", self._add),
            "draft/get": Endpoint("POST", lambda data: self.find(data).shown()),
            "draft/update": Endpoint("POST", self._update),
            "draft/delete": Endpoint("POST", self._delete),
            "draft/batchget": Endpoint("POST", self._list),
            "draft/count": Endpoint("GET", lambda _: {"total_count": len(self.box)}),
        }

    def find(self, data: Mapping[str, Any]) -> Draft:
        """The draft of `media_id`.

        Raises:
            Refusal: 40007.
        """
        media_id = data.get("media_id")
        draft = self.box.get(media_id) if isinstance(media_id, str) else None
        if draft is None:
            raise Refusal(40007, "invalid media_id")
        return draft

    def _add(self, data: Mapping[str, Any]) -> Answer:
        given = data.get("articles")
        if not isinstance(given, list) or not given:
            raise Refusal(44003, "empty news data")
        if len(given) > _ARTICLES:
            raise Refusal(45008, "article size out of limit")
        media_id, now = secrets.token_urlsafe(48), int(self.clock().timestamp())
        self.box[media_id] = Draft([self._article(item) for item in given], now, now)
        return {"media_id": media_id, "item": []}

    def _update(self, data: Mapping[str, Any]) -> Answer:
        draft, index = self.find(data), integer(data, "index", 0)
        if not 0 <= index < len(draft.articles):
            raise Refusal(40114, "invalid index value")
        draft.articles[index] = self._article(data.get("articles"))
        draft.changed = int(self.clock().timestamp())
        return done()

    def _delete(self, data: Mapping[str, Any]) -> Answer:
        self.find(data)
        del self.box[data["media_id"]]
        return done()

    def _list(self, data: Mapping[str, Any]) -> Answer:
        offset, count = integer(data, "offset"), integer(data, "count")
        if not 1 <= count <= _PAGE:
            raise Refusal(40035, "invalid parameter: count")
        newest = sorted(self.box.items(), key=lambda pair: pair[1].changed, reverse=True)
        page = newest[offset : offset + count]
        full = integer(data, "no_content", 0) == 0
        return {
            "total_count": len(newest),
            "item_count": len(page),
            "item": [
                {"media_id": key, "content": draft.shown(content=full), "update_time": draft.changed}
                for key, draft in page
            ],
        }

    def _article(self, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise Refusal(44003, "empty news data")
        title, author, digest = (text(given, name, "") for name in ("title", "author", "digest"))
        content, thumb = text(given, "content", ""), text(given, "thumb_media_id", "")
        if not title or len(title) > 32:
            raise Refusal(45003, "title size out of limit")
        if len(author) > 16:
            raise Refusal(45110, "author size out of limit")
        if len(digest) > 128:
            raise Refusal(45004, "description size out of limit")
        if not content:
            raise Refusal(44004, "empty content")
        if len(content) >= 20_000 or len(content.encode()) >= 1024 * 1024:
            raise Refusal(45002, "content size out of limit")
        if thumb not in self.materials.permanent:
            raise Refusal(40007, "invalid media_id")
        return {
            "article_type": "news",
            "title": title,
            "author": author,
            "digest": digest,
            "content": _IMAGE.sub(self._kept, _SCRIPT.sub("", content)),
            "content_source_url": text(given, "content_source_url", ""),
            "thumb_media_id": thumb,
            "show_cover_pic": 0,
            "need_open_comment": integer(given, "need_open_comment", 0),
            "only_fans_can_comment": integer(given, "only_fans_can_comment", 0),
            "url": f"http://mp.weixin.qq.com/s?__biz=sandbox&tempkey={secrets.token_hex(16)}",
        }

    def _kept(self, image: re.Match[str]) -> str:
        """The picture, if it came by media/uploadimg; else nothing, as on the platform, without a word."""
        sources = _SOURCE.findall(image.group())
        return image.group() if sources and all(url in self.materials.pictures for url in sources) else ""
