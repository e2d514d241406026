"""Publishing drafts without telling followers: freepublish.

Source: Publish/Publish.html and beside it; the result comes as PUBLISHJOBFINISH, 0 to 6, 0 is a success.
"""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.sandbox.wechat.drafts import Draft, Drafts
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, integer, text
from bdnews_dispatch.sandbox.wechat.reports import Reports
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_ACCOUNT, Refusal


@dataclass(slots=True)
class _Publication:
    publish_id: str
    article_id: str
    draft: Draft
    status: int

    def address(self) -> str:
        return f"http://mp.weixin.qq.com/s/{self.article_id}"


@dataclass(slots=True)
class Publications:
    """What was published.

    Attributes:
        all: publish_id → publication, oldest first.
    """

    drafts: Drafts
    reports: Reports
    all: dict[str, _Publication] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(100_000_001))

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "freepublish/submit": Endpoint("POST", self._submit),
            "freepublish/get": Endpoint("POST", self._state),
            "freepublish/getarticle": Endpoint("POST", self._article),
            "freepublish/batchget": Endpoint("POST", self._list),
            "freepublish/delete": Endpoint("POST", self._delete),
        }

    def _submit(self, data: Mapping[str, Any]) -> Answer:
        draft = self.drafts.find(data)
        publish_id, status = str(next(self._ids)), int(self.reports.status("0"))
        article_id = secrets.token_urlsafe(24) if status == 0 else ""
        made = self.all[publish_id] = _Publication(publish_id, article_id, draft, status)
        info: dict[str, Any] = {"publish_id": publish_id, "publish_status": str(status)}
        if status == 0:
            del self.drafts.box[data["media_id"]]
            item = {"idx": "1", "article_url": made.address()}
            info |= {"article_id": made.article_id, "article_detail": {"count": "1", "item": item}}
        self.reports.finished(SANDBOX_ACCOUNT, "PUBLISHJOBFINISH", {"PublishEventInfo": info})
        return done(publish_id=publish_id)

    def _state(self, data: Mapping[str, Any]) -> Answer:
        made = self.all.get(text(data, "publish_id"))
        if made is None:
            raise Refusal(40035, "invalid parameter: publish_id")
        answer: Answer = {
            "publish_id": made.publish_id,
            "publish_status": made.status,
            "fail_idx": [] if made.status == 0 else [1],
        }
        if made.status:
            return answer
        items = [{"idx": n, "article_url": made.address()} for n in range(1, len(made.draft.articles) + 1)]
        return {
            **answer,
            "article_id": made.article_id,
            "article_detail": {"count": len(items), "item": items},
        }

    def _public(self, data: Mapping[str, Any]) -> _Publication:
        wanted = text(data, "article_id")
        found = next(
            (made for made in self.all.values() if made.status == 0 and made.article_id == wanted), None
        )
        if found is None:
            raise Refusal(53600, "article id invalid")
        return found

    def _article(self, data: Mapping[str, Any]) -> Answer:
        return {"news_item": self._public(data).draft.articles}

    def _list(self, data: Mapping[str, Any]) -> Answer:
        offset, count = integer(data, "offset"), integer(data, "count")
        if not 1 <= count <= 20:
            raise Refusal(40035, "invalid parameter: count")
        full = integer(data, "no_content", 0) == 0
        public = [made for made in reversed(self.all.values()) if made.status == 0]
        page = public[offset : offset + count]
        items = [
            {
                "article_id": made.article_id,
                "content": made.draft.shown(content=full),
                "update_time": made.draft.changed,
            }
            for made in page
        ]
        return {"total_count": len(public), "item_count": len(page), "item": items}

    def _delete(self, data: Mapping[str, Any]) -> Answer:
        self._public(data).status = 5
        return done()
