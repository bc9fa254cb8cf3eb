"""Reading call records: lists by filter, one call whole, all rows for an export."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from voicegw.errors import ConfigError
from voicegw.store.database import Database
from voicegw.store.tables import PARTS, calls

Row = dict[str, Any]
# Rows of an export that are in memory at once.
PAGE = 500
_AGO = {"m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls; None and "" mean all."""

    since: datetime | None = None
    until: datetime | None = None
    caller: str = ""
    persona: str = ""
    ended_by: str = ""
    outcome: str = ""
    verdict: str = ""

    @classmethod
    def of(cls, since: str = "", until: str = "", **equal: str) -> "Filter":
        """Read what a person typed. Raises ConfigError."""
        return cls(moment("--since", since), moment("--until", until), **equal)

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(calls.c.started_at >= self.since)
        if self.until is not None:
            found.append(calls.c.started_at < self.until)
        for name in ("caller", "persona", "ended_by", "outcome", "verdict"):
            if value := getattr(self, name):
                found.append(calls.c[name] == value)
        return found


def moment(option: str, text: str) -> datetime | None:
    """A date, a time, or how long ago: "2026-11-25", "2026-11-25T10:00", "36h". Raises ConfigError."""
    if not text:
        return None
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _AGO[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: expected 2026-11-25, 2026-11-25T10:00, or 36h, 7d") from None
    return found if found.tzinfo else found.astimezone()


async def list_calls(database: Database, wanted: Filter, limit: int) -> list[Row]:
    """The newest calls, newest first. Raises StoreError."""
    query = select(calls).where(*wanted.conditions()).order_by(calls.c.started_at.desc()).limit(limit)
    return await _rows(database, query)


async def every_call(database: Database, wanted: Filter) -> AsyncIterator[Row]:
    """All calls in the order of their ids, each with its parts, page by page. Raises StoreError."""
    after = ""
    while True:
        query = (
            select(calls)
            .where(*wanted.conditions(), calls.c.call_id > after)
            .order_by(calls.c.call_id)
            .limit(PAGE)
        )
        page = await _with_parts(database, await _rows(database, query))
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        after = page[-1]["call_id"]


async def one_call(database: Database, beginning: str) -> Row:
    """One call with its parts, by its id or the beginning of it. Raises ConfigError if none or many."""
    query = select(calls).where(calls.c.call_id.startswith(beginning, autoescape=True)).limit(2)
    found = await _rows(database, query)
    if len(found) != 1:
        what = "several calls begin" if found else "no call begins"
        raise ConfigError(f"{what} with {beginning}; voicegw calls list shows them")
    return (await _with_parts(database, found))[0]


async def _rows(database: Database, query: Select[Any]) -> list[Row]:
    async with database.begin() as connection:
        return [_plain(row) for row in (await connection.execute(query)).mappings()]


async def _with_parts(database: Database, rows: Sequence[Row]) -> list[Row]:
    found = {row["call_id"]: row | {name: [] for name in PARTS} for row in rows}
    for name, table in PARTS.items():
        query = select(table).where(table.c.call_id.in_(found)).order_by(table.c.call_id, table.c.number)
        for part in await _rows(database, query):
            found[part.pop("call_id")][name].append(part)
    return list(found.values())


def _plain(row: Any) -> Row:
    """Times as datetimes in UTC: SQLite gives them without a zone."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }
