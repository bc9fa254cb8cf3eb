"""Hard times, with real processes: killed at random moments, databases that go away, disks that are full,
clients that vanish or flood."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import soundfile
from forked_gateways import Forks, forked_gateways, gone
from gateways import caller, kept_gateway
from test_process import process
from test_records import delivered
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from voicegw.audio.pcm import SILENT_FRAME
from voicegw.config import StoreSettings
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Script
from voicegw.server.admission import resident_mb
from voicegw.store.database import Database, database_url
from voicegw.store.queries import Filter, Row, every_call, list_calls


@asynccontextmanager
async def gateway(folder: Path, **env: str) -> AsyncIterator[tuple[Process, str]]:
    async with (
        ProviderServer(ScriptedProvider()) as provider,
        process(
            folder,
            "serve",
            "--set",
            "server.port=0",
            VOICEGW_PROVIDER__BASE_URL=provider.base_url,
            VOICEGW_PROVIDER__API_KEY="test-key",
            **env,
        ) as running,
    ):
        assert running.stdout is not None
        line = (await running.stdout.readline()).decode()
        assert "listening" in line
        yield running, line.rpartition(" ")[2].strip()


async def kept(settings: StoreSettings) -> list[Row]:
    database = Database(database_url(settings))
    try:
        return [row async for row in every_call(database, Filter())]
    finally:
        await database.close()


async def stopped(running: Process) -> None:
    """End a gateway in peace: everything that waits is delivered."""
    running.send_signal(signal.SIGTERM)
    assert await running.wait() == 0


# Five data folders side by side, each with ten processes one after the other.
LANES, KILLS = 5, 10


@pytest.mark.timeout(180)
async def test_no_call_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    """Fifty processes, each killed at a random moment of its calls' lives, and closed by the next one.

    Each call that was told `ready` has its record, once, with what became of it; the recordings play.
    """
    chance = random.Random(20261125)
    moments = [[chance.uniform(0.05, 2.5) for _ in range(KILLS)] for _ in range(LANES)]
    # Some calls are killed as they begin, some in the greeting, some as they end, some when they are over.
    lives = [[chance.uniform(0.1, 2.5) for _ in range(3)] for _ in range(LANES * KILLS)]
    ready: dict[str, bool] = {}  # call id: the caller had hung up

    async def call(url: str, life_s: float) -> None:
        async with caller(url) as someone:
            await someone.send("start", caller="+84901234567")
            call_id = str((await someone.event("ready"))["call_id"])
            ready[call_id] = False
            hearing = asyncio.create_task(someone.closed())
            try:
                for _ in range(int(life_s / 0.1)):
                    await someone.connection.send(SILENT_FRAME * 5)
                    await asyncio.sleep(0.1)
                ready[call_id] = True
                await someone.send("hangup")
                await hearing
            finally:
                hearing.cancel()
                # The gateway is gone: no goodbye is waited for.
                someone.connection.transport.abort()

    async def line(url: str, life_s: float) -> None:
        """One call after the other, until the gateway is gone."""
        with contextlib.suppress(ConnectionClosed, OSError, AssertionError, InvalidHandshake):
            while True:
                await call(url, life_s)

    async def lane(number: int, forks: Forks) -> None:
        data = tmp_path / f"data{number}"
        for kill, moment in enumerate(moments[number]):
            async with forks.gateway(data) as (pid, url):
                lines = [asyncio.create_task(line(url, life)) for life in lives[number * KILLS + kill]]
                await asyncio.sleep(moment)
                os.kill(pid, signal.SIGKILL)
                await gone(pid)
                for each in lines:
                    each.cancel()
                await asyncio.wait(lines)
        async with forks.gateway(data) as (pid, _):
            while any((data / "spool").iterdir()):  # noqa: ASYNC110 (another process empties it)
                await asyncio.sleep(0.02)
            os.kill(pid, signal.SIGTERM)
            await gone(pid)

    async with (
        ProviderServer(ScriptedProvider()) as provider,
        forked_gateways(provider.base_url, tmp_path / "log") as forks,
    ):
        await asyncio.gather(*(lane(number, forks) for number in range(LANES)))
    rows: dict[str, Row] = {}
    for number in range(LANES):
        for row in await kept(StoreSettings(data_dir=str(tmp_path / f"data{number}"))):
            assert row["call_id"] not in rows
            rows[row["call_id"]] = row
    assert len(ready) >= 2 * LANES * KILLS
    assert sum(ready.values()) >= LANES
    assert set(ready) <= set(rows)
    for call_id, hung_up in ready.items():
        row = rows[call_id]
        # Killed between the goodbye and the journal's last line, it was killed.
        assert row["ended_by"] == "killed" or (hung_up and row["ended_by"] == "caller")
        assert row["caller"] == "+84901234567"
    files = await asyncio.to_thread(lambda: {path.name: path for path in tmp_path.glob("data*/recordings/*")})
    recordings = {row["recording"] for row in rows.values()} - {""}
    # Whatever lies there is whole, and some record tells of it.
    assert set(files) == recordings
    assert len(recordings) >= LANES * KILLS
    for path in files.values():
        sound, _ = soundfile.read(path)
        assert len(sound)


class Postgres:
    """A server of its own in a folder; it refuses root, so it runs as its user."""

    def __init__(self, folder: Path) -> None:
        self._bin = max(Path("/usr/lib/postgresql").iterdir()) / "bin"
        self._folder = folder / "pg"
        self._folder.mkdir()
        folder.chmod(0o755)
        for parent in folder.parents:
            if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                parent.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self._folder), "-U", "postgres", "-A", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = f"-p {self.port} -k {self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder), "-w", "-m", "immediate", "stop")


@pytest.fixture
def postgres(tmp_path: Path, system_program: Callable[[str], str]) -> Iterator[Postgres]:
    system_program("pg_lsclusters")
    made = Postgres(tmp_path)
    made.start()
    try:
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.stop()


async def short_call(url: str, who: str) -> str:
    async with caller(url) as someone:
        await someone.send("start", caller=who)
        ready = await someone.event("ready")
        await someone.send("hangup")
        await someone.closed()
    return str(ready["call_id"])


async def test_postgres_may_go_and_come_during_calls(tmp_path: Path, postgres: Postgres) -> None:
    """Nothing lost, nothing twice: before, while and after the database was away."""
    async with kept_gateway(tmp_path / "data", store__database_url=postgres.url) as running:
        keeping = running.gateway.keeping
        assert keeping is not None
        await keeping.database.upgrade()
        ids = [await short_call(running.url, "before")]
        await delivered(keeping, 1)
        async with caller(running.url) as someone:
            await someone.send("start", caller="throughout")
            ids.append(str((await someone.event("ready"))["call_id"]))
            await asyncio.to_thread(postgres.stop)
            ids += [await short_call(running.url, "while") for _ in range(5)]
            await asyncio.to_thread(postgres.start)
            await someone.send("hangup")
            await someone.closed()
        ids.append(await short_call(running.url, "after"))
        await delivered(keeping, 8)
        rows = await list_calls(keeping.database, Filter(), 100)
        assert sorted(row["call_id"] for row in rows) == sorted(ids)
        assert all(row["ended_by"] == "caller" for row in rows)


async def test_postgres_is_not_changed_in_passing(tmp_path: Path, postgres: Postgres) -> None:
    """Its schema is made by `voicegw db upgrade` only; until then records wait."""
    async with kept_gateway(tmp_path / "data", store__database_url=postgres.url) as running:
        await short_call(running.url, "x")
        keeping = running.gateway.keeping
        assert keeping is not None
        assert await keeping.database.revision() is None
        assert keeping.spool.count() == 1
        await keeping.database.upgrade()
        await delivered(keeping, 1)


async def test_a_full_disk_ends_no_call(tmp_path: Path) -> None:
    """The recording is cut short, the call and its answers are not; a new call is refused in words."""
    missing = pytest.fail if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip
    if os.geteuid() != 0:
        missing("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = await asyncio.to_thread(
        subprocess.run, ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True
    )
    if mount.returncode:
        missing("this container may not mount")
    try:
        async with kept_gateway(disk) as running:
            async with caller(running.url) as someone:
                await someone.send("start")
                await someone.event("speech_stopped")
                filler = disk / "filler"
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
                await someone.send("text", text="Where is my order?")
                assert (await someone.event("speech_stopped"))["heard"]
                await someone.send("hangup")
                assert (await someone.closed())[0] == 1000
            async with caller(running.url) as refused:
                await refused.send("start")
                assert (await refused.event("error"))["code"] == "no_journal"
            filler.unlink()
            assert await short_call(running.url, "room again")
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(disk)], check=False)


UPGRADE = (
    b"GET /v1/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_a_thousand_clients_that_vanish_leave_nothing(tmp_path: Path) -> None:
    """Connected and gone, at every stage of the handshake: no call, no connection, no task stays."""
    async with kept_gateway(tmp_path, server__start_wait_ms="60000", server__handshake_s="1") as running:
        before = len(asyncio.all_tasks())
        for number in range(0, 1000, 50):
            writers = []
            for client in range(50):
                _, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
                writer.write(UPGRADE[: (number + client) * 7 % (len(UPGRADE) + 1)])
                writers.append(writer)
            await asyncio.sleep(0)
            for writer in writers:
                writer.transport.abort()
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("speech_stopped")
        while running.server.server_state.connections:  # noqa: ASYNC110 (uvicorn tells nobody)
            await asyncio.sleep(0.01)
        await running.gateway.end_calls("shutdown")
        assert running.gateway.arrivals == 0
        assert len(asyncio.all_tasks()) <= before


class Flood:
    """One client that sends 10,000 malformed messages a second, and comes again whenever it is cut.

    From an address of its own, as such a client has.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent = self.cut = 0
        self._burst = b"".join(
            masked(text)
            for text in (b"{", b'{"type":"dance"}', b"[]", b'"x"', b"\x00\x01")
            for _ in range(20)
        )

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=("127.0.0.2", 0)
            )
            writer.write(UPGRADE + masked(b'{"type":"start"}'))
            began, sent = clock(), 0
            reading = asyncio.create_task(read_all(reader))
            try:
                while not reading.done():
                    # A hundred each 10 ms, and what this loop was late with.
                    while sent < (clock() - began) * 10_000:
                        writer.write(self._burst)
                        sent += 100
                    await asyncio.wait([reading], timeout=0.01)
            finally:
                reading.cancel()
                writer.transport.abort()
            self.sent += sent
            self.cut += 1


async def read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


def masked(payload: bytes) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


@pytest.mark.alone
async def test_a_flood_of_nonsense_changes_no_other_call(tmp_path: Path) -> None:
    """Ten thousand malformed messages a second from one client while fifty calls run: they are answered."""
    # Speech as slow as a person's: the flood lasts as long as the calls.
    async with kept_gateway(tmp_path, Script(), store__record="false", server__resume_grace_s="1") as running:

        async def talk() -> list[str]:
            async with caller(running.url) as someone:
                await someone.send("start")
                await someone.event("speech_stopped")
                await someone.send("text", text="Where is my order?")
                await someone.event("latency")
                heard = (await someone.event("speech_stopped"))["heard"]
                said = [e["text"] for e in someone.events if e["type"] == "transcript"]
                await someone.send("hangup")
                await someone.closed()
            return [*said, heard]

        alone = await talk()
        flood = Flood(running.server.port)
        flooding = asyncio.create_task(flood.run())
        others = await asyncio.gather(*(talk() for _ in range(50)))
        flooding.cancel()
        await asyncio.wait([flooding])
        assert flood.sent >= 10_000
        assert flood.cut >= 3
        assert others == [alone] * 50
        # Those that were cut did not stay as calls that wait for their caller.
        await asyncio.wait_for(running.gateway.drain(), 10)
        rows = await list_calls(running.gateway.keeping.database, Filter(), 200)  # type: ignore[union-attr]
    assert {row["ended_by"] for row in rows} <= {"caller", "too_many_messages", "carrier_lost"}


async def test_a_client_that_never_reads_is_cut(tmp_path: Path) -> None:
    """What waits for it is bounded: eight seconds of audio, and then its connection is gone."""
    async with kept_gateway(
        tmp_path, store__record="false", carriers__messages_s="100000", carriers__wrong_messages_s="100000"
    ) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.server.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(UPGRADE + masked(b'{"type":"start"}'))
        before = resident_mb()
        # Each wrong message is answered by an error. The kernel's buffers fill first, some megabytes.
        burst = masked(b'{"type":"dance"}') * 1000
        most = 0.0
        for _ in range(500):
            writer.write(burst)
            await asyncio.sleep(0)
            most = max(most, resident_mb() - before)
            if not running.server.server_state.connections:
                break
        assert not running.server.server_state.connections
        assert most < 20
        writer.transport.abort()
        # The others go on.
        await short_call(running.url, "another")


async def test_a_clock_that_jumps_hurts_no_call(tmp_path: Path, system_program: Callable[[str], str]) -> None:
    """The machine's clock is set forward by an hour in the middle of a call (libfaketime)."""
    faketime = system_program("faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    library = subprocess.run(  # noqa: ASYNC221
        [faketime, "now", "printenv", "LD_PRELOAD"], capture_output=True, text=True
    ).stdout.strip()
    library = library.replace("$LIB", f"lib/{os.uname().machine}-linux-gnu")
    async with gateway(
        tmp_path,
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as (running, url):
        async with caller(url) as someone:
            await someone.send("start")
            await someone.event("speech_started")
            clock.write_text("+3600\n")
            assert (await someone.event("speech_stopped"))["cut"] is False
            await someone.send("text", text="Where is my order?")
            assert (await someone.event("speech_stopped"))["heard"]
            await someone.send("hangup")
            assert (await someone.closed())[0] == 1000
        await stopped(running)
    (row,) = await kept(StoreSettings(data_dir=str(tmp_path / "data")))
    assert 0 < row["duration_ms"] < 60_000
