"""0007 imports: runs, the rows of their files until they are dealt with, the rows that were refused."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)
_OPEN: dict[str, Any] = {
    "sqlite_where": sa.text("state IN ('receiving', 'ready', 'running')"),
    "postgresql_where": sa.text("state IN ('receiving', 'ready', 'running')"),
}


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f(f"fk_{table}_run_id_import_run"))


def upgrade() -> None:
    op.create_table(
        "import_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("encoding", sa.String(length=20), nullable=False),
        sa.Column("delimiter", sa.String(length=1), nullable=False),
        sa.Column("sheet", sa.String(length=100), nullable=False),
        sa.Column("headings", sa.JSON(), nullable=False),
        sa.Column("header_row", sa.Integer(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("list_name", sa.String(length=100), nullable=False),
        sa.Column("basis", sa.String(length=1000), nullable=False),
        sa.Column("consent", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=100), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in (
                "rows",
                "done",
                "added",
                "changed",
                "unchanged",
                "refused",
                "chunks",
                "chunk",
                "start",
            )
        ),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("busy_until", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    op.create_index("ix_import_run_open", "import_run", ["state"], **_OPEN)
    op.create_table(
        "import_chunk",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _of_run("import_chunk"),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_import_chunk")),
    )
    op.create_table(
        "import_refused",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _of_run("import_refused"),
        sa.PrimaryKeyConstraint("run_id", "chunk", "start", name=op.f("pk_import_refused")),
    )
    op.create_table(
        "import_member",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        _of_run("import_member"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_import_member_subscriber_id_subscriber")
        ),
        sa.PrimaryKeyConstraint("run_id", "subscriber_id", name=op.f("pk_import_member")),
    )


def downgrade() -> None:
    for table in ("import_member", "import_refused", "import_chunk"):
        op.drop_table(table)
    op.drop_index("ix_import_run_open", "import_run", **_OPEN)
    op.drop_table("import_run")
