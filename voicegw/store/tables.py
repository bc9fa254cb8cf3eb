"""The tables of call records. A change here needs a new file in `migrations/versions`; a test compares them.

Everything of a call hangs on its `call_id` and goes with it.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_call(*, number: str) -> tuple[Column[str], Column[int]]:
    call_id: Column[str] = Column(
        "call_id", String(32), ForeignKey("calls.call_id", ondelete="CASCADE"), primary_key=True
    )
    return call_id, Column(number, Integer, primary_key=True, autoincrement=False)


calls = Table(
    "calls",
    metadata,
    Column("call_id", String(32), primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("carrier", String(32), nullable=False),
    Column("persona", Text, nullable=False),
    Column("persona_version", String(64), nullable=False),
    Column("language", String(64), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("ended_by", String(64), nullable=False),
    Column("outcome", Text, nullable=False, server_default=""),
    Column("summary", Text, nullable=False),
    Column("recording", Text, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("verdict_detail", JSON, nullable=False),
    Index(None, "started_at"),
    Index(None, "caller"),
    Index(None, "external_id"),
)

turns = Table(
    "turns",
    metadata,
    *_of_call(number="number"),
    Column("source", String(16), nullable=False),
    Column("said", Text, nullable=False),
    Column("heard", Text, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("gap_ms", Integer),
    Column("stages_ms", JSON, nullable=False),
    Column("cut", Boolean, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("rejected", JSON, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("costs", JSON, nullable=False),
)

tools = Table(
    "tools",
    metadata,
    *_of_call(number="number"),
    Column("turn", Integer, nullable=False),
    Column("tool_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("took_ms", Integer),
)

rungs = Table(
    "rungs",
    metadata,
    *_of_call(number="number"),
    Column("turn", Integer, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("rung", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

transfers = Table(
    "transfers",
    metadata,
    *_of_call(number="number"),
    Column("at_ms", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", String(32), nullable=False),
)

# Of a call record's lists, each in a table of its own.
PARTS: dict[str, Table] = {"turns": turns, "tools": tools, "rungs": rungs, "transfers": transfers}
