"""Removing what must not be kept: calls that are too old, and all calls of one caller."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, or_, select

from voicegw.store.database import Database
from voicegw.store.tables import calls

# Where a call's files lie, by folder; each begins with the call's id.
# Photos are gone with their call, unless its process was killed.
FOLDERS = ("recordings", "journals", "spool", "bundles", "photos")
# Ids in one statement: SQLite and PostgreSQL take more.
CHUNK = 500
DAY_S = 86_400


async def remove_older(database: Database, data: Path, days: int) -> int:
    """Remove calls that began more than `days` ago, with their files. Returns how many. Raises StoreError."""
    before = datetime.now(UTC) - timedelta(days=days)
    async with database.begin() as connection:
        old = (await connection.execute(select(calls.c.call_id).where(calls.c.started_at < before))).scalars()
        ids = list(old)
    await remove_calls(database, data, ids)
    await asyncio.to_thread(_remove_old_files, data, time.time() - days * DAY_S)
    return len(ids)


async def calls_of(database: Database, data: Path, who: str) -> list[str]:
    """The ids of all calls of a caller: by number or external id, in the database and in the files."""
    async with database.begin() as connection:
        found = await connection.execute(
            select(calls.c.call_id).where(or_(calls.c.caller == who, calls.c.external_id == who))
        )
        ids = set(found.scalars())
    return sorted(ids | set(await asyncio.to_thread(_in_files, data, who)))


async def remove_calls(database: Database, data: Path, ids: Iterable[str]) -> None:
    """Remove these calls, with their files. Raises StoreError; files are removed after the rows."""
    ids = list(ids)
    for start in range(0, len(ids), CHUNK):
        async with database.begin() as connection:
            await connection.execute(delete(calls).where(calls.c.call_id.in_(ids[start : start + CHUNK])))
    await asyncio.to_thread(_remove_files, data, ids)


def _remove_files(data: Path, ids: list[str]) -> None:
    for call_id in ids:
        for folder in FOLDERS:
            for path in (data / folder).glob(f"{call_id}*"):
                _remove(path)


def _remove_old_files(data: Path, before: float) -> None:
    """Files of calls whose record is not in this database, by their age."""
    for folder in FOLDERS:
        for path in (data / folder).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _in_files(data: Path, who: str) -> Iterable[str]:
    """Calls of a caller by their journals and by records that wait: the database need not know them yet."""
    for path in (data / "journals").glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            for line in file:
                if (b'"CallStarted"' in line or b'"CallerDetails"' in line) and _names(line, who):
                    yield path.stem
                    break
    for path in (data / "spool").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if _names(path.read_bytes(), who):
                yield path.name.partition(".")[0]


def _names(line: bytes, who: str) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and who in (found.get("caller"), found.get("external_id"))
