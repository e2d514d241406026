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
    _mass_sends()


def _mass_sends() -> None:
    op.create_table(
        "mass_cover",
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("media_id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("appid", "digest", name=op.f("pk_mass_cover")),
    )
    op.create_table(
        "mass_draft",
        sa.Column("dispatch_id", sa.Integer(), nullable=False),
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("sections", sa.String(length=250), nullable=False),
        sa.Column("media_id", sa.String(length=200), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.id"], name=op.f("fk_mass_draft_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "appid", "sections", name=op.f("pk_mass_draft")),
    )
    op.create_table(
        "mass_send",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dispatch_id", sa.Integer(), nullable=False),
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("sections", sa.String(length=250), nullable=False),
        sa.Column("media_id", sa.String(length=200), nullable=False),
        sa.Column("client_msg_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("msg_id", sa.String(length=32), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("lease_until", _MOMENT, nullable=False),
        sa.Column("outcome", sa.String(length=100), nullable=False),
        sa.Column("sent_count", sa.Integer(), nullable=True),
        sa.Column("error_count", sa.Integer(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.id"], name=op.f("fk_mass_send_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mass_send")),
        sa.UniqueConstraint("client_msg_id", name=op.f("uq_mass_send_client_msg_id")),
    )
    for column in ("dispatch_id", "state", "msg_id"):
        op.create_index(op.f(f"ix_mass_send_{column}"), "mass_send", [column])
    op.create_table(
        "mass_report",
        sa.Column("msg_id", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=100), nullable=False),
        sa.Column("sent_count", sa.Integer(), nullable=False),
        sa.Column("error_count", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("msg_id", name=op.f("pk_mass_report")),
    )


def downgrade() -> None:
    for table in ("mass_report", "mass_send", "mass_draft", "mass_cover"):
        op.drop_table(table)
    for table in ("wechat_quota", "wechat_grant", "wechat_credit"):
        op.drop_table(table)
