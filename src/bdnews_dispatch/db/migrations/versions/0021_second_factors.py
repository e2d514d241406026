"""0021 Second factors, roles by publication, tokens that belong to users, sign-in by an OpenID provider."""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_BIG = bdnews_dispatch.db.types.BigId


def _id() -> "sa.Column[int]":
    return sa.Column("id", sa.Integer(), nullable=False)


def _of_user(table: str) -> tuple["sa.Column[int]", sa.ForeignKeyConstraint]:
    key = sa.ForeignKeyConstraint(
        ["user_id"], ["console_user.id"], name=op.f(f"fk_{table}_user_id_console_user")
    )
    return sa.Column("user_id", sa.Integer(), nullable=False), key


def upgrade() -> None:
    for column in (
        sa.Column("publications", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("language", sa.String(length=8), nullable=False, server_default="zh"),
        sa.Column("totp_secret", sa.String(length=300), nullable=False, server_default=""),
        sa.Column("totp_since", _MOMENT, nullable=True),
        sa.Column("totp_step", _BIG, nullable=False, server_default="0"),
        sa.Column("totp_wrong", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("console_user", column)
    op.add_column(
        "console_session", sa.Column("browser", sa.String(length=60), nullable=False, server_default="")
    )
    op.add_column("api_token", sa.Column("user_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_api_token_user_id"), "api_token", ["user_id"])
    op.create_table(
        "half_sign_in",
        _id(),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        *_of_user("half_sign_in"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_half_sign_in")),
        sa.UniqueConstraint("sha256", name=op.f("uq_half_sign_in_sha256")),
    )
    op.create_table(
        "recovery_code",
        _id(),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        *_of_user("recovery_code"),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("sha256", name=op.f("uq_recovery_code_sha256")),
    )
    op.create_table(
        "provider_identity",
        _id(),
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        *_of_user("provider_identity"),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_identity")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_provider_identity_issuer_subject")),
    )
    for table in ("half_sign_in", "recovery_code", "provider_identity"):
        op.create_index(op.f(f"ix_{table}_user_id"), table, ["user_id"])


def downgrade() -> None:
    for table in ("provider_identity", "recovery_code", "half_sign_in"):
        op.drop_table(table)
    op.drop_index(op.f("ix_api_token_user_id"), "api_token")
    op.drop_column("api_token", "user_id")
    op.drop_column("console_session", "browser")
    for column in ("totp_wrong", "totp_step", "totp_since", "totp_secret", "language", "publications"):
        op.drop_column("console_user", column)
