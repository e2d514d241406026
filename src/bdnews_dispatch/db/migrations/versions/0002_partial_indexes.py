"""The ledger's indexes hold only what is not over; a delivery's key has 24 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PARTIAL = (
    ("ix_delivery_due", ["dispatch_id", "channel", "due_at"], "state IN ('planned', 'deferred')"),
    ("ix_delivery_held", ["lease_until"], "state IN ('claimed', 'in_flight')"),
    ("ix_delivery_in_doubt", ["dispatch_id"], "state = 'uncertain'"),
)


def upgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_due")
        batch_op.drop_index("ix_delivery_lease")
        batch_op.alter_column("key", existing_type=sa.String(length=20), type_=sa.String(length=24))
    for name, columns, where in _PARTIAL:
        op.create_index(
            name, "delivery", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def downgrade() -> None:
    for name, _, _ in _PARTIAL:
        op.drop_index(name, "delivery")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("key", existing_type=sa.String(length=24), type_=sa.String(length=20))
        batch_op.create_index("ix_delivery_due", ["dispatch_id", "state", "due_at"])
        batch_op.create_index("ix_delivery_lease", ["state", "lease_until"])
