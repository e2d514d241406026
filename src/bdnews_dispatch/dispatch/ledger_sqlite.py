"""The ledger's rows in SQLite: statements as the driver reads them, and the store that runs them.

Each statement is one arrow, or a bundle of arrows, of `states.DELIVERY_TRANSITIONS`; a test holds them to it. `worker`
and `epoch` are in every WHERE: what somebody else has claimed since is not touched. Caller: ledger.py.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from bdnews_dispatch.channels.outcome import Outcome
from bdnews_dispatch.channels.wechat.channel import MASS_ASIDE
from bdnews_dispatch.channels.wechat.outcomes import REPEATABLE
from bdnews_dispatch.db.direct import DirectWriter, read_moment, stored
from bdnews_dispatch.dispatch.ledger_store import (
    SAME_KEY_HOLDS,
    CardGate,
    Claim,
    Group,
    PassedOn,
    Settled,
    read_sections,
    storable,
)
from bdnews_dispatch.dispatch.models import DUE, HELD
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.official_account.takings import for_sqlite
from bdnews_dispatch.subscribers.audience import Person, people_by
from bdnews_dispatch.subscribers.models import Channel

_MAY_SEND = (
    "EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = {dispatch} AND state IN ('planning', 'sending'))"
)

CLAIM = f"""
UPDATE delivery
SET state = 'claimed', worker = :worker, epoch = epoch + 1, lease_until = :lease, updated_at = :now
WHERE id IN (
    SELECT id FROM delivery
    WHERE dispatch_id = :dispatch AND channel = :channel AND {DUE} AND due_at <= :now
    ORDER BY due_at, id LIMIT :limit
) AND {_MAY_SEND.format(dispatch=":dispatch")}
RETURNING id, epoch, subscriber_id, key, sections, attempts, first_tried_at
"""  # constants of this module

_WANTED = """EXISTS (
    SELECT 1 FROM dispatch JOIN subscription ON subscription.publication = dispatch.publication
    WHERE dispatch.id = delivery.dispatch_id {may_send}
    AND subscription.subscriber_id = delivery.subscriber_id
    AND subscription.ended_at IS NULL AND subscription.channel <> {other}
    AND (subscription.paused_until IS NULL OR subscription.paused_until <= {now})
)"""
_OTHER = {Channel.EMAIL: f"'{Channel.WECHAT}'", Channel.WECHAT: f"'{Channel.EMAIL}'"}

#: By channel: claimed → in_flight.
GATES = {
    channel: f"""
UPDATE delivery SET state = 'in_flight', updated_at = ?1
WHERE id = ?2 AND epoch = ?3 AND worker = ?4 AND state = 'claimed'
AND {_WANTED.format(may_send="AND dispatch.state IN ('planning', 'sending')", other=other, now="?1")}
"""  # constants of this module
    for channel, other in _OTHER.items()
}

#: How long the platform knows a call again by its id is counted from the first one.
CALLED_AT = f"CASE WHEN {{mode}} = '{REPEATABLE}' THEN coalesce(called_at, {{now}}) END"
#: A card's: its mode is kept with it, for whoever finds it in flight. A call that was made too long ago is not made
#: again; what becomes of it is decided when it is claimed the next time.
CARD_GATE = (
    GATES[Channel.WECHAT].replace(
        "SET state = 'in_flight',",
        f"SET state = 'in_flight', mode = ?5, called_at = {CALLED_AT.format(mode='?5', now='?1')},",
    )
    + "AND (called_at IS NULL OR called_at > ?6)"
)

#: An acceptance that is known counts even where a recovery has meanwhile called the delivery uncertain, or given it
#: back and nobody has claimed it since: the epoch is still the same.
ACCEPTED = """
UPDATE delivery
SET state = 'sent', reason = '', worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = ?,
    first_tried_at = coalesce(first_tried_at, ?), sent_at = ?, updated_at = ?
WHERE id = ? AND epoch = ?
AND ((worker = ? AND state = 'in_flight') OR (worker IS NULL AND state IN ('uncertain', 'planned')))
"""

#: Waiting for the mass message is no try: it may take days, and none of them counts towards the limit.
TRIED_FIRST = (
    f"CASE WHEN {{reason}} = '{MASS_ASIDE}' THEN first_tried_at ELSE coalesce(first_tried_at, {{now}}) END"
)

OTHER_RESULT = f"""
UPDATE delivery
SET state = :state, reason = :reason, worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = :mode,
    called_at = CASE WHEN :mode <> '' THEN called_at END,
    first_tried_at = {TRIED_FIRST.format(reason=":reason", now=":now")}, sent_at = :sent,
    due_at = coalesce(:due, due_at), updated_at = :now
WHERE id = :id AND epoch = :epoch
AND ((worker = :worker AND {HELD}) OR (worker IS NULL AND state = 'uncertain'))
"""  # constants of this module

#: Where a delivery goes whose claim ended without a try: it may be claimed again, or it is over.
_THE_OTHER = (
    f"CASE delivery.channel WHEN 'email' THEN {_OTHER[Channel.EMAIL]} ELSE {_OTHER[Channel.WECHAT]} END"
)
_BACK = f"""CASE
    WHEN EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = delivery.dispatch_id AND state = 'cancelled')
        THEN {{cancelled}}
    WHEN NOT {_WANTED.format(may_send="", other=_THE_OTHER, now=":now")} THEN {{left}}
    ELSE {{back}} END"""
_STATE_BACK = _BACK.format(cancelled="'cancelled'", left="'cancelled'", back="'planned'")
_REASON_BACK = _BACK.format(cancelled="'dispatch_cancelled'", left="'not_wanted'", back="{reason}")

#: Before its gate a delivery keeps what an earlier call has left with it.
MODE_BACK = """mode = CASE WHEN state || '' = 'claimed' THEN mode ELSE {mode} END,
    called_at = CASE WHEN state || '' = 'claimed' OR {mode} <> '' THEN called_at END"""

GIVE_BACK = f"""
UPDATE delivery
SET state = {_STATE_BACK}, reason = {_REASON_BACK.format(reason=":reason")}, {MODE_BACK.format(mode=":mode")},
    worker = NULL, lease_until = NULL, due_at = :due, updated_at = :now
WHERE id = :id AND epoch = :epoch AND worker = :worker AND {HELD}
"""  # constants of this module

#: Somebody who gets a mail instead of a card: they chose both or either, and can be written to.
MAIL_WANTED = """
FROM delivery AS card
JOIN subscriber ON subscriber.id = card.subscriber_id AND subscriber.email IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM suppression WHERE channel = 'email' AND target = subscriber.email_key)
JOIN dispatch ON dispatch.id = card.dispatch_id
JOIN subscription ON subscription.subscriber_id = card.subscriber_id AND subscription.ended_at IS NULL
    AND subscription.publication = dispatch.publication AND subscription.channel IN ('both', 'either')
"""
#: Whether a mail of the dispatch takes the card's place: this one, or one that was planned from the start.
BY_MAIL = """CASE WHEN EXISTS (
    SELECT 1 FROM delivery AS mail
    WHERE mail.dispatch_id = delivery.dispatch_id AND mail.subscriber_id = delivery.subscriber_id
    AND mail.channel = 'email' AND mail.state <> 'skipped'
) THEN {yes} ELSE {no} END"""

SKIP = """
UPDATE delivery SET state = 'skipped', reason = ?, worker = NULL, lease_until = NULL, updated_at = ?
WHERE id = ? AND epoch = ? AND worker = ? AND state = 'claimed'
"""

MAIL_INSTEAD = f"""
INSERT INTO delivery (dispatch_id, subscriber_id, channel, key, sections, state, reason, epoch, due_at, attempts, mode,
    untracked, updated_at)
SELECT card.dispatch_id, card.subscriber_id, 'email', :key, card.sections, 'planned', '', 0, :now, 0, '',
    card.untracked, :now
{MAIL_WANTED}
WHERE card.id = :id AND card.epoch = :epoch AND card.worker = :worker AND card.state IN ('claimed', 'in_flight')
ON CONFLICT (dispatch_id, subscriber_id, channel) DO NOTHING
"""  # constants of this module

PASS_ON = f"""
UPDATE delivery
SET state = {BY_MAIL.format(yes="'skipped'", no="'failed'")},
    reason = {BY_MAIL.format(yes="'wechat.by_email'", no=":reason")},
    worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = '', called_at = NULL,
    first_tried_at = coalesce(first_tried_at, :now), updated_at = :now
WHERE id = :id AND epoch = :epoch AND worker = :worker AND {HELD}
"""  # constants of this module

ATTEMPT = (
    "INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

SUPPRESS = """
INSERT INTO suppression (channel, target, reason, source, evidence, created_at) VALUES (?, ?, ?, 'smtp', '', ?)
ON CONFLICT (channel, target) DO NOTHING
"""

RENEW = f"UPDATE delivery SET lease_until = ? WHERE id = ? AND epoch = ? AND worker = ? AND {HELD}"

#: What we hold in our memory is ours, however late its lease is renewed.
_OVER = "lease_until < :now AND (worker <> :worker OR id NOT IN (SELECT value FROM json_each(:held)))"
_FREE = "worker = NULL, lease_until = NULL, updated_at = :now"

RECOVER_CLAIMED = f"""
UPDATE delivery SET state = {_STATE_BACK}, reason = {_REASON_BACK.format(reason="reason")}, {_FREE}
WHERE {HELD} AND state = 'claimed' AND {_OVER}
"""  # constants of this module
#: A template message is sent again while the platform still knows its id.
_UNANSWERED = f"CASE WHEN mode = '{REPEATABLE}' AND called_at > :recent THEN 'planned' ELSE :state END"
RECOVER_IN_FLIGHT = f"""
UPDATE delivery
SET state = {_UNANSWERED}, {_FREE}, reason = 'lease_ended',
    due_at = CASE {_UNANSWERED} WHEN 'planned' THEN :now ELSE due_at END,
    sent_at = CASE {_UNANSWERED} WHEN 'sent' THEN :now ELSE sent_at END
WHERE {HELD} AND state = 'in_flight' AND {_OVER}
"""


class SqliteLedgerStore:
    """On a file of SQLite."""

    def __init__(self, file: Path, worker: str) -> None:
        """Args: worker: unique to this process and start."""
        self.worker = worker
        self._writer = DirectWriter(file)

    async def __aenter__(self) -> Self:
        await self._writer.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writer.__aexit__()

    async def claim(
        self,
        dispatch_id: int,
        channel: Channel,
        limit: int,
        *,
        publication: str,
        moment: datetime,
        lease_until: datetime,
    ) -> tuple[list[Claim], dict[int, Person]]:
        values = {
            "dispatch": dispatch_id,
            "channel": channel.value,
            "now": stored(moment),
            "lease": stored(lease_until),
            "worker": self.worker,
            "limit": limit,
        }

        def work(cursor: sqlite3.Cursor) -> tuple[list[Any], dict[int, Person]]:
            rows = cursor.execute(CLAIM, values).fetchall()
            return rows, people_by(cursor, [row[2] for row in rows], publication=publication) if rows else {}

        rows, people = await self._writer.run(work)
        claims = sorted(
            Claim(
                id_,
                epoch,
                dispatch_id,
                person,
                channel,
                key,
                read_sections(sections),
                attempts,
                read_moment(tried),
            )
            for id_, epoch, person, key, sections, attempts, tried in rows
        )
        return claims, people

    async def write(self, group: Group) -> list[bool]:
        return await self._writer.run(lambda cursor: self._write(cursor, group))

    def _write(self, cursor: sqlite3.Cursor, group: Group) -> list[bool]:
        now = stored(group.moment)
        worker = self.worker
        tries, hit = [], set()
        for claim, outcome in group.accepted:
            cursor.execute(ACCEPTED, (outcome.mode, now, now, now, claim[0], claim[1], worker))
            if cursor.rowcount:  # else it was written before, or is not ours any more
                tries.append(_attempt(claim, outcome, now))
        for settled in group.settled:
            cursor.execute(OTHER_RESULT, self._settled(settled, now))
            if cursor.rowcount:
                tries.append(_attempt(settled.claim, settled.outcome, now))
                hit.add(settled.claim.delivery_id)
        for passed_on in group.passed_on:
            if self._pass_on(cursor, passed_on, now):
                tries.append(_attempt(passed_on.claim, passed_on.outcome, now))
                hit.add(passed_on.claim.delivery_id)
        if tries:
            cursor.executemany(ATTEMPT, tries)
        if group.given_back:
            hit |= self._give_back(cursor, group, now)
        for claim, reason in group.skipped:
            cursor.execute(SKIP, (storable(reason, 100), now, claim[0], claim[1], worker))
        for channel, target, reason in group.suppressed:
            cursor.execute(SUPPRESS, (channel.value, target, storable(reason, 100), now))
        for delivery_id, taking in group.freed.items():
            if delivery_id in hit:
                cursor.execute(*for_sqlite(taking, "give_back", now))
        if group.cards:
            recent = stored(group.moment - SAME_KEY_HOLDS)
            return [
                self._card_gate(cursor, claim, group.cards.get(claim.delivery_id), now, recent)
                for claim in group.gates
            ]
        opened = []
        for claim in group.gates:
            cursor.execute(GATES[claim.channel], (now, claim.delivery_id, claim.epoch, worker))
            opened.append(cursor.rowcount == 1)
        return opened

    def _give_back(self, cursor: sqlite3.Cursor, group: Group, now: str | None) -> set[int]:
        """Gives the ids of those that were ours to give back and had taken something."""
        hit, rows = set(), []
        for claim, reason, due_at, mode in group.given_back:
            row = {
                "id": claim.delivery_id,
                "epoch": claim.epoch,
                "worker": self.worker,
                "now": now,
                "reason": reason,
                "due": stored(due_at),
                "mode": mode,
            }
            if claim.delivery_id in group.freed:
                if cursor.execute(GIVE_BACK, row).rowcount:
                    hit.add(claim.delivery_id)
            else:
                rows.append(row)
        if rows:
            cursor.executemany(GIVE_BACK, rows)
        return hit

    def _pass_on(self, cursor: sqlite3.Cursor, passed_on: PassedOn, now: str | None) -> bool:
        claim, outcome, key = passed_on
        row = {
            "id": claim.delivery_id,
            "epoch": claim.epoch,
            "worker": self.worker,
            "now": now,
            "key": key,
            "reason": storable(outcome.code, 100),
        }
        cursor.execute(MAIL_INSTEAD, row)
        return cursor.execute(PASS_ON, row).rowcount == 1

    def _card_gate(
        self, cursor: sqlite3.Cursor, claim: Claim, card: CardGate | None, now: str | None, recent: str | None
    ) -> bool:
        """Take what the card needs, then the gate; a gate that stays closed gives it back."""
        if card is None:
            cursor.execute(GATES[claim.channel], (now, claim.delivery_id, claim.epoch, self.worker))
            return cursor.rowcount == 1
        if card.taking is not None and not cursor.execute(*for_sqlite(card.taking, "take", now)).rowcount:
            return False
        cursor.execute(CARD_GATE, (now, claim.delivery_id, claim.epoch, self.worker, card.mode, recent))
        if cursor.rowcount:
            return True
        if card.taking is not None:
            cursor.execute(*for_sqlite(card.taking, "give_back", now))
        return False

    def _settled(self, settled: Settled, now: str | None) -> dict[str, Any]:
        claim, _, state, reason, due_at, mode = settled
        sent = state is DeliveryState.SENT
        return {
            "id": claim.delivery_id,
            "epoch": claim.epoch,
            "worker": self.worker,
            "now": now,
            "state": state.value,
            "reason": reason,
            "due": stored(due_at),
            "mode": mode,
            "sent": now if sent else None,
        }

    async def renew(self, claims: Sequence[Claim], lease_until: datetime) -> None:
        lease = stored(lease_until)
        rows = [(lease, claim.delivery_id, claim.epoch, self.worker) for claim in claims]
        await self._writer.run(lambda cursor: cursor.executemany(RENEW, rows))

    async def recover(
        self, moment: datetime, unanswered: DeliveryState, held: Collection[int]
    ) -> tuple[int, int]:
        values = {
            "now": stored(moment),
            "worker": self.worker,
            "held": json.dumps(list(held)),
            "state": unanswered.value,
            "recent": stored(moment - SAME_KEY_HOLDS),
        }

        def work(cursor: sqlite3.Cursor) -> tuple[int, int]:
            claimed = cursor.execute(RECOVER_CLAIMED, values).rowcount
            return claimed, cursor.execute(RECOVER_IN_FLIGHT, values).rowcount

        return await self._writer.run(work)


def _attempt(claim: Claim, outcome: Outcome, now: str | None) -> tuple[object, ...]:
    return (
        claim.delivery_id,
        now,
        outcome.kind.value,
        storable(outcome.code, 64),
        storable(outcome.text, 500),
        outcome.mode,
        storable(outcome.reference, 100),
    )
