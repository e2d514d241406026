"""0008 reports: who made a hit can be judged again; dispatches that are to be counted again; what was counted."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = bdnews_dispatch.db.types.BigId
_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)

_FIGURES = (
    "planned",
    "skipped",
    "cancelled",
    "failed",
    "uncertain",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "people",
    "untracked",
    "opened",
    "clicked",
    "unsubscribed",
    "machine_opened",
    "machine_clicked",
)


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
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("untracked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        sa.text(
            "UPDATE delivery SET untracked = :yes WHERE subscriber_id IN "
            "(SELECT id FROM subscriber WHERE no_tracking = :yes AND erased_at IS NULL)"
        ).bindparams(yes=True)
    )
    figures = [sa.Column(name, sa.Integer(), nullable=False) for name in _FIGURES]
    op.create_table(
        "rollup",
        sa.Column("dispatch_id", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        *figures,
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.id"], name=op.f("fk_rollup_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "dimension", "value", name=op.f("pk_rollup")),
    )
    op.create_table(
        "counted_dispatch",
        sa.Column("dispatch_id", sa.Integer(), nullable=False),
        sa.Column("counted_at", _MOMENT, nullable=True),
        sa.Column("counting", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.id"], name=op.f("fk_counted_dispatch_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("dispatch_id", name=op.f("pk_counted_dispatch")),
    )
    op.create_table(
        "growth",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("publication", sa.String(length=40), nullable=False),
        sa.Column("section", sa.String(length=40), nullable=False),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "publication", "section", name=op.f("pk_growth")),
    )


def downgrade() -> None:
    for table in ("growth", "counted_dispatch", "rollup"):
        op.drop_table(table)
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_column("untracked")
    op.drop_table("dispatch_change")
    op.drop_table("judging")
    with op.batch_alter_table("hit") as hit:
        for column in ("seconds", "network", "announced", "method", "family"):
            hit.drop_column(column)
