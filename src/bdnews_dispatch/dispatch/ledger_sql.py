"""The ledger's statements, as the database reads them: on the hot path they go to the driver as they stand.

Each is one arrow, or a bundle of arrows, of `states.DELIVERY_TRANSITIONS`; a test holds them to it. `worker` and
`epoch` are in every WHERE: what somebody else has claimed since is not touched. Caller: ledger.py.
"""

from bdnews_dispatch.dispatch.models import DUE, HELD
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
)"""
_OTHER = {Channel.EMAIL: f"'{Channel.WECHAT}'", Channel.WECHAT: f"'{Channel.EMAIL}'"}

#: By channel: claimed → in_flight.
GATES = {
    channel: f"""
UPDATE delivery SET state = 'in_flight', updated_at = ?
WHERE id = ? AND epoch = ? AND worker = ? AND state = 'claimed'
AND {_WANTED.format(may_send="AND dispatch.state IN ('planning', 'sending')", other=other)}
"""  # constants of this module
    for channel, other in _OTHER.items()
}

#: An acceptance that is known counts even where a recovery has meanwhile called the delivery uncertain, or given it
#: back and nobody has claimed it since: the epoch is still the same.
ACCEPTED = """
UPDATE delivery
SET state = 'sent', reason = '', worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = ?,
    first_tried_at = coalesce(first_tried_at, ?), sent_at = ?, updated_at = ?
WHERE id = ? AND epoch = ?
AND ((worker = ? AND state = 'in_flight') OR (worker IS NULL AND state IN ('uncertain', 'planned')))
"""

OTHER_RESULT = f"""
UPDATE delivery
SET state = :state, reason = :reason, worker = NULL, lease_until = NULL, attempts = attempts + 1, mode = :mode,
    first_tried_at = coalesce(first_tried_at, :now), sent_at = :sent, due_at = coalesce(:due, due_at),
    updated_at = :now
WHERE id = :id AND epoch = :epoch
AND ((worker = :worker AND {HELD}) OR (worker IS NULL AND state = 'uncertain'))
AND (state <> 'claimed' OR :state IN ('failed', 'deferred'))
"""  # constants of this module

#: Where a delivery goes whose claim ended without a try: it may be claimed again, or it is over.
_THE_OTHER = (
    f"CASE delivery.channel WHEN 'email' THEN {_OTHER[Channel.EMAIL]} ELSE {_OTHER[Channel.WECHAT]} END"
)
_BACK = f"""CASE
    WHEN EXISTS (SELECT 1 FROM dispatch WHERE dispatch.id = delivery.dispatch_id AND state = 'cancelled')
        THEN 'cancelled'
    WHEN NOT {_WANTED.format(may_send="", other=_THE_OTHER)} THEN 'cancelled'
    ELSE 'planned' END"""

GIVE_BACK = f"""
UPDATE delivery
SET state = {_BACK}, reason = :reason, worker = NULL, lease_until = NULL, due_at = :due, updated_at = :now
WHERE id = :id AND epoch = :epoch AND worker = :worker AND {HELD}
"""  # constants of this module

ATTEMPT = (
    "INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

SUPPRESS = """
INSERT INTO suppression (channel, target, reason, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (channel, target) DO NOTHING
"""

RENEW = f"UPDATE delivery SET lease_until = ? WHERE id = ? AND epoch = ? AND worker = ? AND {HELD}"

#: Our own are in our memory, however late a lease is renewed.
_OVER = "lease_until < :now AND worker <> :worker"
_FREE = "worker = NULL, lease_until = NULL, updated_at = :now"

RECOVER_CLAIMED = (
    f"UPDATE delivery SET state = {_BACK}, {_FREE} WHERE {HELD} AND state = 'claimed' AND {_OVER}"
)
_RECOVER = f"{_FREE}, reason = 'lease_ended' WHERE {HELD} AND state = 'in_flight' AND {_OVER}"
RECOVER_HOLD = f"UPDATE delivery SET state = 'uncertain', {_RECOVER}"
RECOVER_RESEND = f"UPDATE delivery SET state = 'planned', due_at = :now, {_RECOVER}"
RECOVER_ASSUME_SENT = f"UPDATE delivery SET state = 'sent', sent_at = :now, {_RECOVER}"
