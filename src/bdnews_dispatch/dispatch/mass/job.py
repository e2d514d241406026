"""The job of a dispatch's mass messages: who waits, which sets, a draft and a send for each.

In: a dispatch's id. Out: sends committed before they are called, then what came of them. Caller: the worker, when no
card of the dispatch is left that might still go by itself. Killed anywhere, the same call is made again under the same
clientmsgid, which the platform answers with 45065 and the id of the first.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.channel import MASS_ASIDE
from bdnews_dispatch.channels.wechat.client import PlatformError, UnreachableError
from bdnews_dispatch.channels.wechat.mass import FEWEST, NOBODY, MassSender
from bdnews_dispatch.channels.wechat.outcomes import SAME_KEY, outcome_of
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.control import note, pause
from bdnews_dispatch.dispatch.mass import ledger
from bdnews_dispatch.dispatch.mass.drafting import Drafting
from bdnews_dispatch.dispatch.mass.models import MassSend, MassState
from bdnews_dispatch.dispatch.mass.quotas import take_calls, take_of_members
from bdnews_dispatch.dispatch.mass.reports import apply_report
from bdnews_dispatch.dispatch.mass.sets import Waiting, portions, sets_of
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.errors import SettingsError, StateError
from bdnews_dispatch.links import random_key
from bdnews_dispatch.settings import WeChatSettings

logger = logging.getLogger(__name__)

#: A draft that is gone is made again so often; then the members go another way.
_TRIES = 3
_DRAFT_AGAIN = timedelta(seconds=60)
_DRAFT_GONE, _NO_QUOTA = "40007", "45028"


@dataclass(frozen=True, slots=True)
class Account:
    """One of the two accounts, the real one or the sandbox's."""

    settings: WeChatSettings
    sender: MassSender


class NoRoom(Exception):  # noqa: N818  # unwinds a transaction, nothing is wrong
    """The account's calls are used up for now."""


class MassJob:
    """Mass messages of dispatches, by one worker."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        reach: Reach,
        real: Account | None,
        sandbox: Account,
        drafting: Drafting,
    ) -> None:
        self._database = database
        self._clock = clock
        self._reach = reach
        self._real = real
        self._sandbox = sandbox
        self._drafting = drafting

    @property
    def wanted(self) -> bool:
        """Whether any account may send mass messages."""
        accounts = [self._sandbox, *([self._real] if self._real else [])]
        return any("mass" in account.settings.modes for account in accounts)

    async def waiting(self, dispatch_ids: list[int]) -> list[int]:
        """Of these dispatches, and of those with a call to make again, the ones that `run` has work for."""
        now = self._clock()
        async with self._database.read() as session:
            again = {send.dispatch_id for send in await ledger.unfinished(session, now)}
            new = dispatch_ids if self.wanted else []
            ready = [id_ for id_ in new if await ledger.is_ready(session, id_, now)]
        return sorted(again | set(ready))

    async def run(self, dispatch_id: int) -> None:
        """Make again what was left, then send each set that waits."""
        async with self._database.read() as session:
            left = [
                s for s in await ledger.unfinished(session, self._clock()) if s.dispatch_id == dispatch_id
            ]
        for send in left:
            if await self._may_call_again(send):
                await self._call(send)
        async with self._database.read() as session:
            dispatch = await session.get(Dispatch, dispatch_id)
            if dispatch is None or dispatch.state is not DispatchState.SENDING:
                return
            if not await ledger.is_ready(session, dispatch_id, self._clock()):
                return
            rows = await ledger.waiting_of(session, dispatch)
        by_account: dict[bool, list[Waiting]] = defaultdict(list)
        for id_, sections, openid, mail in rows:
            by_account[self._reach.allows(openid)].append(Waiting(id_, tuple(sections), mail))
        for really, waiting in by_account.items():
            account = self._real if really else self._sandbox
            if account is not None:
                await self._send_sets(account, dispatch, waiting)

    async def _send_sets(self, account: Account, dispatch: Dispatch, waiting: list[Waiting]) -> None:
        sets = sets_of(waiting)
        if sets.alone:
            await self._put_back([one.delivery_id for one in sets.alone], "wechat.mass_alone")
        for sections, members in sets.groups.items():
            for portion in portions(members):
                if not await self._send_one(
                    account, dispatch, sections, [one.delivery_id for one in portion]
                ):
                    return

    async def _send_one(
        self, account: Account, dispatch: Dispatch, sections: tuple[str, ...], ids: list[int]
    ) -> bool:
        """Returns: whether to go on with the next set."""
        now = self._clock()
        try:
            media_id = await self._drafting.draft(account, dispatch, sections)
        except UnreachableError as error:
            await self._rest(account, dispatch, sections, error.code, now + _DRAFT_AGAIN)
            await self._say(dispatch, f"群发草稿未能建立：{error.message} 未发出的都已保留，稍后自动再试。")
            return False
        except PlatformError as error:
            result = outcome_of(error, mode="mass", now=now, openid=NOBODY)
            if isinstance(result, Outcome) and result.kind is OutcomeKind.DEFERRED:
                until = now + timedelta(seconds=result.retry_after or 0)
                await self._rest(account, dispatch, sections, result.code, until)
                await self._say(dispatch, f"群发草稿未能建立：{error} 未发出的都已保留，稍后自动再试。")
            else:
                await self._stop(dispatch, f"wechat：群发草稿未能建立：{error}")
            return False
        except SettingsError as error:
            await self._stop(dispatch, f"wechat：{error.message}。{error.hint}")
            return False
        try:
            send = await self._commit(account, dispatch, sections, media_id, ids)
        except (NoRoom, _NotNow):
            return False
        return send is None or await self._call(send)

    async def _commit(
        self, account: Account, dispatch: Dispatch, sections: tuple[str, ...], media_id: str, ids: list[int]
    ) -> MassSend | None:
        """The send and its members' gates, before any call.

        Returns:
            None: fewer than two are left; they go another way.

        Raises:
            NoRoom: the account may make no more calls for now.
            _NotNow: the dispatch was stopped meanwhile, or somebody of it has come back to the card lane.
        """
        now = self._clock()
        send = _new_send(account, dispatch, sections, media_id, now)
        without: list[int] = []
        try:
            async with self._database.write() as session:
                await self._pass_gate(session, account, send, ids, without)
        except NoRoom:
            await self._rest(account, dispatch, sections, "wechat.quota", _next_minute(now))
            logger.info("wechat.mass_calls_used_up", extra={"dispatch": send.dispatch_id})
            raise
        except _TooFew:
            await self._put_back(without, MASS_ASIDE)  # the card lane finds that their quota is used up
            await self._put_back([id_ for id_ in ids if id_ not in without], "wechat.mass_alone")
            return None
        return send

    async def _pass_gate(
        self, session: AsyncSession, account: Account, send: MassSend, ids: list[int], without: list[int]
    ) -> None:
        """All that a send needs, or nothing. `without` gets those whose quota is used up."""
        now = send.created_at
        dispatch = await session.get(Dispatch, send.dispatch_id, populate_existing=True)
        if dispatch is None or dispatch.state is not DispatchState.SENDING:
            raise _NotNow
        if not await ledger.is_ready(session, send.dispatch_id, now):
            raise _NotNow
        if not await take_calls(session, account.settings, now):
            raise NoRoom
        session.add(send)
        await session.flush()
        passed = await ledger.pass_gate(session, now, send, ids)
        without += await ledger.leave_out(session, account.settings, now, send)
        await take_of_members(session, account.settings, now, send)
        send.members = passed - len(without)
        if send.members < FEWEST:
            raise _TooFew

    async def _may_call_again(self, send: MassSend) -> bool:
        """What becomes of a send that somebody left: made again under its id, given up, or taken apart."""
        account, now = self._account_of(send), self._clock()
        async with self._database.write() as session:
            found = await session.get(MassSend, send.id)
            dispatch = await session.get(Dispatch, send.dispatch_id)
            if found is None or dispatch is None or found.state is not MassState.READY:
                return False
            if not found.tries:  # its worker died before the call: the members pass the gate anew
                await ledger.take_apart(session, now, found)
                return False
            why = ledger.why_not_again(found, dispatch.state, now)
            if account is None:
                why = f"现在的设置里没有公众号 {found.appid}"
            if why or account is None:
                words = f"上一次群发没有得到答复，不再重发：{why}"
                outcome = Outcome(OutcomeKind.UNCERTAIN, SAME_KEY, words, "mass")
                await ledger.await_person(session, now, found, outcome)
                return False
            if await take_calls(session, account.settings, now):
                return True
            await session.rollback()
        async with self._database.write() as session:
            found = await session.get(MassSend, send.id)
            if found is not None and found.state is MassState.READY:
                found.due_at = _next_minute(now)
        return False

    async def _call(self, send: MassSend) -> bool:
        """One try. Returns: whether the account takes more."""
        account = self._account_of(send)
        async with self._database.write() as session:
            found = await session.get(MassSend, send.id)
            if account is None or found is None or found.state is not MassState.READY:
                return True
            if found.tries != send.tries:
                return False  # somebody else is calling
            dispatch = await session.get(Dispatch, found.dispatch_id)
            if dispatch is None or dispatch.state is not DispatchState.SENDING:
                if not found.tries:
                    await ledger.take_apart(session, self._clock(), found)
                return False  # else it waits until it goes on
            found.tries, found.lease_until = found.tries + 1, self._clock() + ledger.LEASE
            openids = await ledger.openids_of(session, found)
        outcome = await account.sender.send(found.media_id, openids, found.client_msg_id)
        logger.info(
            "wechat.mass_sent",
            extra={"dispatch": found.dispatch_id, "members": found.members, "code": outcome.code},
        )
        async with self._database.write() as session:
            told = await session.get(MassSend, found.id)
            if told is None or told.state is not MassState.READY:
                return True  # settled by another's answer
            if told.tries != found.tries and outcome.kind is not OutcomeKind.ACCEPTED:
                return True  # somebody has called again: that answer decides
            await self._settle(session, account, told, outcome)
        if outcome.kind is OutcomeKind.ACCEPTED and found.tries > 1:
            await self._say(dispatch, "")
        elif outcome.rule == SAME_KEY:
            await self._say(
                dispatch,
                f"群发没有得到答复：{outcome.text} {outcome.retry_after or 0:.0f} 秒后以同一编号再问，"
                "平台不会发两次。",
            )
        elif outcome.remedy is Remedy.STOP_CHANNEL:
            await self._stop(dispatch, f"wechat：群发：{outcome.text}")
        return outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.UNCERTAIN, OutcomeKind.REFUSED}

    async def _settle(
        self, session: AsyncSession, account: Account, send: MassSend, outcome: Outcome
    ) -> None:
        now = self._clock()
        if outcome.kind is OutcomeKind.ACCEPTED:
            await ledger.accept(session, now, send, outcome)
            await session.flush()
            await apply_report(session, now, outcome.reference)
            return
        if outcome.kind is OutcomeKind.UNCERTAIN:
            await ledger.await_person(session, now, send, outcome)
            return
        later = now + timedelta(seconds=outcome.retry_after or 0)
        if outcome.rule == SAME_KEY:
            send.due_at, send.lease_until, send.outcome = later, now, outcome.code[:100]
            return
        reason, spent = self._another_way(send, outcome)
        if reason == MASS_ASIDE and outcome.code == _DRAFT_GONE:
            await self._drafting.forget(session, send)
        await ledger.refuse(
            session, account.settings, now, send, outcome, reason=reason, due_at=later, spent=spent
        )

    def _another_way(self, send: MassSend, outcome: Outcome) -> tuple[str, bool]:
        """Under which reason the members go back, and whether their quota is used up."""
        if outcome.kind is not OutcomeKind.REFUSED:
            return MASS_ASIDE, False
        if outcome.code == _NO_QUOTA:
            return MASS_ASIDE, True
        if outcome.code == _DRAFT_GONE and send.tries < _TRIES:
            return MASS_ASIDE, False
        return "wechat.mass_refused", False

    def _account_of(self, send: MassSend) -> Account | None:
        accounts = [self._sandbox, *([self._real] if self._real else [])]
        return next((account for account in accounts if account.settings.appid == send.appid), None)

    async def _put_back(self, ids: list[int], reason: str) -> None:
        if ids:
            async with self._database.write() as session:
                await ledger.put_back(session, self._clock(), ids, reason, self._clock())

    async def _rest(
        self, account: Account, dispatch: Dispatch, sections: tuple[str, ...], code: str, until: datetime
    ) -> None:
        """No send of the dispatch before this moment; a row says why."""
        send = _new_send(account, dispatch, sections, "", self._clock())
        send.state, send.outcome, send.due_at = MassState.REFUSED, code[:100], until
        async with self._database.write() as session:
            session.add(send)

    async def _say(self, dispatch: Dispatch, words: str) -> None:
        assert dispatch.id is not None  # noqa: S101  # read from the database
        await note(self._database, dispatch.id, words[:500])

    async def _stop(self, dispatch: Dispatch, words: str) -> None:
        """A person must mend something first."""
        assert dispatch.id is not None  # noqa: S101  # read from the database
        try:
            async with self._database.write() as session:
                await pause(session, dispatch.id, note=words[:500])
        except StateError:
            return  # somebody was quicker


def _new_send(
    account: Account, dispatch: Dispatch, sections: tuple[str, ...], media_id: str, now: datetime
) -> MassSend:
    assert dispatch.id is not None  # noqa: S101  # read from the database
    return MassSend(
        dispatch_id=dispatch.id,
        appid=account.settings.appid,
        sections=",".join(sections),
        media_id=media_id,
        client_msg_id=random_key(now),
        members=0,
        due_at=now,
        lease_until=now + ledger.LEASE,
        created_at=now,
    )


def _next_minute(now: datetime) -> datetime:
    """When the account takes calls again; where it is the day's that are used up, it is asked each minute."""
    return (now + timedelta(minutes=1)).replace(second=0, microsecond=0)


class _NotNow(Exception):  # noqa: N818  # unwinds a transaction, nothing is wrong
    """The dispatch may not send, or not yet: it comes again by itself."""


class _TooFew(Exception):  # noqa: N818  # unwinds a transaction, nothing is wrong
    """The gate let through fewer than two."""
