"""0020 The audit log can't be edited: the database itself refuses to change or take away an entry."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_REFUSAL = "entries of the audit log stay as they are"
_SQLITE = [
    f"""CREATE TRIGGER audit_entry_no_{action} BEFORE {action} ON audit_entry
    BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"""
    for action in ("update", "delete")
]
_POSTGRESQL = [
    f"""CREATE FUNCTION audit_entry_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$""",
    """CREATE TRIGGER audit_entry_stays BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_stays()""",
    """CREATE TRIGGER audit_entry_stays_whole BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_stays()""",
]


def upgrade() -> None:
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_entry_no_update")
        op.execute("DROP TRIGGER audit_entry_no_delete")
        return
    op.execute("DROP TRIGGER audit_entry_stays ON audit_entry")
    op.execute("DROP TRIGGER audit_entry_stays_whole ON audit_entry")
    op.execute("DROP FUNCTION audit_entry_stays()")
