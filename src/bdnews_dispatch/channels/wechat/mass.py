"""Mass messages (群发): a draft for a set of sections, sent to openids under an id that makes repeats harmless.

In: an article, a cover; openids. Out: media ids, or an `Outcome` for all members at once. Called by dispatch/mass/.

Source: Draft_Box/Add_draft.html, Batch_Sends_and_Originality_Checks.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.client import (
    AsyncWeChatClient,
    Attachment,
    PlatformError,
    UnreachableError,
)
from bdnews_dispatch.channels.wechat.outcomes import SAME_KEY, outcome_of
from bdnews_dispatch.clock import Clock

#: openids a call.
FEWEST, MOST = 2, 10_000
#: What the platform takes of a draft, in characters; `CONTENT` is what it no longer takes.
TITLE, AUTHOR, DIGEST, CONTENT = 32, 16, 128, 20_000
_AGAIN_SECONDS = 60.0
#: In place of an openid, where a call is about nobody.
NOBODY = "\0"
#: Its format, its size, and what it shows (content check) are not taken.
_NO_PICTURE = {40005, 40006, 40009, 40137, 45001, 87009, 87014}
#: The answer says nothing certain: the same id again.
_SAME_ID = {-1, 45066}


@dataclass(frozen=True, slots=True)
class MassArticle:
    """What readers of one set of sections get; fits the platform's lengths. `source_url`: behind 阅读原文."""

    title: str
    author: str
    digest: str
    content: str
    source_url: str


class MassSender:
    """Drafts and mass sends of one account."""

    def __init__(self, client: AsyncWeChatClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def add_cover(self, content: bytes) -> str:
        """Make a JPEG of at most 64 KB permanent material. Returns: its media id.

        Raises:
            PlatformError, UnreachableError: it is not there.
        """
        attachment = Attachment("cover.jpg", content, "image/jpeg")
        answer = await self._client.upload("material/add_material", attachment, type="thumb")
        return str(answer["media_id"])

    async def add_picture(self, content: bytes, mime: str) -> str | None:
        """Have a picture inside articles: JPEG or PNG, below 1 MB (media/uploadimg).

        Returns:
            Where the platform shows it; None: it does not take this one.

        Raises:
            PlatformError, UnreachableError: it is not there.
        """
        name = "picture.png" if mime == "image/png" else "picture.jpg"
        try:
            answer = await self._client.upload("media/uploadimg", Attachment(name, content, mime))
        except PlatformError as error:
            if error.code in _NO_PICTURE:
                return None
            raise
        return str(answer["url"])

    async def add_draft(self, article: MassArticle, cover_id: str) -> str:
        """Put an article into the draft box. For result and errors see `add_cover`."""
        data = {
            "title": article.title,
            "author": article.author,
            "digest": article.digest,
            "content": article.content,
            "content_source_url": article.source_url,
            "thumb_media_id": cover_id,
            "need_open_comment": 0,
            "only_fans_can_comment": 0,
        }
        answer = await self._client.post("draft/add", data={"articles": [data]})
        return str(answer["media_id"])

    async def send(self, draft_id: str, openids: Sequence[str], client_msg_id: str) -> Outcome:
        """Send a draft to all of them.

        Args:
            openids: 2 to 10,000.
            client_msg_id: at most 32 bytes; the same for every try of this send.

        Returns:
            ACCEPTED with the platform's msg_id; DEFERRED, where `rule` is `SAME_KEY` if it may have been taken; else
            what is to be done, by the code.
        """
        data = {
            "touser": list(openids),
            "msgtype": "mpnews",
            "mpnews": {"media_id": draft_id},
            "send_ignore_reprint": 1,
            "clientmsgid": client_msg_id,
        }
        try:
            answer = await self._client.post("message/mass/send", data=data)
        except PlatformError as error:
            return _refused(error, self._clock())
        except UnreachableError as error:
            rule = SAME_KEY if error.may_have_arrived else ""
            return Outcome(
                OutcomeKind.DEFERRED,
                error.code,
                error.message,
                "mass",
                retry_after=_AGAIN_SECONDS,
                rule=rule,
            )
        return Outcome(OutcomeKind.ACCEPTED, "0", "", "mass", reference=str(answer.get("msg_id") or ""))


def _refused(error: PlatformError, now: datetime) -> Outcome:
    result = outcome_of(error, mode="mass", now=now, openid=NOBODY)
    if not isinstance(result, Outcome):
        if result.stops:
            return Outcome(
                OutcomeKind.UNAVAILABLE, result.code, result.reason, "mass", remedy=Remedy.STOP_CHANNEL
            )
        return Outcome(OutcomeKind.REFUSED, result.code, result.reason, "mass")
    if error.code in _SAME_ID:
        return result._replace(kind=OutcomeKind.DEFERRED, retry_after=_AGAIN_SECONDS, rule=SAME_KEY)
    return result
