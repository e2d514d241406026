"""0014 Webhooks: endpoints with their place in the events, and their tries."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_BIG = bdnews_dispatch.db.types.BigId


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("rotation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", _MOMENT, nullable=True),
        sa.Column("cursor", _BIG, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", _MOMENT, nullable=True),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("disabled_at", _MOMENT, nullable=True),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "webhook_try",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("event_id", _BIG, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_try_webhook_id_webhook")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_try")),
    )
    op.create_index(op.f("ix_webhook_try_webhook_id"), "webhook_try", ["webhook_id"])
    op.create_index(op.f("ix_webhook_try_at"), "webhook_try", ["at"])


def downgrade() -> None:
    op.drop_table("webhook_try")
    op.drop_table("webhook")
