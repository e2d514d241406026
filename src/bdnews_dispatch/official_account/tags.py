"""The platform's tags mirror sections, so that editors may send from the platform's own console too.

In: who follows and reads what, by our database, which is the truth. Out: tags made, followers tagged and untagged; rows
of what the platform has. Callers: the scheduler once a day, `bdnews wechat tags`. Runs one at a time, so that changes
for one openid come one after another (45169); what the platform refuses for one follower (45171) stays as it is there
and is tried again the next time.

Source: User_Tag_Management.html: 100 tags an account, 20 a user, 50 openids a call.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, PlatformError
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.official_account.follower_tables import WeChatTag, WeChatTagged
from bdnews_dispatch.subscribers.models import Follower, Subscriber, Subscription

logger = logging.getLogger(__name__)

OPENIDS_A_CALL = 50
_SOME_FAILED = 45171
#: One follower of the call is at fault: unknown, gone, or with 20 tags.
_OF_ONE = frozenset({40003, 43004, 45059, 46004, 49003, 50005})


@dataclass(frozen=True, slots=True)
class Mended:
    """What a run did. `failed`: followers whom the platform refused."""

    tagged: int
    untagged: int
    failed: int


async def mend_tags(
    database: Database, client: AsyncWeChatClient, publication: Publication, *, afresh: bool = False
) -> Mended:
    """Make the platform's tags as the sections of our followers are.

    Args:
        afresh: ask the platform what it has first, instead of believing our rows.

    Raises:
        PlatformError, UnreachableError: the platform refused, or is away; what was done until then is kept.
    """
    appid = str(client.appid)
    ids = await _tags(database, client, appid, publication)
    if afresh:
        await _read_back(database, client, appid, ids)
    async with database.read() as session:
        wanted = await _wanted(session, publication)
        there = await _there(session, appid)
    tagged = untagged = failed = 0
    for section, tag in ids.items():
        more = sorted(wanted[section] - there[section])
        less = sorted(there[section] - wanted[section])
        for openids, add in ((more, True), (less, False)):
            for some in _batches(openids):
                refused = await _call(client, tag, some, add=add)
                good = [openid for openid in some if openid not in refused]
                await _keep(database, appid, section, good, add=add)
                failed += len(refused)
                tagged, untagged = tagged + add * len(good), untagged + (not add) * len(good)
    mended = Mended(tagged, untagged, failed)
    logger.info("wechat.tags_mended", extra={"tagged": tagged, "untagged": untagged, "failed": failed})
    return mended


def _batches(openids: Sequence[str]) -> list[Sequence[str]]:
    return [openids[start : start + OPENIDS_A_CALL] for start in range(0, len(openids), OPENIDS_A_CALL)]


async def _tags(
    database: Database, client: AsyncWeChatClient, appid: str, publication: Publication
) -> dict[str, int]:
    """The tag of each section; those that are not there are made."""
    answer = await client.get("tags/get")
    by_name = {str(row.get("name")): int(row["id"]) for row in answer.get("tags", [])}
    ids = {}
    for section in publication.sections:
        if section.name not in by_name:
            made = await client.post("tags/create", data={"tag": {"name": section.name}})
            by_name[section.name] = int(made["tag"]["id"])
        ids[section.key] = by_name[section.name]
    async with database.write() as session:
        known = {
            row.section: row for row in await session.exec(select(WeChatTag).where(WeChatTag.appid == appid))
        }
        for key, tag in ids.items():
            if key in known and known[key].tag_id != tag:  # somebody deleted it: nobody carries the new one
                await session.execute(
                    delete(WeChatTagged).where(
                        col(WeChatTagged.appid) == appid, col(WeChatTagged.section) == key
                    )
                )
            await session.merge(WeChatTag(appid=appid, section=key, tag_id=tag))
    return ids


async def _read_back(database: Database, client: AsyncWeChatClient, appid: str, ids: dict[str, int]) -> None:
    """Our rows become what the platform says."""
    for section, tag in ids.items():
        openids: list[str] = []
        after = ""
        while True:
            page = await client.post("user/tag/get", data={"tagid": tag, "next_openid": after})
            found = [str(openid) for openid in page.get("data", {}).get("openid", [])]
            openids += found
            after = str(page.get("next_openid") or "")
            if not found or not after:
                break
        theirs = set(openids)
        async with database.read() as session:
            which = WeChatTagged.appid == appid, WeChatTagged.section == section
            ours = set(await session.exec(select(WeChatTagged.openid).where(*which)))
        # What differs alone: all rows anew would keep everybody else from writing for as long as they take.
        for differing, add in ((theirs - ours, True), (ours - theirs, False)):
            for some in _batches(sorted(differing)):
                await _keep(database, appid, section, some, add=add)


async def _wanted(session: AsyncSession, publication: Publication) -> defaultdict[str, set[str]]:
    """Who follows and reads what: with the whole issue, all of it."""
    rows = await session.exec(
        select(Subscriber.openid, Subscription.whole_issue, Subscription.sections)
        .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
        .join(Follower, col(Follower.openid) == col(Subscriber.openid))
        .where(
            Subscription.publication == publication.key,
            col(Subscription.ended_at).is_(None),
            col(Follower.following),
        )
    )
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for openid, whole, sections in rows:
        for section in publication.section_keys if whole else sections:
            wanted[section].add(str(openid))
    return wanted


async def _there(session: AsyncSession, appid: str) -> defaultdict[str, set[str]]:
    there: defaultdict[str, set[str]] = defaultdict(set)
    for row in await session.exec(select(WeChatTagged).where(WeChatTagged.appid == appid)):
        there[row.section].add(row.openid)
    return there


async def _call(client: AsyncWeChatClient, tag: int, openids: Sequence[str], *, add: bool) -> Collection[str]:
    """One call. Returns: whom the platform refused."""
    endpoint = "tags/members/batchtagging" if add else "tags/members/batchuntagging"
    try:
        await client.post(endpoint, data={"openid_list": list(openids), "tagid": tag})
    except PlatformError as error:
        if error.code == _SOME_FAILED:
            named = error.answer.get("fail_openid_list")
            return set(named) & set(openids) if isinstance(named, list) else set(openids)
        if error.code not in _OF_ONE:
            raise
        if len(openids) == 1:
            logger.info("wechat.tag_refused", extra={"code": error.code, "rid": error.rid})
            return set(openids)
        # One that left, or has too many tags, spoils the call: one by one.
        refused: set[str] = set()
        for openid in openids:
            refused |= set(await _call(client, tag, [openid], add=add))
        return refused
    return set()


async def _keep(database: Database, appid: str, section: str, openids: Sequence[str], *, add: bool) -> None:
    if not openids:
        return
    async with database.write() as session:
        if add:
            for openid in openids:
                row = {"appid": appid, "openid": openid, "section": section}
                await session.execute(insert_new(session, WeChatTagged).values(**row))
        else:
            await session.execute(
                delete(WeChatTagged).where(
                    col(WeChatTagged.appid) == appid,
                    col(WeChatTagged.section) == section,
                    col(WeChatTagged.openid).in_(openids),
                )
            )
