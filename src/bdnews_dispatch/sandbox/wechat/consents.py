"""订阅通知: what a user agreed to is used up by one message each, or lasts.

Source: Subscription_Messages/api.html: bizsend; 43101 where there is no consent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, inner, text
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_TEMPLATE_FIELDS, Platform, Refusal
from bdnews_dispatch.sandbox.wechat_rules import fault_of_field

ONE_TIME_TEMPLATE_ID = "SandboxNotice-One-Time-Consent-000000000001"
LONG_TERM_TEMPLATE_ID = "SandboxNotice-Long-Term-Consent-00000000001"


@dataclass(slots=True)
class Consents:
    """Who agreed to what.

    Attributes:
        credits: (openid, template) → messages still allowed; a long-term consent is never used up.
    """

    platform: Platform
    credits: Counter[tuple[str, str]] = field(default_factory=Counter)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "message/subscribe/bizsend": Endpoint("POST", self._send),
            "wxaapi/newtmpl/gettemplate": Endpoint("GET", self._templates),
        }

    def accept(self, openid: str, template_id: str) -> None:
        """A user agrees to one more message, or to a long-term template."""
        self.credits[openid, template_id] += 1

    def reject(self, openid: str, template_id: str) -> None:
        """A user takes back what they agreed to."""
        self.credits[openid, template_id] = 0

    def _templates(self, _: Mapping[str, Any]) -> Answer:
        content = "\n".join(f"{label}:{{{{{name}.DATA}}}}" for name, label in SANDBOX_TEMPLATE_FIELDS.items())
        kinds = {ONE_TIME_TEMPLATE_ID: 2, LONG_TERM_TEMPLATE_ID: 3}
        rows = [
            {"priTmplId": id_, "title": "新一期发布通知", "content": content, "example": "", "type": kind}
            for id_, kind in kinds.items()
        ]
        return {**done(), "data": rows}

    def _send(self, data: Mapping[str, Any]) -> Answer:
        openid, template_id = text(data, "touser"), text(data, "template_id")
        self.platform.user_info(openid)
        if template_id not in {ONE_TIME_TEMPLATE_ID, LONG_TERM_TEMPLATE_ID}:
            raise Refusal(40037, "invalid template_id")
        fields = inner(data, "data")
        for name in sorted({*SANDBOX_TEMPLATE_FIELDS, *fields}):
            if name not in SANDBOX_TEMPLATE_FIELDS:
                raise Refusal(47003, f"argument invalid! data.{name} is not in the template")
            if fault := fault_of_field(name, fields.get(name)):
                raise Refusal(47003, fault)
        if not self.credits[openid, template_id]:
            raise Refusal(43101, "user refuse to accept the msg")
        if template_id == ONE_TIME_TEMPLATE_ID:
            self.credits[openid, template_id] -= 1
        self.platform.keep(
            openid,
            "subscribe",
            "订阅通知",
            url=text(data, "page", ""),
            data={name: fields[name]["value"] for name in SANDBOX_TEMPLATE_FIELDS},
        )
        return done()
