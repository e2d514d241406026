"""How often an endpoint may be called: in a Beijing day (45009), in a minute (45011); clearing it.

Source: openApi clearQuota.html (ten a month, 48006), getApiQuota.html; 模板消息 100,000 a day;
    群发 60 a minute, 100 a day.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.clock import Clock, beijing
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, text
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_APPID, Refusal

CLEARS_A_MONTH = 10
_USUAL_A_DAY = 1_000_000


@dataclass(slots=True)
class Quotas:
    """What was used today and in this minute.

    Attributes:
        a_day, a_minute: endpoint → limit; tests may lower them.
    """

    clock: Clock
    a_day: dict[str, int] = field(
        default_factory=lambda: {
            "message/template/send": 100_000,
            "message/mass/send": 100,
            "message/mass/sendall": 100,
            "draft/add": 1000,
            "material/add_material": 1000,
        }
    )
    a_minute: dict[str, int] = field(
        default_factory=lambda: {"message/mass/send": 60, "message/mass/sendall": 60}
    )
    known: frozenset[str] = frozenset()
    _day: str = ""
    _minute: str = ""
    _used: Counter[str] = field(default_factory=Counter)
    _this_minute: Counter[str] = field(default_factory=Counter)
    _clears: Counter[str] = field(default_factory=Counter)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "clear_quota": Endpoint("POST", self._clear),
            "openapi/quota/get": Endpoint("POST", self._tell),
        }

    def take(self, endpoint: str) -> None:
        """Count one call.

        Raises:
            Refusal: 45009, 45011.
        """
        self._turn()
        if self._used[endpoint] >= self.a_day.get(endpoint, _USUAL_A_DAY):
            raise Refusal(45009, "reach max api daily quota limit")
        if self._this_minute[endpoint] >= self.a_minute.get(endpoint, _USUAL_A_DAY):
            raise Refusal(45011, "api minute-quota reach limit, must slower, retry next minute")
        self._used[endpoint] += 1
        self._this_minute[endpoint] += 1

    def _turn(self) -> None:
        now = beijing(self.clock())
        if (day := f"{now:%Y-%m-%d}") != self._day:
            self._day = day
            self._used.clear()
        if (minute := f"{now:%Y-%m-%d %H:%M}") != self._minute:
            self._minute = minute
            self._this_minute.clear()

    def _clear(self, data: Mapping[str, Any]) -> Answer:
        if data.get("appid") != SANDBOX_APPID:
            raise Refusal(40013, "invalid appid")
        month = f"{beijing(self.clock()):%Y-%m}"
        if self._clears[month] >= CLEARS_A_MONTH:
            raise Refusal(48006, "forbid to clear quota because of reaching the limit")
        self._clears[month] += 1
        self._used.clear()
        return done()

    def _tell(self, data: Mapping[str, Any]) -> Answer:
        self._turn()
        path = text(data, "cgi_path")
        endpoint = path.removeprefix("/cgi-bin/")
        if endpoint == path or endpoint not in self.known:
            raise Refusal(76021, "cgi_path not found, please check")
        limit, used = self.a_day.get(endpoint, _USUAL_A_DAY), self._used[endpoint]
        return done(quota={"daily_limit": limit, "used": used, "remain": limit - used})
