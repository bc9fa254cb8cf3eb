"""Call records: what is kept of a call, the way to the database, and what becomes of it when things break."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from gateways import caller, kept_gateway
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text

from voicegw.config import StoreSettings
from voicegw.errors import ConfigError, StoreError
from voicegw.rehearsal.script import Fault, Script, ScriptedReply, ToolCall
from voicegw.server.keeping import Keeping
from voicegw.store.database import MIGRATIONS, Database, database_url, newest_revision
from voicegw.store.queries import Filter, list_calls, one_call
from voicegw.store.records import CallRecord, TurnRecord, load_record
from voicegw.store.retention import FOLDERS, calls_of, remove_calls, remove_older
from voicegw.store.spool import Spool
from voicegw.store.tables import PARTS, calls, metadata


def record(number: int, **more: object) -> CallRecord:
    fields = {
        "call_id": f"{number:016x}",
        "started_at": "2026-11-25T03:04:05.678+00:00",
        "ended_at": "2026-11-25T03:05:05.678+00:00",
        "duration_ms": 60000,
        "carrier": "native",
        "persona": "giao-hang",
        "persona_version": "abc",
        "language": "vi",
        "external_id": f"ext-{number}",
        "caller": "+84901234567",
        "called": "1900",
        "metadata": {"queue": "vip"},
        "ended_by": "caller",
        "outcome": "resolved",
        "summary": "1 turn; ended by caller",
        "recording": "",
        "cost_usd": 0.01,
    }
    said = TurnRecord(1, "voice", "đơn của em đâu?", "Dạ em kiểm tra ngay.", 900, 800, {"speech": 100}, False,
                      0, [], 10, 20, 0.01, [{"usd": 0.01}])  # fmt: skip
    return CallRecord(**{**fields, "turns": [said], **more})  # type: ignore[arg-type]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(database_url(StoreSettings(data_dir=str(tmp_path))))
    await made.check()
    yield made
    await made.close()


async def count(database: Database, table: object = calls) -> int:
    async with database.begin() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def test_the_schema_of_the_migrations_is_that_of_the_tables(database: Database) -> None:
    """A column that only the code knows would fail at the first call."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []
    assert await database.revision() == newest_revision()


async def test_a_record_is_there_once_however_often_it_is_delivered(database: Database) -> None:
    """Between the database and the spool a process may die: the record is then delivered again."""
    assert await database.add([record(1), record(2)]) == 2
    assert await database.add([record(2), record(3)]) == 1
    assert await count(database) == 3
    assert await count(database, PARTS["turns"]) == 3


def test_a_record_survives_its_own_json() -> None:
    """What the spool keeps is what the database gets."""
    made = record(7, summary="nửa cặp \ud83d và NUL \0")
    assert load_record(made.dump()).turns == made.turns


async def test_words_that_no_database_takes_are_cleaned(database: Database) -> None:
    """A NUL from a phone book entry must not hold up the record."""
    await database.add([record(1, caller="a\0b\ud83d", metadata={"k\0": "v\0"})])
    async with database.begin() as connection:
        row = (await connection.execute(select(calls.c.caller, calls.c.metadata))).one()
    assert row == ("ab", {"k": "v"})


async def test_a_call_gets_its_record(tmp_path: Path) -> None:
    """From the first word to the row: who, when, what was said and heard, how it ended."""
    async with kept_gateway(tmp_path) as running:
        async with caller(running.url) as someone:
            await someone.send("start", caller="+84901234567", external_id="x-1", metadata={"queue": "vip"})
            ready = await someone.event("ready")
            await someone.event("speech_stopped")
            await someone.send("text", text="Where is my order?")
            await someone.event("latency")
            heard = (await someone.event("speech_stopped"))["heard"]
            await someone.send("hangup", reason="my own words")
            await someone.closed()
        await delivered(running.gateway.keeping, 1)
        assert running.gateway.keeping is not None
        async with running.gateway.keeping.database.begin() as connection:
            row = (await connection.execute(select(calls))).mappings().one()
            turns = (await connection.execute(select(PARTS["turns"]))).mappings().all()
    assert row["call_id"] == ready["call_id"]
    assert (row["caller"], row["external_id"], row["metadata"]) == ("+84901234567", "x-1", {"queue": "vip"})
    assert row["ended_by"] == "caller"
    assert row["recording"] == f"{ready['call_id']}.flac"
    assert row["carrier"] == "native"
    assert len(row["persona_version"]) == 12
    assert row["duration_ms"] > 0
    answered = next(turn for turn in turns if turn["said"] == "Where is my order?")
    assert answered["heard"] == heard
    assert sum(answered["stages_ms"].values()) == pytest.approx(answered["gap_ms"], abs=6)
    assert list((tmp_path / "spool").iterdir()) == []


SHOP = """
name = "shop"
language = "en"
system_prompt = "Help."

[phrases]
greeting = "Hello."
apology = "Sorry."
not_understood = "Pardon?"
transferring = "I will connect you."

[tools]
use = ["get_order_status", "transfer_to_person", "end_call"]

[[transfer]]
name = "people"
address = "sip:people@shop.example"
"""


def shop(messages: list[dict[str, Any]]) -> ScriptedReply:
    """A model that looks the order up, then hands over, then says goodbye."""
    calls = [message for message in messages if message.get("tool_calls")]
    asked = [m["content"] for m in messages if m["role"] == "user"][-1]
    if messages[-1]["role"] == "tool":
        return ScriptedReply("That is it.")
    if "order" in asked:
        return ScriptedReply("", (ToolCall("get_order_status", '{"order_id": "DH123456"}', "c1"),))
    if "person" in asked and len(calls) < 2:
        return ScriptedReply("", (ToolCall("transfer_to_person", '{"reason": "return"}', "c2"),))
    arguments = '{"outcome": "resolved", "summary": "The order comes on Thursday."}'
    return ScriptedReply("Goodbye.", (ToolCall("end_call", arguments, "c3"),))


async def test_every_column_of_a_record_is_filled_by_a_call(tmp_path: Path) -> None:
    """A call with an order looked up, a hand-over that failed, an apology and a goodbye.

    A column that nothing ever fills promises an operator what is not there.
    """
    folder = tmp_path / "personas"
    folder.mkdir()
    (folder / "shop.toml").write_text(SHOP)
    script = Script(llm=shop, ms_per_char=12)
    async with kept_gateway(tmp_path, script, persona__folders=str(folder)) as running:
        keeping = running.gateway.keeping
        assert keeping is not None
        async with caller(running.url) as someone:
            await someone.send(
                "start", persona="shop", caller="+84901234567", called="1900", external_id="x-1"
            )
            await someone.event("speech_stopped")
            await someone.send("text", text="Where is my order?")
            await someone.event("latency")
            await someone.event("speech_stopped")
            await someone.send("text", text="I want a person.")
            await someone.event("transfer")
            await someone.send("transferred", done=False)
            while (await someone.event("transfer"))["status"] != "failed":
                pass
            running.provider.fail("llm", Fault(status=400), times=1)
            await someone.send("text", text="Hello?")
            await someone.event("rung")
            await someone.event("speech_stopped")
            await someone.send("text", text="Bye.")
            await someone.closed()
        await delivered(keeping, 1)
        (listed,) = await list_calls(keeping.database, Filter(outcome="resolved", ended_by="agent"), 9)
        row = await one_call(keeping.database, listed["call_id"])
    assert (row["outcome"], row["summary"]) == ("resolved", "The order comes on Thursday.")
    (transfer,) = row["transfers"]
    assert (transfer["target"], transfer["status"]) == ("people", "failed")
    (tool,) = row["tools"]
    assert (tool["name"], tool["outcome"]) == ("get_order_status", "done")
    assert "out_for_delivery" in tool["result"]
    assert [rung["rung"] for rung in row["rungs"]] == ["apology"]
    # Nobody was interrupted or misunderstood, scripted providers cost nothing.
    empty = {"metadata", "cost_usd", "costs", "reopened", "rejected", "cut"}
    for table, parts in ((calls, [row]), *((table, row[name]) for name, table in PARTS.items())):
        for column in table.columns:
            if column.name not in (*empty, "call_id", "number", "turn"):
                assert any(part[column.name] for part in parts), f"{table.name}.{column.name}"
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "voicegw", "calls", "show", row["call_id"]],
        env={**os.environ, "VOICEGW_STORE__DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    for words in (
        "resolved: The order comes on Thursday.",
        "handed over to people: failed",
        "ended by  agent",
    ):
        assert words in shown.stdout, shown.stdout + shown.stderr


async def test_an_upgrade_that_was_killed_half_way_is_done_again(tmp_path: Path) -> None:
    """A process that dies as it makes the schema leaves no half of it, which would block all records."""
    made = Database(database_url(StoreSettings(data_dir=str(tmp_path))))

    def killed(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        if "CREATE TABLE tools" in statement:
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", killed)
    try:
        with pytest.raises(KeyboardInterrupt):
            await made.check()
    finally:
        event.remove(Engine, "before_cursor_execute", killed)
    await made.check()
    assert await made.add([record(1)]) == 1
    await made.close()


async def test_records_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    """What an earlier version wrote is there after the upgrade, in the database and in the spool."""
    path = tmp_path / "voicegw.db"
    made = Database(database_url(StoreSettings(data_dir=str(tmp_path))))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with create_engine(f"sqlite:///{path}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        names = [c.name for c in calls.columns if c.name not in ("ended_by", "outcome")]
        values = asdict(record(1)) | {"metadata": "{}", "verdict_detail": "{}"}
        connection.execute(
            text(f"INSERT INTO calls (outcome, {', '.join(names)}) VALUES ('idle', :{', :'.join(names)})"),
            {name: values[name] for name in names},
        )
    await made.check()
    (row,) = await list_calls(made, Filter(), 9)
    await made.close()
    assert (row["call_id"], row["ended_by"], row["outcome"]) == (record(1).call_id, "idle", "")
    old = asdict(record(2)) | {"format": 1, "outcome": "idle"}
    del old["ended_by"]
    found = load_record(json.dumps(old).encode())
    assert (found.ended_by, found.outcome) == ("idle", "")


async def delivered(keeping: Keeping | None, n: int) -> None:
    assert keeping is not None
    while keeping.delivered < n or any(await asyncio.to_thread(lambda: list(keeping.spool.waiting()))):
        keeping.arrived.clear()
        if keeping.delivered < n:
            await keeping.arrived.wait()


async def test_a_call_that_no_database_takes_waits_and_arrives_once(tmp_path: Path) -> None:
    """The database is down for a while: calls go on, and their records come after."""
    blocked = tmp_path / "not-yet"
    settings = StoreSettings(
        data_dir=str(tmp_path / "data"), database_url=f"sqlite:///{blocked / 'deeper' / 'records.db'}"
    )
    blocked.write_text("a file where a folder should be")
    keeping = Keeping(settings)
    keeping.start()
    for number in (1, 2, 3):
        keeping.spool.begin(f"{number:016x}")
        keeping.spool.end(record(number), hook=False)
    with pytest.raises(StoreError):
        await keeping.database.check()
    blocked.unlink()
    await delivered(keeping, 3)
    assert await count(keeping.database) == 3
    assert list(keeping.spool.folder.iterdir()) == []
    await keeping.close()


def test_a_killed_call_is_closed_by_its_journal(tmp_path: Path) -> None:
    """The next start closes it with the truth as far as it was written, and only once."""
    from voicegw.call.events import CallStarted, Played
    from voicegw.call.settings import CallSettings, Phrases
    from voicegw.store.journal import Journal

    spool = Spool(tmp_path)
    call_id = "00000000000000aa"
    spool.begin(call_id)
    told = {"started_at": "2026-11-25T03:04:05.000+00:00", "carrier": "native", "persona": "p"}
    settings = CallSettings("p", "en", "prompt", Phrases("Hello.", "Sorry.", "What?", "Hm?", "Bye."))
    journal = Journal(spool.journals / f"{call_id}.jsonl", call_id, settings, told)
    journal.write(CallStarted("x", "+84901", "1900"), 0)
    journal.write(Played(1, 320, False), 2_000_000)
    journal.flush()
    # While its process lives the call is nobody else's business.
    assert Spool(tmp_path).close_dead_calls(hook=True) == []
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"t":3000000,"e":"Pla')
    assert Spool(tmp_path).close_dead_calls(hook=True, least_age_s=60.0) == []
    assert Spool(tmp_path).close_dead_calls(hook=True) == [call_id]
    (found,) = [load_record(data) for _, data in spool.waiting()]
    assert (found.caller, found.ended_by, found.duration_ms) == ("+84901", "killed", 2000)
    assert sorted(path.suffix for path in spool.folder.iterdir()) == [".hook", ".json"]
    assert Spool(tmp_path).close_dead_calls(hook=True) == []


def test_a_call_that_ended_and_was_killed_before_its_mark_was_gone_keeps_its_record(tmp_path: Path) -> None:
    """What the call itself wrote is better than what its journal tells."""
    from voicegw.call.settings import CallSettings, Phrases
    from voicegw.store.journal import Journal

    spool = Spool(tmp_path)
    one = record(5)
    settings = CallSettings("p", "en", "prompt", Phrases("Hello.", "Sorry.", "What?", "Hm?", "Bye."))
    Journal(spool.journals / f"{one.call_id}.jsonl", one.call_id, settings, {}).close()
    spool.end(one, hook=False)
    spool.begin(one.call_id)
    spool.close_dead_calls(hook=False)
    assert [load_record(data).ended_by for _, data in spool.waiting()] == ["caller"]
    assert [path.suffix for path in spool.folder.iterdir()] == [".json"]


async def test_old_calls_are_removed_with_their_files(tmp_path: Path, database: Database) -> None:
    """Retention: rows, recordings and journals go together; younger ones stay."""
    old = record(1, started_at="2020-01-01T00:00:00.000+00:00")
    await database.add([old, record(2, started_at="2999-01-01T00:00:00.000+00:00")])
    for folder in ("recordings", "journals"):
        (tmp_path / folder).mkdir()
        for number in (1, 2):
            (tmp_path / folder / f"{number:016x}.x").write_text("")
    assert await remove_older(database, tmp_path, 30) == 1
    assert await count(database) == 1
    assert await count(database, PARTS["turns"]) == 1
    assert not any((tmp_path / folder / f"{1:016x}.x").exists() for folder in ("recordings", "journals"))
    assert all((tmp_path / folder / f"{2:016x}.x").exists() for folder in ("recordings", "journals"))


async def test_one_caller_is_forgotten_everywhere(tmp_path: Path, database: Database) -> None:
    """In the database, in journals of calls that it does not know, and in the spool."""
    await database.add([record(1), record(2, caller="other")])
    (tmp_path / "journals").mkdir()
    journal = tmp_path / "journals" / f"{3:016x}.jsonl"
    journal.write_text(
        '{"format": 1}\n'
        + json.dumps({"t": 0, "e": "CallStarted", "caller": "+84901234567"}).replace(": ", ":")
    )
    spool = Spool(tmp_path)
    spool.end(record(4), hook=True)
    # In every folder there is: whatever is kept of a call begins with its id.
    files = [tmp_path / folder / f"{1:016x}.x" for folder in FOLDERS]
    files.append(tmp_path / "photos" / f"{3:016x}" / "1.jpg")
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    ids = await calls_of(database, tmp_path, "+84901234567")
    assert ids == [f"{n:016x}" for n in (1, 3, 4)]
    await remove_calls(database, tmp_path, ids)
    assert await calls_of(database, tmp_path, "+84901234567") == []
    assert await count(database) == 1
    assert not journal.exists()
    assert not any(path.exists() for path in files)


@pytest.mark.parametrize("url", ["mysql://root@localhost/x", "not a url"])
def test_a_wrong_database_is_told_without_its_password(url: str) -> None:
    """The address may hold a password: it is in no message."""
    with pytest.raises(ConfigError) as wrong:
        database_url(StoreSettings(database_url=url))
    assert "store.database_url" in str(wrong.value)
    assert "root" not in str(wrong.value)


def test_a_record_that_the_disk_has_no_room_for_waits_in_memory(tmp_path: Path) -> None:
    """Disk full: the call ends all the same, and its record is delivered from memory."""
    spool = Spool(tmp_path)
    spool.begin(record(1).call_id)
    shutil.rmtree(spool.folder)
    spool.end(record(1), hook=False)
    assert [call_id for call_id, _ in spool.waiting()] == [record(1).call_id]
    spool.delivered(record(1).call_id)
    assert list(spool.waiting()) == []
