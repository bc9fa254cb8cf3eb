"""Call records: calls, and their turns, tools, rungs and transfers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _of_call() -> list[sa.Column[object]]:
    return [
        sa.Column("call_id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    ]


def _foreign(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["call_id"], ["calls.call_id"], name=f"fk_{table}_call_id", ondelete="CASCADE"
    )


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        _number("duration_ms"),
        _text("carrier", 32),
        _text("persona"),
        _text("persona_version", 64),
        _text("language", 64),
        _text("external_id"),
        _text("caller"),
        _text("called"),
        sa.Column("metadata", sa.JSON, nullable=False),
        _text("outcome", 64),
        _text("summary"),
        _text("recording"),
        sa.Column("cost_usd", sa.Float, nullable=False),
        _text("verdict", 32),
        sa.Column("verdict_detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_calls"),
    )
    for column in ("started_at", "caller", "external_id"):
        op.create_index(f"ix_calls_{column}", "calls", [column])
    op.create_table(
        "turns",
        *_of_call(),
        _text("source", 16),
        _text("said"),
        _text("heard"),
        _number("at_ms"),
        sa.Column("gap_ms", sa.Integer),
        sa.Column("stages_ms", sa.JSON, nullable=False),
        sa.Column("cut", sa.Boolean, nullable=False),
        _number("reopened"),
        sa.Column("rejected", sa.JSON, nullable=False),
        _number("prompt_tokens"),
        _number("completion_tokens"),
        sa.Column("cost_usd", sa.Float, nullable=False),
        sa.Column("costs", sa.JSON, nullable=False),
        _foreign("turns"),
    )
    op.create_table(
        "tools",
        *_of_call(),
        _number("turn"),
        _text("tool_id"),
        _text("name"),
        _text("arguments"),
        _text("outcome"),
        _text("result"),
        _number("at_ms"),
        sa.Column("took_ms", sa.Integer),
        _foreign("tools"),
    )
    op.create_table(
        "rungs",
        *_of_call(),
        _number("turn"),
        _number("at_ms"),
        _text("rung", 32),
        _text("text"),
        _text("reason"),
        _foreign("rungs"),
    )
    op.create_table(
        "transfers",
        *_of_call(),
        _number("at_ms"),
        _text("target"),
        _text("status", 32),
        _foreign("transfers"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("transfers", "rungs", "tools", "turns", "calls"):
        op.drop_table(table)
