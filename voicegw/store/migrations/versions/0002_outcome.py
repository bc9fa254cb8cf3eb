"""Apart: how a call ended (`ended_by`), and what came of it (`outcome`, the persona's code)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rename the old column; nothing is known of what came of older calls."""
    op.execute("ALTER TABLE calls RENAME COLUMN outcome TO ended_by")
    op.add_column("calls", sa.Column("outcome", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Forget what came of calls."""
    op.drop_column("calls", "outcome")
    op.execute("ALTER TABLE calls RENAME COLUMN ended_by TO outcome")
