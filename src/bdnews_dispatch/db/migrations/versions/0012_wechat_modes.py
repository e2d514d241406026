"""0012 WeChat modes: consents, what is left of them, and what is used of quotas with what became of them."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "wechat_credit",
        sa.Column("openid", sa.String(length=64), nullable=False),
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("lasting", sa.Boolean(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("openid", "template_id", name=op.f("pk_wechat_credit")),
    )
    op.create_table(
        "wechat_grant",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("openid", sa.String(length=64), nullable=False),
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wechat_grant")),
        sa.UniqueConstraint("key", name=op.f("uq_wechat_grant_key")),
    )
    op.create_index(op.f("ix_wechat_grant_openid"), "wechat_grant", ["openid"])
    op.create_table(
        "wechat_quota",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "holder", "period", name=op.f("pk_wechat_quota")),
    )


def downgrade() -> None:
    for table in ("wechat_quota", "wechat_grant", "wechat_credit"):
        op.drop_table(table)
