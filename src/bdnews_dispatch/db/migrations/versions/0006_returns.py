"""0006 returns: mail that came back; whose word a suppression is, and those that were lifted."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_BIG = bdnews_dispatch.db.types.BigId


def upgrade() -> None:
    op.create_table(
        "returned_mail",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("way", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("delivery_id", _BIG, nullable=True),
        sa.Column("letter_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_returned_mail_delivery_id_delivery")
        ),
        sa.ForeignKeyConstraint(["letter_id"], ["letter.id"], name=op.f("fk_returned_mail_letter_id_letter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returned_mail")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_returned_mail_fingerprint")),
    )
    op.create_index(op.f("ix_returned_mail_delivery_id"), "returned_mail", ["delivery_id"])
    op.create_index(op.f("ix_returned_mail_letter_id"), "returned_mail", ["letter_id"])
    op.create_table(
        "lifted_suppression",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("evidence", sa.String(length=200), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("lifted_at", _MOMENT, nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifted_suppression")),
    )
    op.create_index(op.f("ix_lifted_suppression_target"), "lifted_suppression", ["target"])
    with op.batch_alter_table("suppression") as batch:
        batch.add_column(sa.Column("source", sa.String(length=20), nullable=False, server_default=""))
        batch.add_column(sa.Column("evidence", sa.String(length=200), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("suppression") as batch:
        batch.drop_column("evidence")
        batch.drop_column("source")
    op.drop_table("lifted_suppression")
    op.drop_table("returned_mail")
