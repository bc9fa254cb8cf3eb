"""`voicegw calls`, `voicegw db`, `voicegw forget`: what is kept of calls, for people and for scripts."""

import asyncio
import csv
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.store.database import Database, database_url, newest_revision
from voicegw.store.queries import Filter, Row, every_call, list_calls, one_call
from voicegw.store.retention import calls_of, remove_calls
from voicegw.store.spool import HOOK, OPEN, RECORD
from voicegw.store.tables import PARTS, calls

T = TypeVar("T")


def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]], *, check: bool = True) -> T:
    async def run() -> T:
        database = Database(database_url(settings.store))
        try:
            if check:
                await database.check()
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def run_list(settings: Settings, wanted: Filter, limit: int, *, export: str) -> int:
    """Print calls as a table, or all of them as CSV or JSON lines. Raises ConfigError, StoreError."""
    if export not in ("", "csv", "jsonl"):
        raise ConfigError(f"--export {export}: expected csv or jsonl")
    if export:
        _with_database(settings, lambda database: _export(database, wanted, export))
        return 0
    rows = _with_database(settings, lambda database: list_calls(database, wanted, limit))
    # Into a file or a pipe nothing is shortened.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if not rows:
        console.print("no calls")
        return 0
    table = Table(box=None, pad_edge=False)
    for name in ("call", "began", "lasted", "caller", "persona", "ended by", "outcome", "verdict", "USD"):
        table.add_column(name, justify="right" if name in ("lasted", "USD") else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row["call_id"],
            _local(row["started_at"]),
            _lasted(row["duration_ms"]),
            Text(row["caller"]),
            Text(row["persona"]),
            row["ended_by"],
            row["outcome"],
            row["verdict"],
            f"{row['cost_usd']:.4f}" if row["cost_usd"] else "",
        )
    console.print(table)
    return 0


async def _export(database: Database, wanted: Filter, kind: str) -> None:
    names = [column.name for column in calls.columns]
    writer = csv.writer(sys.stdout) if kind == "csv" else None
    if writer is not None:
        writer.writerow([*names, *PARTS])
    async for row in every_call(database, wanted):
        if writer is None:
            print(json.dumps(row, ensure_ascii=False, default=_told))
        else:
            writer.writerow([_cell(row[name]) for name in (*names, *PARTS)])


def _cell(value: Any) -> Any:
    """A CSV cell; text that a spreadsheet would take for a formula is quoted (OWASP: CSV injection)."""
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def run_show(settings: Settings, call_id: str, *, as_json: bool) -> int:
    """Print one call. Raises ConfigError, StoreError."""
    row = _with_database(settings, lambda database: one_call(database, call_id))
    if as_json:
        print(json.dumps(row, ensure_ascii=False, default=_told))
        return 0
    console = Console(highlight=False)
    for name, value in _facts(row, Path(settings.store.data_dir)):
        if value:
            console.print(Text.assemble((f"{name:>10}  ", "dim"), value), soft_wrap=True)
    for turn in row["turns"]:
        console.print()
        if turn["said"]:
            console.print(Text.assemble(("caller  ", "cyan"), turn["said"]), soft_wrap=True)
        if turn["heard"]:
            cut = " (cut off)" if turn["cut"] else ""
            console.print(Text.assemble((" agent  ", "green"), turn["heard"], (cut, "dim")), soft_wrap=True)
        if turn["gap_ms"] is not None:
            stages = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in turn["stages_ms"].items() if v)
            console.print(Text(f"        after {turn['gap_ms']} ms: {stages}", "dim"), soft_wrap=True)
        for reason in turn["rejected"]:
            console.print(Text(f"        not taken as a turn: {reason}", "dim"))
        for kind in ("tools", "rungs"):
            for part in row[kind]:
                if part["turn"] == turn["number"]:
                    console.print(Text(f"        {_part(kind, part)}", "yellow"), soft_wrap=True)
    for transfer in row["transfers"]:
        console.print(Text(f"handed over to {transfer['target']}: {transfer['status']}", "yellow"))
    return 0


def _facts(row: Row, data: Path) -> list[tuple[str, str]]:
    recording = data / "recordings" / row["recording"] if row["recording"] else None
    bundle = data / "bundles" / row["call_id"]
    verdict = row["verdict"]
    if reasons := row["verdict_detail"].get("reasons"):
        verdict += f" ({'; '.join(str(reason) for reason in reasons)})"
    return [
        ("call", row["call_id"]),
        ("began", f"{_local(row['started_at'])}, lasted {_lasted(row['duration_ms'])}"),
        ("caller", row["caller"] + (f" to {row['called']}" if row["called"] else "")),
        ("carrier", f"{row['carrier']} {row['external_id']}".strip()),
        ("persona", f"{row['persona']} ({row['language']}), version {row['persona_version']}"),
        ("ended by", row["ended_by"]),
        ("outcome", f"{row['outcome']}: {row['summary']}" if row["outcome"] else row["summary"]),
        ("verdict", verdict),
        *_figures(row["verdict_detail"]),
        ("cost", _cost(row)),
        ("recording", str(recording) if recording else ""),
        ("bundle", str(bundle) if bundle.is_dir() else ""),
    ]


def _figures(detail: Row) -> list[tuple[str, str]]:
    """What the verdict is made of, as far as it could be told."""
    if not detail:
        return []
    causes = ", ".join(f"{owner.replace('_', ' ')} {ms}" for owner, ms in detail["causes_ms"].items() if ms)
    p50, p95 = detail["gap_p50_ms"], detail["gap_p95_ms"]
    gaps = "" if p50 is None else f"p50 {p50} ms, p95 {p95} ms; {detail['waited_ms']} ms in all: {causes}"
    silence = detail["longest_silence_ms"]
    owner = detail["longest_silence_owner"].replace("_", " ")
    barge_in = detail["barge_in_stop_ms"]
    over = f"{detail['talk_over_ms'] / 1000:.1f} s both at once, {detail['cut_offs']} times cut off"
    if detail["barge_ins"]:
        stopped = "" if barge_in is None else f", stopped {barge_in} ms after the voice at the latest"
        over += f", {detail['barge_ins']} times interrupted{stopped}"
    sides = [
        f"{name} {side['level_db']} dBFS, {side['clipped_ppm']} ppm clipped"
        for name in ("caller", "agent")
        if (side := detail[name]) is not None
    ]
    if detail["echo"] is not None:
        sides.append(f"echo {detail['echo']}")
    return [
        ("waits", gaps),
        ("silence", f"{silence} ms at most ({owner})" if silence else ""),
        ("talk", over),
        ("unheard", f"{detail['unheard_words']} words" if detail["unheard_words"] else ""),
        ("sound", "; ".join(sides)),
    ]


def _cost(row: Row) -> str:
    if not row["cost_usd"]:
        return ""
    costs = [cost for turn in row["turns"] for cost in turn["costs"]]
    wasted = sum(cost.get("usd", 0.0) for cost in costs if cost.get("wasted"))
    models = ", ".join(dict.fromkeys(cost["model"] for cost in costs if "model" in cost))
    ahead = f", {wasted:.4f} of it asked ahead in vain" if wasted else ""
    return f"{row['cost_usd']:.4f} USD{ahead}" + (f" ({models})" if models else "")


def _part(kind: str, part: Row) -> str:
    if kind == "rungs":
        return f"stood in: {part['rung']} ({part['reason']}): {part['text']}"
    took = f" after {part['took_ms']} ms" if part["took_ms"] is not None else ""
    return f"tool {part['name']}({part['arguments']}): {part['outcome']}{took}"


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _lasted(ms: int) -> str:
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}"


def run_upgrade(settings: Settings) -> int:
    """Bring the schema up to date and say so. Raises ConfigError, StoreError."""
    _with_database(settings, lambda database: database.upgrade(), check=False)
    print(f"the schema is at {newest_revision()}")
    return 0


def run_status(settings: Settings, *, as_json: bool) -> int:
    """Say where records are and what waits. Returns 0 when the schema is right. Raises StoreError."""
    found = _with_database(settings, lambda database: database.revision(), check=False)
    spool = Path(settings.store.data_dir) / "spool"
    waiting = {kind: len(list(spool.glob(f"*{kind}"))) for kind in (RECORD, HOOK, OPEN)}
    url = database_url(settings.store)
    status = {
        "database": url.render_as_string(hide_password=True),
        "revision": found,
        "newest": newest_revision(),
        "waiting": waiting[RECORD],
        "webhooks_waiting": waiting[HOOK],
        "in_progress": waiting[OPEN],
    }
    if as_json:
        print(json.dumps(status))
    else:
        for name, value in status.items():
            print(f"{name.replace('_', ' '):>16}  {value if value is not None else 'none'}")
    return 0 if found == newest_revision() else 1


def run_forget(settings: Settings, who: str, *, yes: bool, as_json: bool) -> int:
    """Remove all of one caller. Raises ConfigError, StoreError."""
    data = Path(settings.store.data_dir)
    if not who.strip():
        raise ConfigError("name the caller: a number, or the external id of a call")

    async def look(database: Database) -> list[str]:
        return await calls_of(database, data, who)

    ids = _with_database(settings, look)
    if ids and not yes:
        typer.confirm(f"Remove {len(ids)} calls of {who}, with their recordings?", abort=True, err=True)
    _with_database(settings, lambda database: remove_calls(database, data, ids))
    print(json.dumps({"removed": ids}) if as_json else f"{len(ids)} calls removed")
    return 0
