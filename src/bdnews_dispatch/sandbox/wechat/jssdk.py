"""The page script inside WeChat's browser, and what it asks the platform: is the signature right, who consents.

In: a page that loads /wechat/jweixin.js. Out: `wx.config`, share data, `<wx-open-subscribe>`; consents, each told by a
push. The stand-in's browser says who looks by a cookie that the phone's page sets on this host.

Source: JS-SDK.html, appendix 1 (signature), Wechat_Open_Tag.html (wx-open-subscribe), Subscription_Messages/api.html.
"""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID, ONE_TIME_TEMPLATE_ID, Consents
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, done
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_APPID, Refusal

#: Who looks.
LOOKS = "bdnews_sandbox_openid"
_SCRIPT = """// The sandbox's stand-in for the platform's page script.
(() => {
  const here = new URL(document.currentScript.src).origin + "/wechat/jssdk";
  const ask = (what, data) => fetch(`${here}/${what}`, {
    method: "POST", credentials: "include", body: JSON.stringify(data),
    headers: { "Content-Type": "text/plain" },
  }).then((answer) => answer.json());
  const ready = [], failed = [];
  let state = "";
  window.wx = {
    shared: {},
    config(data) {
      ask("config", { ...data, url: location.href.split("#")[0] }).then((answer) => {
        state = answer.errcode ? "failed" : "ready";
        (state === "ready" ? ready : failed).forEach((call) => call(answer));
      });
    },
    ready(call) { state === "ready" ? call() : ready.push(call); },
    error(call) { failed.push(call); },
    updateAppMessageShareData(data) { this.shared.friend = data; },
    updateTimelineShareData(data) { this.shared.timeline = data; },
  };
  customElements.define("wx-open-subscribe", class extends HTMLElement {
    connectedCallback() {
      const inside = this.querySelector("script[type='text/wxtag-template']");
      const words = new DOMParser().parseFromString(inside ? inside.textContent : "", "text/html").body.textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words.trim() || "订阅";
      button.addEventListener("click", () => {
        const template = this.getAttribute("template");
        const status = window.confirm("允许公众号向你发送一条订阅通知？（沙箱）") ? "accept" : "reject";
        ask("subscribe", { template, status }).then((answer) => {
          const detail = answer.errcode
            ? { errMsg: answer.errmsg, errCode: String(answer.errcode) }
            : { errMsg: "subscribe:ok", subscribeDetails: JSON.stringify({ [template]: JSON.stringify({ status }) }) };
          this.dispatchEvent(new CustomEvent(answer.errcode ? "error" : "success", { detail }));
        });
      });
      this.append(button);
    }
  });
})();
"""
_MOST_OCTETS = 8192
#: Openid, template, accept or reject.
Consented = Callable[[str, str, str], Awaitable[None]]


@dataclass(slots=True)
class Jssdk:
    """One page script for the account.

    Attributes:
        consented: tells the account by a push: openid, template, accept or reject.
        ticket: lasts as long as the stand-in does.
    """

    consents: Consents
    consented: Consented
    ticket: str = field(default_factory=lambda: f"sandbox_{secrets.token_urlsafe(48)}")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/wechat/jweixin.js", self._script),
            web.post("/wechat/jssdk/config", self._config),
            web.post("/wechat/jssdk/subscribe", self._subscribe),
        ]

    def give(self, query: Mapping[str, Any]) -> Answer:
        """ticket/getticket.

        Raises:
            Refusal: 40097.
        """
        if query.get("type") != "jsapi":
            raise Refusal(40097, "invalid args")
        return done(ticket=self.ticket, expires_in=7200)

    async def _script(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=_SCRIPT, content_type="text/javascript", charset="utf-8")

    async def _config(self, request: web.Request) -> web.Response:
        data = await _read(request)
        if data.get("appId") != SANDBOX_APPID:
            return _answer(request, {"errcode": 40013, "errmsg": "config:invalid appid"})
        text = (
            f"jsapi_ticket={self.ticket}&noncestr={data.get('nonceStr')}"
            f"&timestamp={data.get('timestamp')}&url={data.get('url')}"
        )
        signed = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  # the platform's own algorithm
        if data.get("signature") != signed:
            return _answer(request, {"errcode": 63002, "errmsg": "config:invalid signature"})
        return _answer(request, done())

    async def _subscribe(self, request: web.Request) -> web.Response:
        data, openid = await _read(request), request.cookies.get(LOOKS, "")
        template, status = str(data.get("template", "")), str(data.get("status", ""))
        if not openid or template not in {ONE_TIME_TEMPLATE_ID, LONG_TERM_TEMPLATE_ID}:
            return _answer(
                request, {"errcode": 20001, "errmsg": "subscribe:fail no template or nobody looks"}
            )
        if status == "accept":
            self.consents.accept(openid, template)
        await self.consented(openid, template, status)
        return _answer(request, done())


async def _read(request: web.Request) -> Mapping[str, Any]:
    raw = await request.content.read(_MOST_OCTETS)
    try:
        data = json.loads(raw)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _answer(request: web.Request, data: Answer) -> web.Response:
    """Pages of another port of this machine ask, with the cookie."""
    origin = request.headers.get("Origin", "")
    return web.json_response(
        data,
        headers={"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"},
    )
