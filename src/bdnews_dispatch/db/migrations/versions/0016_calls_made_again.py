"""0016 Calls made again: when the call was made whose answer was lost, as long as the platform would know it again; and
since when an openid is a subscriber's.
"""

import sqlalchemy as sa
from alembic import op

import bdnews_dispatch.db.types

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_MOMENT = bdnews_dispatch.db.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.add_column("delivery", sa.Column("called_at", _MOMENT, nullable=True))
    op.add_column("subscriber", sa.Column("bound_at", _MOMENT, nullable=True))


def downgrade() -> None:
    op.drop_column("subscriber", "bound_at")
    op.drop_column("delivery", "called_at")
