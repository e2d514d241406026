"""0023 People are found by how their address or name begins: an index of names, and on PostgreSQL of bytes.

There the order of other indexes is that of the server's language, which tells nothing of beginnings.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("ix_subscriber_name", "subscriber", ["name"])
        return
    op.execute('CREATE INDEX ix_subscriber_name ON subscriber (name COLLATE "C")')
    op.execute('CREATE INDEX ix_subscriber_email_begins ON subscriber (email_key COLLATE "C")')


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_subscriber_email_begins", "subscriber")
    op.drop_index("ix_subscriber_name", "subscriber")
