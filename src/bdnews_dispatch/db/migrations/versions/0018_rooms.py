"""0018 Rooms: corrections of issues by hand, over the text that came in."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0018"
down_revision = "0014"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.add_column("issue_revision", sa.Column("base", sa.Integer(), nullable=True))
    op.create_table(
        "issue_edit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("undone_by", sa.String(length=40), nullable=False),
        sa.Column("undone_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_issue_edit_issue_id_issue")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue_edit")),
    )
    op.create_index(op.f("ix_issue_edit_issue_id"), "issue_edit", ["issue_id"])


def downgrade() -> None:
    op.drop_table("issue_edit")
    op.drop_column("issue_revision", "base")
