"""0019 Bulletins as they are written, before they are sent: who wrote, who asked, who decided."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_STATES = ("draft", "waiting", "sent", "discarded")


def upgrade() -> None:
    op.create_table(
        "bulletin_draft",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("publication", sa.String(40), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("ad", sa.Boolean, nullable=False),
        sa.Column("sections", sa.JSON, nullable=False),
        sa.Column("whom", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=True),
        sa.Column(
            "state", sa.Enum(*_STATES, name="draftstate", native_enum=False, length=32), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("writers", sa.JSON, nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=True),
        sa.Column("decided_by", sa.String(40), nullable=False),
        sa.Column("decided_at", _MOMENT, nullable=True),
        sa.Column("words", sa.String(300), nullable=False),
        sa.Column("bulletin_id", sa.Integer, sa.ForeignKey("bulletin.id"), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
    )
    op.create_index(op.f("ix_bulletin_draft_state"), "bulletin_draft", ["state"])


def downgrade() -> None:
    op.drop_table("bulletin_draft")
