"""0011 WeChat token: one row for an appid, shared by all processes."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "wechat_token",
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.String(length=4000), nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=True),
        sa.Column("claimed_until", _MOMENT, nullable=True),
        sa.Column("forced_at", _MOMENT, nullable=True),
        sa.Column("forced_day", sa.String(length=10), nullable=False),
        sa.Column("forced_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("appid", name=op.f("pk_wechat_token")),
    )


def downgrade() -> None:
    op.drop_table("wechat_token")
