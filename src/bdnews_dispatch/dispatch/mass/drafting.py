"""Drafts of a dispatch: one for each set of sections and account, made once and found again.

In: a dispatch and sections. Out: a media id. Caller: job.py. A worker that dies between the platform's answer and our
row leaves a draft in the box that nobody sends.
"""

import hashlib
import logging
from pathlib import Path
from typing import Protocol

from sqlmodel import delete
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.fields import clean, shorten
from bdnews_dispatch.channels.wechat.mass import AUTHOR, CONTENT, DIGEST, TITLE, MassArticle, MassSender
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.digests.card import card_for
from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.digests.mass_article import mass_content, pictures_of
from bdnews_dispatch.dispatch.contents import digest_of, load_contents
from bdnews_dispatch.dispatch.mass.models import MassCover, MassDraft, MassPicture, MassSend
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.issues.models import Picture
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.shipped import shipped

logger = logging.getLogger(__name__)

_COVER_OCTETS = 64 * 1024


class OfAccount(Protocol):
    """What drafting needs of an account."""

    @property
    def settings(self) -> WeChatSettings: ...
    @property
    def sender(self) -> MassSender: ...


class Drafting:
    """Makes drafts."""

    def __init__(self, database: Database, clock: Clock, publications: Publications, links: Links) -> None:
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links

    async def draft(self, account: OfAccount, dispatch: Dispatch, sections: tuple[str, ...]) -> str:
        """The draft of these sections.

        Raises:
            PlatformError, UnreachableError: it could not be made.
            SettingsError: the cover can't be used.
        """
        assert dispatch.id is not None  # noqa: S101  # read from the database
        key = (dispatch.id, account.settings.appid, ",".join(sections))
        async with self._database.read() as session:
            found = await session.get(MassDraft, key)
            if found is not None:
                return found.media_id
            contents = await load_contents(session, dispatch, self._links)
        publication = self._publications.named(contents.publication_key)
        digest = digest_of(publication, contents, sections)
        text = card_for(digest)
        article = MassArticle(
            title=shorten(clean(text.title), TITLE),
            author=shorten(clean(account.settings.mass_author or publication.name), AUTHOR),
            digest=shorten(clean(text.description), DIGEST),
            content=mass_content(digest, CONTENT, await self._pictures(account, digest)),
            source_url=contents.editions[0].url if contents.editions else "",
        )
        media_id = await account.sender.add_draft(article, await self._cover(account))
        async with self._database.write() as session:
            row = dict(zip(("dispatch_id", "appid", "sections"), key, strict=True))
            await session.execute(
                insert_new(session, MassDraft).values(**row, media_id=media_id, made_at=self._clock())
            )
            found = await session.get(MassDraft, key)
        return found.media_id if found is not None else media_id

    async def forget(self, session: AsyncSession, send: MassSend) -> None:
        """The platform no longer has the draft."""
        await session.execute(
            delete(MassDraft).where(
                MassDraft.dispatch_id == send.dispatch_id,  # type: ignore[arg-type]  # a column, at run time
                MassDraft.appid == send.appid,  # type: ignore[arg-type]
                MassDraft.sections == send.sections,  # type: ignore[arg-type]
            )
        )

    async def _cover(self, account: OfAccount) -> str:
        """The media id of the cover; uploaded once for an account and a file."""
        file = Path(account.settings.mass_cover or shipped("templates") / "wechat" / "cover.jpg")
        content = _read_cover(file)
        key = (account.settings.appid, hashlib.sha256(content).hexdigest())
        async with self._database.read() as session:
            found = await session.get(MassCover, key)
        if found is not None:
            return found.media_id
        media_id = await account.sender.add_cover(content)
        async with self._database.write() as session:
            await session.execute(
                insert_new(session, MassCover).values(appid=key[0], digest=key[1], media_id=media_id)
            )
        return media_id

    async def _pictures(self, account: OfAccount, digest: Digest) -> dict[str, str]:
        """Digest of each picture that the platform has taken → its address there; uploaded once for an account."""
        appid, found = account.settings.appid, dict[str, str]()
        for one in pictures_of(digest):
            async with self._database.read() as session:
                known = await session.get(MassPicture, (appid, one.digest))
                stored = None if known is not None else await session.get(Picture, one.digest)
            url = known.url if known is not None else ""
            if stored is not None:
                url = await account.sender.add_picture(stored.content, stored.mime) or ""
                if not url:
                    logger.warning("wechat.picture_refused", extra={"picture": one.digest[:12]})
                async with self._database.write() as session:
                    row = {"appid": appid, "digest": one.digest, "url": url}
                    await session.execute(insert_new(session, MassPicture).values(**row))
            if url:
                found[one.digest] = url
        return found


def _read_cover(file: Path) -> bytes:
    """Raises: SettingsError: it can't be read, is no JPEG, or is too large."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"读不到群发封面 {file}：{error.strerror}", hint="请检查 wechat.mass_cover。"
        ) from error
    if not content.startswith(b"\xff\xd8\xff") or len(content) > _COVER_OCTETS:
        raise SettingsError(f"群发封面 {file} 不能用", hint="请用不超过 64 KB 的 JPEG（wechat.mass_cover）。")
    return content
