"""0013 WeChat followers: one-time scenes of QR codes, a follower's own link, tags."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.add_column("follower", sa.Column("key", sa.String(length=24), nullable=True))
    op.create_index(op.f("ix_follower_key"), "follower", ["key"])
    op.create_table(
        "wechat_scene",
        sa.Column("scene", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("publication", sa.String(length=40), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("network", sa.String(length=50), nullable=False),
        sa.Column("consent", sa.String(length=16), nullable=False),
        sa.Column("code_url", sa.String(length=500), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_wechat_scene_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("scene", name=op.f("pk_wechat_scene")),
    )
    op.create_index(op.f("ix_wechat_scene_subscriber_id"), "wechat_scene", ["subscriber_id"])
    op.create_index(op.f("ix_wechat_scene_network"), "wechat_scene", ["network"])
    op.create_index(op.f("ix_wechat_scene_ends_at"), "wechat_scene", ["ends_at"])
    op.create_table(
        "wechat_tag",
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("section", sa.String(length=40), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("appid", "section", name=op.f("pk_wechat_tag")),
    )
    op.create_table(
        "wechat_tagged",
        sa.Column("appid", sa.String(length=64), nullable=False),
        sa.Column("openid", sa.String(length=64), nullable=False),
        sa.Column("section", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("appid", "openid", "section", name=op.f("pk_wechat_tagged")),
    )
    op.create_index(op.f("ix_wechat_tagged_openid"), "wechat_tagged", ["openid"])


def downgrade() -> None:
    op.drop_table("wechat_tagged")
    op.drop_table("wechat_tag")
    op.drop_table("wechat_scene")
    op.drop_index(op.f("ix_follower_key"), "follower")
    op.drop_column("follower", "key")
