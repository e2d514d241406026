"""The rules of the WeChat platform, as strict as its documents: followers, windows, templates, what may be
sent.

In: calls as wechat_api.py takes them apart, acts of simulated users. Out: answers, or `Refusal` with an
errcode; cards kept. Called by wechat_api.py and sandbox.py. No network here.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bdnews_dispatch.channels.wechat.windows import AFTER_ACTION, AFTER_MESSAGE, ServiceWindow
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.sandbox.kept import CardBox, KeptCard
from bdnews_dispatch.sandbox.wechat_rules import fault_of_field
from bdnews_dispatch.sandbox.wechat_tokens import TokenDesk

#: The stand-in's account. Nothing of it is a secret: it is worth nothing outside.
SANDBOX_APPID = "wx5a6e64626f782e31"
SANDBOX_SECRET = "5a6e64626f7800000000000000000001"  # noqa: S105
SANDBOX_ACCOUNT = "gh_5a6e64626f78"
SANDBOX_CALLBACK_TOKEN = "sandboxcallbacktoken"  # noqa: S105
SANDBOX_AES_KEY = "c2FuZGJveGFlc2tleXNhbmRib3hhZXNrZXlzYW5kYm8"
SANDBOX_TEMPLATE_ID = "SandboxTemplate-New-Issue-Notice-0000000001"
SANDBOX_TEMPLATE_TITLE = "刊物更新提醒"
SANDBOX_TEMPLATE_FIELDS: Mapping[str, str] = {
    "thing1": "刊物名称",
    "character_string2": "期号",
    "date3": "出刊日期",
    "thing4": "栏目",
}

#: How long a client_msg_id is remembered (Template_Message_Interface.html: ten minutes).
_REMEMBERED = timedelta(minutes=10)
_OPENID = re.compile(r"[\w-]{28}")


class Refusal(Exception):  # noqa: N818 — an answer of the platform, not an error of ours
    """The platform's no."""

    def __init__(self, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.more = more


@dataclass(slots=True)
class Follower:
    """A simulated user.

    Attributes:
        openid: who.
        following: now.
        since: when they followed last.
        message_until, message_left: what a message of theirs allows.
        action_until, action_left: what a click, a scan or following allows.
    """

    openid: str
    following: bool = True
    since: datetime | None = None
    message_until: datetime | None = None
    message_left: int = 0
    action_until: datetime | None = None
    action_left: int = 0

    def open_window(self, window: ServiceWindow, now: datetime) -> None:
        """An act of the user's: counts start anew."""
        if window == AFTER_MESSAGE:
            self.message_until, self.message_left = now + window.lasts, window.messages
        else:
            self.action_until, self.action_left = now + window.lasts, window.messages

    def take(self, now: datetime) -> int:
        """Use one message of a window; 0, or the errcode that forbids it."""
        message_open = self.message_until is not None and now < self.message_until
        action_open = self.action_until is not None and now < self.action_until
        if action_open and self.action_left:
            self.action_left -= 1
            return 0
        if message_open and self.message_left:
            self.message_left -= 1
            return 0
        return 45047 if message_open or action_open else 45015


@dataclass(slots=True)
class _Remembered:
    msgid: int
    until: datetime


@dataclass(slots=True)
class Platform:
    """The account, its followers, and what was sent to them.

    Attributes:
        calls: how often each endpoint was called.
        tokens: the access tokens.
        followers: by openid.
        scenes: ticket of a QR code → its scene.
        tags_of: the tags of a follower.
    """

    clock: Clock
    cards: CardBox
    file: Path
    arrived: Callable[[KeptCard], None]
    tokens: TokenDesk = field(init=False)
    tags_of: Callable[[str], list[int]] = field(default=lambda _: [])
    calls: Counter[str] = field(default_factory=Counter)
    followers: dict[str, Follower] = field(default_factory=dict)
    scenes: dict[str, str] = field(default_factory=dict)
    _known_ids: dict[tuple[str, str], _Remembered] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = TokenDesk(self.clock)
        # 64-bit, as the platform's are: more than a float holds.
        self._ids = itertools.count(2_400_000_000_000_000_001 + int(self.clock().timestamp() * 1000) * 1000)

    def load(self) -> None:
        """Followers of the last run. Blocks: call it in a thread."""
        if not self.file.is_file():
            return
        for row in json.loads(self.file.read_text(encoding="utf-8")):
            times = {
                key: datetime.fromisoformat(row[key]) if row[key] else None
                for key in ("since", "message_until", "action_until")
            }
            self.followers[row["openid"]] = Follower(**{**row, **times})

    def save(self) -> None:
        """Keep the followers for the next run."""
        rows = [asdict(follower) for follower in self.followers.values()]
        self.file.write_text(
            json.dumps(rows, ensure_ascii=False, default=datetime.isoformat), encoding="utf-8"
        )

    def act(self, openid: str, *, message: bool) -> Follower:
        """A user does something that opens their window.

        Raises:
            ValueError: this user doesn't follow, so there is nothing they could do it on.
        """
        follower = self.followers.get(openid)
        if follower is None or not follower.following:
            raise ValueError(f"{openid} 没有关注，先要 follow")
        follower.open_window(AFTER_MESSAGE if message else AFTER_ACTION, self.clock())
        self.save()
        return follower

    def follow(self, openid: str) -> Follower:
        """A user follows; that opens the short window."""
        follower = self.followers.setdefault(openid, Follower(openid))
        follower.following, follower.since = True, self.clock()
        follower.open_window(AFTER_ACTION, self.clock())
        self.save()
        return follower

    def known(self, openids: Iterable[str]) -> None:
        """They have followed long ago: no window of theirs is open."""
        for openid in openids:
            self.followers.setdefault(openid, Follower(openid))
        self.save()

    def unfollow(self, openid: str) -> None:
        """A user leaves: windows close."""
        self.followers[openid] = Follower(openid, following=False)
        self.save()

    def next_id(self) -> int:
        """A message id."""
        return next(self._ids)

    def send_custom(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """message/custom/send."""
        follower = self._user(data)
        kind = data.get("msgtype")
        title = description = url = picture = ""
        if kind == "text":
            description = str((data.get("text") or {}).get("content") or "")
            if not description:
                raise Refusal(44004, "empty content")
        elif kind == "news":
            articles = (data.get("news") or {}).get("articles") or []
            if not articles:
                raise Refusal(44003, "empty news data")
            if len(articles) > 1:
                raise Refusal(45008, "article size out of limit")
            article = articles[0]
            title, description, url, picture = (
                str(article.get(key) or "") for key in ("title", "description", "url", "picurl")
            )
            if not title and not description:
                raise Refusal(44003, "empty news data")
            if not url.startswith(("http://", "https://")):
                raise Refusal(40035, "invalid parameter: url")
        else:
            raise Refusal(40008, "invalid message type")
        if follower is None or not follower.following:
            raise Refusal(45015, "response out of time limit or subscription is canceled")
        if code := follower.take(self.clock()):
            words = {45015: "response out of time limit or subscription is canceled"}
            raise Refusal(code, words.get(code, "out of response count limit"))
        self.save()
        self.keep(follower.openid, "custom", title, description=description, url=url, picture=picture)
        return {"errcode": 0, "errmsg": "ok"}

    def send_template(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """message/template/send."""
        follower = self._user(data)
        if data.get("template_id") != SANDBOX_TEMPLATE_ID:
            raise Refusal(40037, "invalid template_id")
        fields = data.get("data")
        if not isinstance(fields, dict):
            raise Refusal(47003, "argument invalid! data is empty")
        for name in sorted({*SANDBOX_TEMPLATE_FIELDS, *fields}):
            if name not in SANDBOX_TEMPLATE_FIELDS:
                raise Refusal(47003, f"argument invalid! data.{name} is not in the template")
            if fault := fault_of_field(name, fields.get(name)):
                raise Refusal(47003, fault)
        client_id = str(data.get("client_msg_id") or "")
        if len(client_id.encode()) > 32:
            raise Refusal(40035, "invalid parameter: client_msg_id")
        if follower is None or not follower.following:
            raise Refusal(43004, "require subscribe")
        now, key = self.clock(), (follower.openid, client_id)
        known = self._known_ids.get(key) if client_id else None
        if known and now < known.until:
            return {"errcode": 0, "errmsg": "ok", "msgid": known.msgid}
        msgid = self.keep(
            follower.openid,
            "template",
            SANDBOX_TEMPLATE_TITLE,
            url=str(data.get("url") or ""),
            data={name: fields[name]["value"] for name in SANDBOX_TEMPLATE_FIELDS},
            client_msg_id=client_id,
        )
        if client_id:
            self._known_ids[key] = _Remembered(msgid, now + _REMEMBERED)
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

    def user_info(self, openid: str) -> dict[str, Any]:
        """user/info: little is told of who doesn't follow."""
        if openid not in self.followers and not _OPENID.fullmatch(openid):
            raise Refusal(40003, "invalid openid")
        follower = self.followers.get(openid)
        if follower is None or not follower.following:
            return {"subscribe": 0, "openid": openid, "tagid_list": []}
        since = int(follower.since.timestamp()) if follower.since else 0
        return {
            "subscribe": 1,
            "openid": openid,
            "language": "zh_CN",
            "subscribe_time": since,
            "remark": "",
            "groupid": 0,
            "tagid_list": self.tags_of(openid),
            "subscribe_scene": "ADD_SCENE_QR_CODE",
        }

    def _user(self, data: Mapping[str, Any]) -> Follower | None:
        openid = data.get("touser")
        if not isinstance(openid, str) or not openid:
            raise Refusal(40003, "invalid openid")
        if openid not in self.followers and not _OPENID.fullmatch(openid):
            raise Refusal(40003, "invalid openid")
        return self.followers.get(openid)

    def keep(
        self,
        openid: str,
        mode: str,
        title: str,
        *,
        description: str = "",
        url: str = "",
        picture: str = "",
        data: Mapping[str, str] | None = None,
        client_msg_id: str = "",
        msgid: int = 0,
    ) -> int:
        """Keep one message as its reader would see it; gives its id (`msgid` 0: a new one)."""
        msgid = msgid or self.next_id()
        data = dict(data or {})
        card = self.cards.keep(
            self.clock(),
            openid=openid,
            mode=mode,
            title=title,
            description=description,
            url=url,
            picture_url=picture,
            fields={SANDBOX_TEMPLATE_FIELDS[name]: value for name, value in data.items()},
            data=data,
            msgid=msgid,
            client_msg_id=client_msg_id,
        )
        self.arrived(card)
        return msgid
