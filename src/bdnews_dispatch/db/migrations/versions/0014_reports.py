"""0014 reports: who made a hit can be judged again; dispatches that are to be counted again; what was counted."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0014"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = bdnews_dispatch.db.types.BigId
_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Hits of before tell no network; what was known of their request is kept in the columns that say so now."""
    with op.batch_alter_table("hit") as hit:
        hit.add_column(sa.Column("family", sa.String(length=40), nullable=False, server_default=""))
        hit.add_column(sa.Column("method", sa.String(length=8), nullable=False, server_default=""))
        hit.add_column(sa.Column("announced", sa.Boolean(), nullable=False, server_default=sa.false()))
        hit.add_column(sa.Column("network", sa.String(length=50), nullable=False, server_default=""))
        hit.add_column(sa.Column("seconds", sa.Double(), nullable=True))
    op.execute("UPDATE hit SET method = 'HEAD' WHERE machine = 'head'")
    op.execute(sa.text("UPDATE hit SET announced = :yes WHERE machine = 'prefetch'").bindparams(yes=True))
    op.execute("UPDATE hit SET seconds = 0 WHERE machine = 'too_soon'")
    op.create_table(
        "judging",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.String(length=16), nullable=False),
        sa.Column("through", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judging")),
    )
    op.create_table(
        "dispatch_change",
        sa.Column("dispatch_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.id"], name=op.f("fk_dispatch_change_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("dispatch_id", name=op.f("pk_dispatch_change")),
    )


def downgrade() -> None:
    op.drop_table("dispatch_change")
    op.drop_table("judging")
    with op.batch_alter_table("hit") as hit:
        for column in ("seconds", "network", "announced", "method", "family"):
            hit.drop_column(column)
