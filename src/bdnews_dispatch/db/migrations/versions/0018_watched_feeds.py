"""0018 Watched feeds, and the entries of them that have been seen."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "watched_feed",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("url", sa.String(500), nullable=False, unique=True),
        sa.Column("publication", sa.String(40), nullable=False),
        sa.Column("publish", sa.Boolean, nullable=False),
        sa.Column("backlog", sa.Boolean, nullable=False),
        sa.Column("etag", sa.String(200), nullable=False),
        sa.Column("last_modified", sa.String(60), nullable=False),
        sa.Column("read_at", _MOMENT, nullable=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("problem", sa.String(300), nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("disabled_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "feed_entry",
        sa.Column("feed_id", sa.Integer, sa.ForeignKey("watched_feed.id"), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("issue_id", sa.Integer, sa.ForeignKey("issue.id"), nullable=True),
        sa.Column("problem", sa.String(300), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("feed_entry")
    op.drop_table("watched_feed")
