"""One person added, changed or ended by an admin: what is not said stays, and who has left stays away.

In: one person's fields as an admin gives them, inside the caller's transaction. Out: rows. Callers: cli/, later the
console. The same rules as an import's, with one way round them: to say that the person asked to come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import Phrase, StateError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof, current, last_ended
from bdnews_dispatch.subscribers.erasures import erased_among, forget_erasure
from bdnews_dispatch.subscribers.fields import read_address, read_openid
from bdnews_dispatch.subscribers.models import Cadence, Channel, ChannelChoice
from bdnews_dispatch.subscribers.suppressions import is_suppressed

_COME_BACK = Phrase("确是本人要求重新订阅的，请选上“本人要求重新订阅”；命令行：--resubscribe。")


@dataclass(frozen=True, slots=True)
class Said:
    """What an admin says of a person; None is what is not said.

    Attributes:
        sections: keys; empty is the whole issue.
    """

    email: str | None = None
    name: str = ""
    openid: str | None = None
    sections: Sequence[str] | None = None
    channel: ChannelChoice | None = None
    cadence: Cadence | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. Attributes: suppressed: the ways on which nothing reaches them all the same."""

    subscriber_id: int
    status: people.Status
    suppressed: tuple[Channel, ...]


async def add_by_hand(
    session: AsyncSession,
    clock: Clock,
    signer: Signer,
    publication: Publication,
    said: Said,
    proof: Proof,
    *,
    resubscribe: bool = False,
) -> Done:
    """Add somebody, or change what is said of who is there.

    Args:
        resubscribe: they asked to come back: who has left, or had everything erased, may be added.

    Raises:
        FieldError: a value can't be taken.
        StateError: they have left, or had everything erased; or the address is one person's and the openid another's.
    """
    key = read_address(said.email).key if said.email and said.email.strip() else None
    openid = read_openid(said.openid) if said.openid and said.openid.strip() else None
    targets = {Channel.EMAIL: key, Channel.WECHAT: openid}
    if not resubscribe and await erased_among(session, signer, [one for one in targets.values() if one]):
        raise StateError("此人已要求删除其全部数据，没有添加", hint=_COME_BACK)
    person = await people.find(session, email=key, openid=openid)
    before = None
    if person is not None and person.id is not None:
        before = await current(session, person.id, publication.key)
        if before is None:
            before = await last_ended(session, person.id, publication.key)
            if before is not None and not resubscribe:
                raise StateError(
                    Phrase("此人已退订，保持退订，没有添加（订阅者 %(id)s）", id=person.id), hint=_COME_BACK
                )
    agreement = Agreement.of(before) if before is not None else Agreement()
    if said.sections is not None:
        agreement = replace(agreement, whole_issue=not said.sections, sections=tuple(said.sections))
    if said.channel is not None:
        agreement = replace(agreement, channel=said.channel)
    if said.cadence is not None:
        agreement = replace(agreement, cadence=said.cadence)
    added = await people.add(
        session,
        clock,
        publication,
        email=said.email,
        name=said.name,
        openid=said.openid,
        agreement=agreement,
        natural=said.channel is None and before is None,
        proof=proof,
    )
    found = await people.find_by_id(session, added.subscriber_id)
    whose = {Channel.EMAIL: found.email_key, Channel.WECHAT: found.openid}
    if resubscribe:
        for target in whose.values():
            if target:
                await forget_erasure(session, signer, target)
    suppressed = [way for way, one in whose.items() if one and await is_suppressed(session, way, one)]
    return Done(added.subscriber_id, added.status, tuple(suppressed))
