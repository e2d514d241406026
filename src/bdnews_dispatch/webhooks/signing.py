"""Signatures by Standard Webhooks 1.0: `v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`, one or several.

In: an endpoint, the service's keys. Out: its secrets, headers. The secret is made from the service's first key, the
endpoint's number and its rotation: it is shown once and stored nowhere. Pure.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from bdnews_dispatch.links import Signer
from bdnews_dispatch.webhooks.models import Webhook

#: For so long the secret before signs too.
BOTH = timedelta(days=1)


def secret_of(signer: Signer, webhook_id: int, rotation: int) -> str:
    """As the receiver keeps it: `whsec_…`."""
    return _shown(_keys(signer, webhook_id, rotation)[0])


def headers_of(
    signer: Signer, webhook: Webhook, event_id: int, body: bytes, now: datetime
) -> Mapping[str, str]:
    """`webhook-id`, the same at each try; `webhook-timestamp`; `webhook-signature`, by each secret that holds."""
    assert webhook.id is not None  # noqa: S101  # stored
    message_id, stamp = f"evt_{event_id}", str(int(now.timestamp()))
    told = f"{message_id}.{stamp}.".encode() + body
    rotations = [webhook.rotation]
    if webhook.rotated_at is not None and now < webhook.rotated_at + BOTH:
        rotations.append(webhook.rotation - 1)
    keys = [key for rotation in rotations for key in _keys(signer, webhook.id, rotation)]
    signed = [base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{one}" for one in signed),
    }


def _keys(signer: Signer, webhook_id: int, rotation: int) -> list[bytes]:
    """By every key of the service: after a new one the receivers' secrets still hold."""
    marks = signer.marks(f"webhook:{webhook_id}:{rotation}")
    return [hashlib.sha256(mark.encode()).digest() for mark in marks]


def _shown(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()
