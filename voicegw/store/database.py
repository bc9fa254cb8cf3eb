"""The database of call records: SQLite in the data folder, or PostgreSQL by URL. The same code for both.

SQLite's schema is made and brought up to date when it is opened; PostgreSQL's only by `voicegw db upgrade`,
because a database that others use too is not changed in passing.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voicegw.config import StoreSettings
from voicegw.errors import ConfigError, StoreError
from voicegw.store.records import CallRecord
from voicegw.store.tables import PARTS, calls

MIGRATIONS = Path(__file__).parent / "migrations"
# A database that does not answer within this is down: records wait in the spool.
CONNECT_S = 5.0
ANSWER_S = 20.0


def database_url(settings: StoreSettings) -> URL:
    """The URL of the records with the driver that voicegw uses. Raises ConfigError."""
    text = settings.database_url
    if not text:
        folder = Path(settings.data_dir)
        return URL.create("sqlite+aiosqlite", database=str(folder / "voicegw.db"))
    try:
        url = make_url(text)
    except ArgumentError:
        # The text may hold a password.
        raise ConfigError(
            "store.database_url: expected postgresql://user@host/name, or sqlite:///file"
        ) from None
    if url.drivername in ("postgres", "postgresql", "postgresql+asyncpg"):
        return url.set(drivername="postgresql+asyncpg")
    if url.drivername in ("sqlite", "sqlite+aiosqlite"):
        return url.set(drivername="sqlite+aiosqlite")
    raise ConfigError(f"store.database_url: {url.drivername} is not supported; use postgresql or sqlite")


class Database:
    """Call records in SQL."""

    def __init__(self, url: URL) -> None:
        """Prepare; connects when it is first used. Raises ConfigError when the driver is not installed."""
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            arguments: dict[str, Any] = {"timeout": ANSWER_S}
            pool: dict[str, Any] = {}
        else:
            arguments = {"timeout": CONNECT_S, "command_timeout": ANSWER_S}
            # A connection that died with the server is noticed before it is used.
            pool = {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True, "pool_timeout": CONNECT_S}
        try:
            self._engine: AsyncEngine = create_async_engine(url, connect_args=arguments, **pool)
        except ModuleNotFoundError:
            raise ConfigError(
                "store.database_url: PostgreSQL needs a driver: pip install 'voicegw[postgres]'"
            ) from None
        self._insert = sqlite.insert if self.is_sqlite else postgresql.insert
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction. Raises StoreError for whatever the database has against it."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(_words(error.orig or error), lost=error.connection_invalidated) from error
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise StoreError(_words(error), lost=True) from error

    async def upgrade(self) -> None:
        """Bring the schema up to date. Raises StoreError."""
        if self.is_sqlite and self.url.database:
            try:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.url.database}: {error.strerror}", lost=True) from error
        async with self.begin() as connection:
            await connection.run_sync(_upgrade)

    async def revision(self) -> str | None:
        """The schema's revision; None when there is none. Raises StoreError."""
        if self.is_sqlite and not os.path.exists(str(self.url.database)):  # noqa: ASYNC240 (a stat)
            return None
        async with self.begin() as connection:
            return await connection.run_sync(
                lambda sync: MigrationContext.configure(sync).get_current_revision()
            )

    async def check(self) -> None:
        """Make sure that the schema is this version's: SQLite's is brought there. Raises StoreError."""
        if self.is_sqlite:
            await self.upgrade()
            return
        found = await self.revision()
        if found != newest_revision():
            raise StoreError(f"the schema is at {found or 'nothing'}: run voicegw db upgrade")

    async def add(self, records: Sequence[CallRecord]) -> int:
        """Add records in one transaction; those that are there already are left. Returns how many were new.

        Raises StoreError; nothing was added then.
        """
        new = 0
        async with self.begin() as connection:
            for record in records:
                row = asdict(record)
                row.pop("format")
                parts = {name: row.pop(name) for name in PARTS}
                row["started_at"] = datetime.fromisoformat(record.started_at)
                row["ended_at"] = datetime.fromisoformat(record.ended_at)
                done = await connection.execute(
                    self._insert(calls).values(_clean(row)).on_conflict_do_nothing()
                )
                if not done.rowcount:
                    continue
                new += 1
                for name, table in PARTS.items():
                    rows = [
                        {"number": number, **_clean(part), "call_id": record.call_id}
                        for number, part in enumerate(parts[name])
                    ]
                    if rows:
                        await connection.execute(table.insert(), rows)
        return new

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def newest_revision() -> str | None:
    """The revision that this version of voicegw writes."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # By itself Python's driver leaves changes of the schema out of the transaction: a process that is killed
    # within an upgrade would leave half a schema, which no later one could bring on.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Readers do not wait for the writer; a crash of the machine loses at most what the spool still has.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out what PostgreSQL's text cannot hold: NUL, and halves of surrogate pairs."""
    return {name: _clean_value(value) for name, value in row.items()}


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:
            return value
        return value.replace("\0", "").encode(errors="ignore").decode()
    if isinstance(value, dict):
        return {_clean_value(k): _clean_value(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean_value(v) for v in value]
    return value


def _words(error: BaseException) -> str:
    """The error's first line: what follows may hold values, which are callers' words."""
    return (str(error).splitlines() or [type(error).__name__])[0]
