"""0024 Pages of half a million: indexes for what the console looks for, and counts that are kept for it."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_ENDED = sa.text("ended_at IS NOT NULL")
_APART = sa.text("state IN ('deferred', 'failed', 'delivered')")


def upgrade() -> None:
    op.create_table(
        "tally",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("counted_at", _MOMENT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tally")),
    )
    op.create_index("ix_subscription_began_at", "subscription", ["began_at"])
    op.create_index(
        "ix_subscription_ended_at", "subscription", ["ended_at"], sqlite_where=_ENDED, postgresql_where=_ENDED
    )
    op.create_index("ix_subscriber_tag_tag_subscriber_id", "subscriber_tag", ["tag", "subscriber_id"])
    op.create_index("ix_suppression_created_at_id", "suppression", ["created_at", "id"])
    op.create_index("ix_lifted_suppression_created_at_id", "lifted_suppression", ["created_at", "id"])
    op.create_index(
        "ix_delivery_apart",
        "delivery",
        ["dispatch_id", "state", "updated_at"],
        sqlite_where=_APART,
        postgresql_where=_APART,
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_apart", "delivery")
    op.drop_index("ix_lifted_suppression_created_at_id", "lifted_suppression")
    op.drop_index("ix_suppression_created_at_id", "suppression")
    op.drop_index("ix_subscriber_tag_tag_subscriber_id", "subscriber_tag")
    op.drop_index("ix_subscription_ended_at", "subscription")
    op.drop_index("ix_subscription_began_at", "subscription")
    op.drop_table("tally")
