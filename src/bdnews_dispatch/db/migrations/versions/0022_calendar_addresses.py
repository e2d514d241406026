"""0022 The addresses by which calendar programs of users read what is to be sent."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "calendar_address",
        sa.Column("user_id", sa.Integer, sa.ForeignKey("console_user.id"), primary_key=True),
        sa.Column("word", sa.String(16), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calendar_address")
