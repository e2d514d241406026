"""The ledger's rows in PostgreSQL: whole groups as arrays, one round trip for the most common one.

The same arrows as in ledger_sqlite.py; the conformance suite holds both to the state machine. A group's rows are locked
in the order of their ids, and what another worker is just claiming or taking back is skipped, so that workers never
wait for each other here. Caller: ledger.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from asyncpg import Connection
from sqlalchemy.engine import URL

from bdnews_dispatch.channels.outcome import Outcome
from bdnews_dispatch.channels.wechat.outcomes import REPEATABLE
from bdnews_dispatch.db.postgres import BY_KEYS, OneConnection
from bdnews_dispatch.dispatch.ledger_sqlite import BY_MAIL, CALLED_AT, MAIL_WANTED, MODE_BACK, TRIED_FIRST
from bdnews_dispatch.dispatch.ledger_store import SAME_KEY_HOLDS, Claim, Group, read_sections, storable
from bdnews_dispatch.dispatch.models import DUE, HELD
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.official_account.takings import Act, Taking, for_postgres
from bdnews_dispatch.subscribers.audience import Person, people_from
from bdnews_dispatch.subscribers.models import Channel

CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM delivery
    WHERE dispatch_id = $1 AND channel = $2 AND {DUE} AND due_at <= $3
    AND EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = $1 AND dispatch.state IN ('planning', 'sending'))
    ORDER BY due_at, id LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE delivery
SET state = 'claimed', worker = $5, epoch = epoch + 1, lease_until = $6, updated_at = $3
FROM due WHERE delivery.id = due.id
RETURNING delivery.id, epoch, subscriber_id, key, sections, attempts, first_tried_at
"""  # constants of this module

_WANTED = """EXISTS (
    SELECT 1 FROM dispatch JOIN subscription ON subscription.publication = dispatch.publication
    WHERE dispatch.id = delivery.dispatch_id {may_send}
    AND subscription.subscriber_id = delivery.subscriber_id
    AND subscription.ended_at IS NULL AND subscription.channel IN ('both', 'either', delivery.channel)
    AND (subscription.paused_until IS NULL OR subscription.paused_until <= $1)
)"""

#: Which rows is said by their ids, and what they must be in such words that no partial index fits them. By
#: ix_delivery_held, which looks empty between two dispatches, a gate would go through all that anybody holds, and all
#: that was held since the last VACUUM: 3 ms for ten gates, and more with each worker.
_IS_HELD = "delivery.state || '' IN ('claimed', 'in_flight')"
_IS_CLAIMED = "delivery.state || '' = 'claimed'"

#: $1 moment, $2 worker; gates: $3 ids, $4 epochs.
_GATES = f"""
UPDATE delivery SET state = 'in_flight', updated_at = $1
FROM unnest($3::bigint[], $4::int[]) AS gate (id, epoch)
WHERE delivery.id = gate.id AND delivery.epoch = gate.epoch AND worker = $2 AND {_IS_CLAIMED}
AND {_WANTED.format(may_send="AND dispatch.state IN ('planning', 'sending')")}
RETURNING delivery.id
"""
#: Acceptances: $5 ids, $6 epochs, $7 modes, $8 codes, $9 texts, $10 references. One that is known counts even where a
#: recovery has meanwhile called the delivery uncertain, or given it back and nobody has claimed it since.
_ACCEPTED = """
accepted AS (
    UPDATE delivery
    SET state = 'sent', reason = '', worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = told.mode,
        first_tried_at = coalesce(first_tried_at, $1), sent_at = $1, updated_at = $1
    FROM unnest($5::bigint[], $6::int[], $7::text[], $8::text[], $9::text[], $10::text[])
        AS told (id, epoch, mode, code, text, reference)
    WHERE delivery.id = told.id AND delivery.epoch = told.epoch
    AND ((worker = $2 AND state = 'in_flight') OR (worker IS NULL AND state IN ('uncertain', 'planned')))
    RETURNING delivery.id, told.mode, told.code, told.text, told.reference
), tries AS (
    INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference)
    SELECT id, $1, 'accepted', code, text, mode, reference FROM accepted
)"""
#: Both at once: a statement is a transaction, and one round trip.
COMMON = f"WITH {_ACCEPTED} {_GATES}"
#: Where the group has no acceptance.
GATES = _GATES

SETTLED = f"""
WITH settled AS (
    UPDATE delivery
    SET state = told.state, reason = told.reason, worker = NULL, lease_until = NULL, attempts = attempts + 1,
        mode = told.kept, called_at = CASE WHEN told.kept <> '' THEN called_at END,
        first_tried_at = {TRIED_FIRST.format(reason="told.reason", now="$1")},
        due_at = coalesce(told.due_at, delivery.due_at),
        sent_at = CASE told.state WHEN 'sent' THEN $1 END, updated_at = $1
    FROM unnest($3::bigint[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::text[])
        AS told (id, epoch, state, reason, due_at, mode, outcome, code, text, reference, kept)
    WHERE delivery.id = told.id AND delivery.epoch = told.epoch
    AND ((worker = $2 AND {_IS_HELD})
        OR (worker IS NULL AND delivery.state = 'uncertain'))
    RETURNING delivery.id, told.mode, told.outcome, told.code, told.text, told.reference
)
INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference)
SELECT id, $1, outcome, code, text, mode, reference FROM settled
RETURNING delivery_id
"""  # constants of this module

_BACK = f"""CASE
    WHEN EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = delivery.dispatch_id AND dispatch.state = 'cancelled')
        THEN {{cancelled}}
    WHEN NOT {_WANTED.format(may_send="")} THEN {{left}}
    ELSE {{back}} END"""
_STATE_BACK = _BACK.format(cancelled="'cancelled'", left="'cancelled'", back="'planned'")
_REASON_BACK = _BACK.format(cancelled="'dispatch_cancelled'", left="'not_wanted'", back="{reason}")

GIVE_BACK = f"""
UPDATE delivery
SET state = {_STATE_BACK}, reason = {_REASON_BACK.format(reason="told.reason")},
    {MODE_BACK.format(mode="told.kept")}, worker = NULL, lease_until = NULL, due_at = told.due_at, updated_at = $1
FROM unnest($3::bigint[], $4::int[], $5::text[], $6::timestamptz[], $7::text[])
    AS told (id, epoch, reason, due_at, kept)
WHERE delivery.id = told.id AND delivery.epoch = told.epoch AND worker = $2 AND {_IS_HELD}
RETURNING delivery.id
"""  # constants of this module

#: $3 ids, $4 epochs, $5 keys.
MAIL_INSTEAD = f"""
INSERT INTO delivery (dispatch_id, subscriber_id, channel, key, sections, state, reason, epoch, due_at, attempts, mode,
    untracked, updated_at)
SELECT card.dispatch_id, card.subscriber_id, 'email', told.key, card.sections, 'planned', '', 0, $1, 0, '',
    card.untracked, $1
{MAIL_WANTED}
JOIN unnest($3::bigint[], $4::int[], $5::text[]) AS told (id, epoch, key)
    ON card.id = told.id AND card.epoch = told.epoch
WHERE card.worker = $2 AND card.state || '' IN ('claimed', 'in_flight')
ON CONFLICT (dispatch_id, subscriber_id, channel) DO NOTHING
"""  # constants of this module

#: $3 ids, $4 epochs, $5 codes, $6 texts.
PASS_ON = f"""
WITH passed AS (
    UPDATE delivery
    SET state = {BY_MAIL.format(yes="'skipped'", no="'failed'")},
        reason = {BY_MAIL.format(yes="'wechat.by_email'", no="told.code")},
        worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = '', called_at = NULL,
        first_tried_at = coalesce(first_tried_at, $1), updated_at = $1
    FROM unnest($3::bigint[], $4::int[], $5::text[], $6::text[]) AS told (id, epoch, code, text)
    WHERE delivery.id = told.id AND delivery.epoch = told.epoch AND worker = $2 AND {_IS_HELD}
    RETURNING delivery.id, told.code, told.text
)
INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference)
SELECT id, $1, 'refused', code, text, '', '' FROM passed
RETURNING delivery_id
"""  # constants of this module

#: One card: $3 id, $4 epoch, $5 mode, $6 the earliest first call that is still made again.
CARD_GATE = f"""
UPDATE delivery
SET state = 'in_flight', mode = $5::varchar, called_at = {CALLED_AT.format(mode="$5::varchar", now="$1")},
    updated_at = $1
WHERE delivery.id = $3 AND delivery.epoch = $4 AND worker = $2 AND {_IS_CLAIMED}
AND (called_at IS NULL OR called_at > $6)
AND {_WANTED.format(may_send="AND dispatch.state IN ('planning', 'sending')")}
"""  # constants of this module

SKIP = """
UPDATE delivery SET state = 'skipped', reason = told.reason, worker = NULL, lease_until = NULL, updated_at = $1
FROM unnest($3::bigint[], $4::int[], $5::text[]) AS told (id, epoch, reason)
WHERE delivery.id = told.id AND delivery.epoch = told.epoch AND worker = $2 AND state = 'claimed'
"""

SUPPRESS = """
INSERT INTO suppression (channel, target, reason, source, evidence, created_at)
SELECT channel, target, reason, 'smtp', '', $1
FROM unnest($2::text[], $3::text[], $4::text[]) AS told (channel, target, reason)
ON CONFLICT (channel, target) DO NOTHING
"""

RENEW = f"""
UPDATE delivery SET lease_until = $1
FROM unnest($3::bigint[], $4::int[]) AS held (id, epoch)
WHERE delivery.id = held.id AND delivery.epoch = held.epoch AND worker = $2 AND {_IS_HELD}
"""  # constants of this module

#: $3: what we hold in our memory is ours, however late its lease is renewed; a claim of ours that is not there was made
#: by a commit whose answer was lost. The rows are locked first: the update finds them as they were when it began, and
#: only the lock says whether they still are.
_OVER = f"""
WITH over AS MATERIALIZED (
    SELECT id FROM delivery
    WHERE {HELD} AND state = '{{state}}' AND lease_until < $1 AND (worker <> $2 OR id <> ALL($3::bigint[]))
    ORDER BY id FOR UPDATE SKIP LOCKED
)"""  # constants of this module
_FREE = "worker = NULL, lease_until = NULL, updated_at = $1"

RECOVER_CLAIMED = f"""{_OVER.format(state="claimed")}
UPDATE delivery SET state = {_STATE_BACK}, reason = {_REASON_BACK.format(reason="reason")}, {_FREE}
FROM over WHERE delivery.id = over.id
"""
#: A template message is sent again while the platform still knows its id.
_UNANSWERED = f"CASE WHEN mode = '{REPEATABLE}' AND called_at > $5 THEN 'planned' ELSE $4::varchar END"
RECOVER_IN_FLIGHT = f"""{_OVER.format(state="in_flight")}
UPDATE delivery
SET state = {_UNANSWERED}, {_FREE}, reason = 'lease_ended',
    due_at = CASE {_UNANSWERED} WHEN 'planned' THEN $1 ELSE due_at END,
    sent_at = CASE {_UNANSWERED} WHEN 'sent' THEN $1 ELSE sent_at END
FROM over WHERE delivery.id = over.id
"""


class PostgresLedgerStore:
    """On a server of PostgreSQL, over one connection of its own."""

    def __init__(self, url: URL, worker: str) -> None:
        """Args: worker: unique to this process and start."""
        self.worker = worker
        self._connection = OneConnection(url, BY_KEYS)

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.__aexit__()

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
        async def work(connection: Connection) -> tuple[list[Any], dict[int, Person]]:
            rows = await connection.fetch(
                CLAIM, dispatch_id, channel.value, moment, limit, self.worker, lease_until
            )
            ids = [row[2] for row in rows]
            return rows, await people_from(connection, ids, publication=publication) if rows else {}

        rows, people = await self._connection.run(work)
        claims = sorted(
            Claim(id_, epoch, dispatch_id, person, channel, key, read_sections(sections), attempts, tried)
            for id_, epoch, person, key, sections, attempts, tried in rows
        )
        return claims, people

    async def write(self, group: Group) -> list[bool]:
        opened = await self._connection.run(lambda connection: self._write(connection, group))
        return [claim.delivery_id in opened for claim in group.gates]

    async def _write(self, connection: Connection, group: Group) -> frozenset[int]:
        quiet = not (group.settled or group.given_back or group.skipped or group.suppressed)
        if quiet and not (group.passed_on or group.cards):
            return await self._write_common(connection, group)
        async with connection.transaction():
            hit: set[int] = set()
            if group.settled:
                rows = await connection.fetch(SETTLED, group.moment, self.worker, *_settled(group))
                hit.update(row[0] for row in rows)
            if group.passed_on:
                hit.update(await self._pass_on(connection, group))
            if group.given_back:
                ids, epochs = _which([back.claim for back in group.given_back])
                reasons = [storable(back.reason, 100) for back in group.given_back]
                dues = [back.due_at for back in group.given_back]
                modes = [back.mode for back in group.given_back]
                rows = await connection.fetch(
                    GIVE_BACK, group.moment, self.worker, ids, epochs, reasons, dues, modes
                )
                hit.update(row[0] for row in rows)
            if group.skipped:
                ids, epochs = _which([skipped.claim for skipped in group.skipped])
                reasons = [storable(skipped.reason, 100) for skipped in group.skipped]
                await connection.execute(SKIP, group.moment, self.worker, ids, epochs, reasons)
            if group.suppressed:
                told_of = [
                    (told.channel.value, told.target, storable(told.reason, 100)) for told in group.suppressed
                ]
                await connection.execute(SUPPRESS, group.moment, *map(list, zip(*told_of, strict=True)))
            if not (group.cards or group.freed):
                return await self._write_common(connection, group)
            opened = await self._card_gates(connection, group, hit)
            others = [claim for claim in group.gates if claim.delivery_id not in group.cards]
            return opened | await self._write_common(connection, replace(group, gates=others))

    async def _pass_on(self, connection: Connection, group: Group) -> list[int]:
        ids, epochs = _which([passed_on.claim for passed_on in group.passed_on])
        keys = [passed_on.key for passed_on in group.passed_on]
        codes, texts, _ = _words([passed_on.outcome for passed_on in group.passed_on])
        await connection.execute(MAIL_INSTEAD, group.moment, self.worker, ids, epochs, keys)
        rows = await connection.fetch(PASS_ON, group.moment, self.worker, ids, epochs, codes, texts)
        return [row[0] for row in rows]

    async def _card_gates(self, connection: Connection, group: Group, hit: Collection[int]) -> frozenset[int]:
        """Give back, take, open; everybody locks what is counted in one order, and deliveries by their ids."""

        async def change(taking: Taking, act: Act) -> int:
            statement, values = for_postgres(taking, act, group.moment)
            return _number(await connection.execute(statement, *values))

        acts: list[tuple[Taking, Act, int]] = [
            (taking, "give_back", id_) for id_, taking in group.freed.items() if id_ in hit
        ]
        acts += [(card.taking, "take", id_) for id_, card in group.cards.items() if card.taking is not None]
        none_left = set()
        for taking, act, delivery_id in sorted(acts):
            if not await change(taking, act) and act == "take":
                none_left.add(delivery_id)
        opened, closed = set(), []
        for claim in group.gates:
            card = group.cards.get(claim.delivery_id)
            if card is None or claim.delivery_id in none_left:
                continue
            of_card = claim.delivery_id, claim.epoch, card.mode, group.moment - SAME_KEY_HOLDS
            if _number(await connection.execute(CARD_GATE, group.moment, self.worker, *of_card)):
                opened.add(claim.delivery_id)
            elif card.taking is not None:
                closed.append(card.taking)
        for taking in closed:
            await change(taking, "give_back")
        return frozenset(opened)

    async def _write_common(self, connection: Connection, group: Group) -> frozenset[int]:
        gates = _which(group.gates)
        if group.accepted:
            claims = [claim for claim, _ in group.accepted]
            rows = await connection.fetch(
                COMMON,
                group.moment,
                self.worker,
                *gates,
                *_which(claims),
                [outcome.mode for _, outcome in group.accepted],
                *_words([outcome for _, outcome in group.accepted]),
            )
        elif group.gates:
            rows = await connection.fetch(GATES, group.moment, self.worker, *gates)
        else:
            return frozenset()
        return frozenset(row[0] for row in rows)

    async def renew(self, claims: Sequence[Claim], lease_until: datetime) -> None:
        ids, epochs = _which(claims)
        await self._connection.run(
            lambda connection: connection.execute(RENEW, lease_until, self.worker, ids, epochs)
        )

    async def recover(
        self, moment: datetime, unanswered: DeliveryState, held: Collection[int]
    ) -> tuple[int, int]:
        over = moment, self.worker, list(held)

        async def work(connection: Connection) -> tuple[int, int]:
            async with connection.transaction():
                claimed = await connection.execute(RECOVER_CLAIMED, *over)
                in_flight = await connection.execute(
                    RECOVER_IN_FLIGHT, *over, unanswered.value, moment - SAME_KEY_HOLDS
                )
            return _number(claimed), _number(in_flight)

        return await self._connection.run(work)


def _which(claims: Sequence[Claim]) -> tuple[list[int], list[int]]:
    return [claim[0] for claim in claims], [claim[1] for claim in claims]


def _words(outcomes: Sequence[Outcome]) -> tuple[list[str], list[str], list[str]]:
    return (
        [storable(outcome.code, 64) for outcome in outcomes],
        [storable(outcome.text, 500) for outcome in outcomes],
        [storable(outcome.reference, 100) for outcome in outcomes],
    )


def _settled(group: Group) -> list[Sequence[Any]]:
    outcomes = [settled.outcome for settled in group.settled]
    return [
        *_which([settled.claim for settled in group.settled]),
        [settled.state.value for settled in group.settled],
        [storable(settled.reason, 100) for settled in group.settled],
        [settled.due_at for settled in group.settled],
        [outcome.mode for outcome in outcomes],
        [outcome.kind.value for outcome in outcomes],
        *_words(outcomes),
        [settled.mode for settled in group.settled],
    ]


def _number(status: str) -> int:
    """Of rows, from what the server says of a statement: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
