"""Mass sends: one draft to a list of openids or to a tag; four for each follower in a calendar month.

Source: Batch_Sends_and_Originality_Checks.html. A follower whose four are used doesn't get it; the job's counts say so.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.sandbox.wechat.drafts import Draft, Drafts
from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, inner, integer, text, texts
from bdnews_dispatch.sandbox.wechat.reports import Reports
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_ACCOUNT, Platform, Refusal

A_MONTH = 4
OPENIDS = (2, 10_000)
_SAME_ID_APART = timedelta(minutes=1)
_SAME_ID_HOLDS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Job:
    """One mass send.

    Attributes:
        msgid, data_id: the platform's.
        draft: what was sent.
        sent: who got it.
        total: who was meant and follows.
        at: when.
        status: as MASSSENDJOBFINISH says.
    """

    msgid: int
    data_id: int
    draft: Draft
    sent: frozenset[str]
    total: int
    at: datetime
    status: str


@dataclass(slots=True)
class Mass:
    """All mass sends.

    Attributes:
        members: the followers of a tag; 45159 by its own refusal where there is none.
        jobs: msg_id → job.
        received: (month, openid) → how many.
    """

    platform: Platform
    drafts: Drafts
    reports: Reports
    members: Callable[[int], Collection[str]]
    jobs: dict[int, Job] = field(default_factory=dict)
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    _known: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    _deleted: set[int] = field(default_factory=set)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "message/mass/send": Endpoint("POST", self._to_openids),
            "message/mass/sendall": Endpoint("POST", self._to_tag),
            "message/mass/get": Endpoint("POST", self._state),
            "message/mass/delete": Endpoint("POST", self._delete),
        }

    def used(self, openid: str) -> int:
        """How many of this month's four a follower has had."""
        return self.received[self._month(), openid]

    def _to_openids(self, data: Mapping[str, Any]) -> Answer:
        openids = texts(data, "touser") if isinstance(data.get("touser"), list) else []
        if len(openids) < OPENIDS[0]:
            raise Refusal(40130, "invalid openid list size, at least two openid")
        if len(openids) > OPENIDS[1]:
            raise Refusal(40032, "invalid openid list size")
        return self._send(data, openids)

    def _to_tag(self, data: Mapping[str, Any]) -> Answer:
        chosen = inner(data, "filter")
        if chosen.get("is_to_all") is True:
            return self._send(data, tuple(self.platform.followers))
        return self._send(data, self.members(integer(chosen, "tag_id")))

    def _send(self, data: Mapping[str, Any], openids: Collection[str]) -> Answer:
        if data.get("msgtype") != "mpnews":
            raise Refusal(40008, "invalid message type")
        now, client_id = self.platform.clock(), text(data, "clientmsgid", "")
        if len(client_id.encode()) > 32:
            raise Refusal(45067, "clientmsgid size out of limit")
        known = self._known.get(client_id)
        if known is not None and now - self.jobs[known[0]].at < _SAME_ID_HOLDS:
            msgid, last = known
            self._known[client_id] = (msgid, now)
            if now - last < _SAME_ID_APART:
                raise Refusal(45066, "same clientmsgid retry too fast")
            raise Refusal(45065, "clientmsgid exist", msg_id=msgid, msg_data_id=self.jobs[msgid].data_id)
        media = inner(data, "mpnews")
        draft = self.drafts.find(media)
        follows = {o for o in openids if (f := self.platform.followers.get(o)) and f.following}
        if not follows:
            raise Refusal(40003, "invalid openid")
        sent = frozenset(openid for openid in follows if self.used(openid) < A_MONTH)
        if not sent:
            raise Refusal(45028, "has no masssend quota")
        job = self._deliver(draft, sent, len(follows))
        if client_id:
            self._known[client_id] = (job.msgid, now)
        self.drafts.box.pop(media["media_id"], None)  # a draft that was sent leaves the box
        return done("send job submission success", msg_id=job.msgid, msg_data_id=job.data_id)

    def _deliver(self, draft: Draft, sent: frozenset[str], total: int) -> Job:
        status = self.reports.status("send success")
        reached = sent if status == "send success" else frozenset[str]()
        msgid, data_id = self.platform.next_id(), self.platform.next_id()
        job = Job(msgid, data_id, draft, reached, total, self.platform.clock(), status)
        self.jobs[msgid] = job
        first = draft.articles[0]
        for openid in sorted(reached):
            self.received[self._month(), openid] += 1
            self.platform.keep(
                openid, "mass", first["title"], description=first["digest"], url=first["url"], msgid=msgid
            )
        counts = {
            "TotalCount": total,
            "FilterCount": len(sent),
            "SentCount": len(reached),
            "ErrorCount": len(sent) - len(reached),
        }
        fields = {"MsgID": str(msgid), "Status": status, **{k: str(v) for k, v in counts.items()}}
        self.reports.finished(SANDBOX_ACCOUNT, "MASSSENDJOBFINISH", fields)
        return job

    def _job(self, data: Mapping[str, Any]) -> Job:
        job = self.jobs.get(integer(data, "msg_id"))
        if job is None:
            raise Refusal(40059, "invalid msg id")
        return job

    def _state(self, data: Mapping[str, Any]) -> Answer:
        job = self._job(data)
        if job.msgid in self._deleted:
            return {"msg_id": job.msgid, "msg_status": "DELETE"}
        good = job.status == "send success"
        return {"msg_id": job.msgid, "msg_status": "SEND_SUCCESS" if good else "SEND_FAIL"}

    def _delete(self, data: Mapping[str, Any]) -> Answer:
        self._deleted.add(self._job(data).msgid)
        return done()

    def _month(self) -> str:
        return f"{beijing(self.platform.clock()):%Y-%m}"
