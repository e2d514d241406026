"""What a scan means: who the openid is, whom the QR code was for, and what may follow from that (ADR 0019).

In: an openid and a scene's word, inside the caller's transaction. Out: a `Scan`, the same however often it is asked;
`carry_out` does what it says. Callers: the callback (which tells the user at once), tracking.pushes (which does it).
An openid is never taken from somebody who reads by it, and an address is never taken over: a code for a subscriber
stands behind a link that was sent to that subscriber.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.issues.publications import Publication, Publications
from bdnews_dispatch.official_account.follower_tables import ScenePurpose, WeChatScene
from bdnews_dispatch.official_account.scenes import find_scene, use_scene
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber

_ORIGIN = "wechat"


class Meaning(StrEnum):
    """What follows from a scan."""

    #: No code of ours, or one that was thrown away.
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED = "used"
    #: The subscribe page's wish comes true.
    SUBSCRIBES = "subscribes"
    #: The openid becomes the subscriber's.
    BINDS = "binds"
    #: The subscribe page's code, scanned by who reads already: what they read stays as it is, and comes by WeChat too.
    READS = "reads"
    #: It is theirs already; WeChat is on again.
    BOUND = "bound"
    #: The subscriber has another WeChat.
    OTHER_WECHAT = "other_wechat"
    #: The openid belongs to somebody who reads by it, or who has an address of their own.
    OTHER_READER = "other_reader"
    #: The subscriber is no longer there.
    NOBODY = "nobody"


#: These change something, and use the code up.
_DOES = frozenset({Meaning.SUBSCRIBES, Meaning.READS, Meaning.BINDS, Meaning.BOUND})


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan, understood. `holder`: who has the openid now. `person`: of whom the code is, or becomes."""

    meaning: Meaning
    scene: WeChatScene | None = None
    holder: Subscriber | None = None
    person: Subscriber | None = None


async def understand(session: AsyncSession, clock: Clock, openid: str, word: str) -> Scan:
    """What this user's scan of this code means now. Changes nothing."""
    scene = await find_scene(session, word)
    if scene is None:
        return Scan(Meaning.UNKNOWN)
    person = await session.get(Subscriber, scene.subscriber_id) if scene.subscriber_id is not None else None
    if scene.used_at is not None:
        by_them = person is not None and person.openid == openid
        return Scan(Meaning.BOUND, scene, person, person) if by_them else Scan(Meaning.USED, scene)
    if scene.ends_at <= clock():
        return Scan(Meaning.EXPIRED, scene)
    holder = await people.find_by_openid(session, openid)
    if scene.purpose is ScenePurpose.SUBSCRIBE:
        reading = holder is not None and await _reads(session, holder, scene.publication)
        return Scan(Meaning.READS if reading else Meaning.SUBSCRIBES, scene, holder, holder)
    if person is None or person.erased_at is not None:
        return Scan(Meaning.NOBODY, scene, holder)
    if holder is not None and holder.id == person.id:
        return Scan(Meaning.BOUND, scene, holder, person)
    if person.openid is not None:
        return Scan(Meaning.OTHER_WECHAT, scene, holder, person)
    if holder is not None and not await _may_give_up(session, holder, scene.publication):
        return Scan(Meaning.OTHER_READER, scene, holder, person)
    return Scan(Meaning.BINDS, scene, holder, person)


async def carry_out(
    session: AsyncSession, clock: Clock, publications: Publications, openid: str, word: str
) -> Meaning:
    """Do what the scan means; a code does something once."""
    scan = await understand(session, clock, openid, word)
    scene = scan.scene
    if scene is None or scan.meaning not in _DOES:
        return scan.meaning
    if not await use_scene(session, clock, scene.scene, scan.meaning.value):
        return Meaning.USED
    publication = publications.named(scene.publication)
    proof = Proof(_ORIGIN, f"scan:{scene.scene}", scene.network, scene.consent)
    if scan.meaning is Meaning.SUBSCRIBES:
        await _subscribe(session, clock, publication, scan, openid, proof)
        return scan.meaning
    person = scan.person
    assert person is not None  # noqa: S101  # these meanings have one
    if scan.meaning is Meaning.BINDS:
        if scan.holder is not None:
            await let_go(session, scan.holder)  # an openid is one person's
        person.openid, person.bound_at = openid, clock()
        session.add(person)
        await session.flush()
    if scan.meaning is Meaning.READS:
        scene.subscriber_id = person.id
        session.add(scene)
    await _also_by_wechat(session, clock, publication, person, proof)
    return scan.meaning


async def unbind(session: AsyncSession, clock: Clock, publications: Publications, person: Subscriber) -> bool:
    """Let the subscriber's WeChat go; what they read goes on by email.

    Returns:
        False: they have no WeChat, or no address that could take its place.
    """
    if person.openid is None or person.email is None or person.id is None:
        return False
    for publication in publications.values():
        current = await agreements.current(session, person.id, publication.key)
        if current is not None and current.channel is not ChannelChoice.EMAIL:
            agreement = replace(Agreement.of(current), channel=ChannelChoice.EMAIL)
            await agreements.agree(
                session, clock, person.id, publication, agreement, Proof("preferences", "unbind")
            )
    await let_go(session, person)
    return True


async def let_go(session: AsyncSession, person: Subscriber) -> None:
    """Their WeChat is theirs no longer."""
    person.openid = person.bound_at = None
    session.add(person)
    await session.flush()


async def _may_give_up(session: AsyncSession, holder: Subscriber, publication: str) -> bool:
    """Whether the openid's holder is a mere name: has no address, and has left."""
    return holder.email is None and not await _reads(session, holder, publication)


async def _reads(session: AsyncSession, person: Subscriber, publication: str) -> bool:
    return person.id is not None and await agreements.current(session, person.id, publication) is not None


async def _subscribe(
    session: AsyncSession, clock: Clock, publication: Publication, scan: Scan, openid: str, proof: Proof
) -> None:
    assert scan.scene is not None  # noqa: S101  # the meaning has one
    wish, known = scan.scene.wish, set(publication.section_keys)
    sections = [key for key in wish.get("sections", ()) if key in known]
    agreement = Agreement(
        whole_issue=bool(wish.get("whole_issue")) or not sections,
        sections=sections,
        channel=await _way_of(session, scan.holder, publication),
        cadence=Cadence(wish.get("cadence", "issue")),
    )
    added = await people.add(
        session, clock, publication, email=None, name="", openid=openid, agreement=agreement, proof=proof
    )
    scan.scene.subscriber_id = added.subscriber_id
    session.add(scan.scene)
    if scan.holder is None:
        person = await people.find_by_id(session, added.subscriber_id)
        person.language = str(wish.get("language", "zh"))[:8]
        session.add(person)


async def _way_of(
    session: AsyncSession, person: Subscriber | None, publication: Publication
) -> ChannelChoice:
    """WeChat joins what is there."""
    if person is None or person.id is None or person.email is None:
        return ChannelChoice.WECHAT
    current = await agreements.current(session, person.id, publication.key)
    if current is None:
        return ChannelChoice.WECHAT
    return ChannelChoice.BOTH if current.channel is ChannelChoice.EMAIL else current.channel


async def _also_by_wechat(
    session: AsyncSession, clock: Clock, publication: Publication, person: Subscriber, proof: Proof
) -> None:
    """What they read comes by WeChat too. Who has left stays so: a scan is no new agreement to read."""
    if person.id is None:
        return
    current = await agreements.current(session, person.id, publication.key)
    if current is None:
        return
    way = await _way_of(session, person, publication)
    await agreements.agree(
        session, clock, person.id, publication, replace(Agreement.of(current), channel=way), proof
    )
