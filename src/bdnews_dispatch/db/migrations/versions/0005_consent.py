"""0005 consent: what was agreed to, by which text and from where; requests and letters; tags, attributes, segments."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_CURRENT: dict[str, Any] = {
    "sqlite_where": sa.text("left_at IS NULL"),
    "postgresql_where": sa.text("left_at IS NULL"),
}
_WAITING: dict[str, Any] = {
    "sqlite_where": sa.text("state = 'waiting'"),
    "postgresql_where": sa.text("state = 'waiting'"),
}


def _text(name: str, length: int) -> sa.Column[str]:
    """Older code that writes the table does not know the column: it has a default."""
    return sa.Column(name, sa.String(length=length), nullable=False, server_default="")


def _rules(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default="[]")


def upgrade() -> None:
    op.create_table(
        "consent_text",
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_used_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_consent_text")),
    )
    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("name", name=op.f("uq_segment_name")),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=24), nullable=False),
        sa.Column("other_key", sa.String(length=24), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("publication", sa.String(length=40), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_key", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("network", sa.String(length=50), nullable=False),
        sa.Column("consent", sa.String(length=16), nullable=False),
        sa.Column("requested_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT, nullable=True),
        sa.Column("other_answered_at", _MOMENT, nullable=True),
        sa.Column("done_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_request_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
        sa.UniqueConstraint("key", name=op.f("uq_request_key")),
        sa.UniqueConstraint("other_key", name=op.f("uq_request_other_key")),
    )
    op.create_index("ix_request_email_key_requested_at", "request", ["email_key", "requested_at"])
    op.create_index("ix_request_network_requested_at", "request", ["network", "requested_at"])
    op.create_index(op.f("ix_request_subscriber_id"), "request", ["subscriber_id"])
    op.create_table(
        "letter",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("publication", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_letter_request_id_request")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter")),
        sa.UniqueConstraint("key", name=op.f("uq_letter_key")),
    )
    op.create_index("ix_letter_waiting", "letter", ["due_at"], **_WAITING)
    op.create_index(op.f("ix_letter_request_id"), "letter", ["request_id"])
    op.create_table(
        "subscriber_attribute",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_attribute_subscriber_id_subscriber"),
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "name", name=op.f("pk_subscriber_attribute")),
    )
    op.create_index("ix_subscriber_attribute_name_value", "subscriber_attribute", ["name", "value"])
    op.create_table(
        "subscriber_tag",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_subscriber_tag_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "tag", name=op.f("pk_subscriber_tag")),
    )
    op.create_index(op.f("ix_subscriber_tag_tag"), "subscriber_tag", ["tag"])

    with op.batch_alter_table("dispatch") as batch:
        for name in ("segments", "excluded_lists", "excluded_segments"):
            batch.add_column(_rules(name))
    with op.batch_alter_table("mailing_list") as batch:
        batch.add_column(_text("description", 200))
        batch.add_column(sa.Column("public", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("subscriber") as batch:
        batch.add_column(sa.Column("last_opened_at", _MOMENT, nullable=True))
        batch.add_column(sa.Column("erased_at", _MOMENT, nullable=True))
    with op.batch_alter_table("subscription") as batch:
        batch.add_column(sa.Column("paused_until", _MOMENT, nullable=True))
        batch.add_column(_text("network", 50))
        batch.add_column(_text("consent", 16))
    with op.batch_alter_table("list_membership") as batch:
        batch.add_column(_text("origin", 40))
        batch.add_column(_text("evidence", 255))
        batch.add_column(_text("network", 50))
        batch.add_column(_text("consent", 16))
        batch.add_column(sa.Column("left_at", _MOMENT, nullable=True))
        batch.add_column(_text("leave_reason", 100))
    with op.batch_alter_table("list_membership") as batch:
        batch.drop_constraint(op.f("uq_list_membership_list_id_subscriber_id"), type_="unique")
    # Who leaves and comes back has two rows. Older code, which takes rows away instead, keeps to it as well.
    op.create_index(
        "uq_list_membership_current", "list_membership", ["list_id", "subscriber_id"], unique=True, **_CURRENT
    )


def downgrade() -> None:
    op.drop_index("uq_list_membership_current", "list_membership", **_CURRENT)
    op.execute("DELETE FROM list_membership WHERE left_at IS NOT NULL")
    with op.batch_alter_table("list_membership") as batch:
        batch.create_unique_constraint(
            op.f("uq_list_membership_list_id_subscriber_id"), ["list_id", "subscriber_id"]
        )
        for name in ("leave_reason", "left_at", "consent", "network", "evidence", "origin"):
            batch.drop_column(name)
    for table, names in (
        ("subscription", ("consent", "network", "paused_until")),
        ("subscriber", ("erased_at", "last_opened_at")),
        ("mailing_list", ("public", "description")),
        ("dispatch", ("excluded_segments", "excluded_lists", "segments")),
    ):
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.drop_column(name)
    for table in ("subscriber_tag", "subscriber_attribute", "letter", "request", "segment", "consent_text"):
        op.drop_table(table)
