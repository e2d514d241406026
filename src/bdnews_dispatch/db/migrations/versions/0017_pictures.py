"""0017 Pictures of issues, and where an official account shows them."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "picture",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("mime", sa.String(20), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "mass_picture",
        sa.Column("appid", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("url", sa.String(500), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("mass_picture")
    op.drop_table("picture")
