"""How often one address may come, and that whoever has to be cut again and again is kept out."""

import asyncio
import contextlib
import json
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from gateways import Running, caller, kept_gateway, running_gateway
from test_proof import UPGRADE, masked
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicegw.config import load_settings
from voicegw.errors import ConfigError
from voicegw.server.turnstile import (
    FIRST_OUT_S,
    FORGIVEN_S,
    LONGEST_OUT_S,
    MOST_ADDRESSES,
    WINDOW_S,
    Turnstile,
)

HERE, THERE = "203.0.113.7", "198.51.100.9"


def turnstile(refused: Counter[str] | None = None, /, **door: str) -> Turnstile:
    settings = load_settings({}, None, {name.replace("__", "."): text for name, text in door.items()})
    return Turnstile(settings, refused if refused is not None else Counter())


def shut_out(gate: Turnstile, address: str, now: float) -> None:
    """Let an address do what it takes, and no more."""
    for _ in range(10):
        assert not gate.is_out(address, now)
        gate.wait_s(address, now)
        gate.offended(address, now)
    assert gate.is_out(address, now)


def test_an_address_has_a_burst_and_then_its_rate() -> None:
    """A bridge whose calls all come back at once is let in; a client that never stops is not."""
    refused: Counter[str] = Counter()
    gate = turnstile(refused, door__connections_s="2", door__connections_burst="5")
    assert [gate.wait_s(HERE, 100.0) for _ in range(6)] == [0, 0, 0, 0, 0, 0.5]
    assert gate.wait_s(THERE, 100.0) == 0
    assert gate.wait_s(HERE, 100.5) == 0
    assert gate.wait_s(HERE, 100.5) > 0
    assert refused == {"rate": 2}
    # After a rest the whole burst is there again, and no more.
    assert [gate.wait_s(HERE, 500.0) > 0 for _ in range(6)] == [False] * 5 + [True]


def test_the_defaults_bear_a_bridge_whose_calls_all_come_back() -> None:
    """Five hundred calls at once, and all of them once more a second later: `server.max_calls` is 500."""
    gate = turnstile()
    assert not any(gate.wait_s(HERE, at) for at in (0.0, 1.0) for _ in range(500))


def test_whoever_is_cut_again_and_again_is_shut_out_for_longer_each_time() -> None:
    gate, now, found = turnstile(), 0.0, []
    for _ in range(9):
        shut_out(gate, HERE, now)
        out_s = gate.wait_s(HERE, now)
        assert gate.wait_s(THERE, now) == 0
        found.append(out_s)
        now += out_s
        assert not gate.is_out(HERE, now)
        assert gate.wait_s(HERE, now) == 0
    assert found == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert (found[0], found[-1]) == (FIRST_OUT_S, LONGEST_OUT_S)
    # Some day it is forgiven.
    now += FORGIVEN_S + 1
    shut_out(gate, HERE, now)
    assert gate.wait_s(HERE, now) == FIRST_OUT_S


def test_seldom_offences_shut_nobody_out() -> None:
    gate = turnstile()
    for minute in range(20):
        for _ in range(9):
            gate.wait_s(HERE, minute * WINDOW_S)
            gate.offended(HERE, minute * WINDOW_S)
    assert not gate.is_out(HERE, 20 * WINDOW_S)


def test_one_mad_caller_does_not_shut_out_the_bridge_that_brings_him() -> None:
    """All calls of a bridge have its address: as long as most are in order, it stays."""
    gate = turnstile()
    for _ in range(100):
        gate.wait_s(HERE, 1.0)
        gate.wait_s(HERE, 1.0)
        gate.offended(HERE, 1.0)
    assert not gate.is_out(HERE, 1.0)


def test_the_limits_can_be_switched_off() -> None:
    gate = turnstile(door__connections_s="0", door__offences_per_minute="0")
    for _ in range(3000):
        assert gate.wait_s(HERE, 0.0) == 0
        gate.offended(HERE, 0.0)


@pytest.mark.parametrize("setting", ["door__unlimited_from", "carriers__trusted_proxies"])
def test_bridges_and_proxies_that_are_named_are_free(setting: str) -> None:
    gate = turnstile(door__connections_burst="1", **{setting: "203.0.113.0/24"})
    for _ in range(30):
        assert gate.wait_s(HERE, 0.0) == 0
        gate.offended(HERE, 0.0)
    assert gate.wait_s(THERE, 0.0) == 0
    assert gate.wait_s(THERE, 0.0) > 0


@pytest.mark.parametrize("setting", ["door.unlimited_from", "carriers.trusted_proxies"])
def test_what_is_no_network_is_said_at_start(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"bridge\.example is no address"):
        load_settings({}, None, {setting: "bridge.example"})


def test_a_network_of_ipv6_is_one_address() -> None:
    """A customer has at least a /64: else each of its addresses would have a burst of its own."""
    gate = turnstile(door__connections_burst="1")
    assert gate.wait_s("2001:db8:1:2::1", 0.0) == 0
    assert gate.wait_s("2001:db8:1:2:ffff::9", 0.0) > 0
    assert gate.wait_s("2001:db8:1:3::1", 0.0) == 0
    assert gate.wait_s("fe80::1%eth0", 0.0) == 0
    assert gate.wait_s("fe80::2%eth0", 0.0) > 0
    # A socket that takes both kinds tells IPv4 so.
    assert gate.wait_s(HERE, 0.0) == 0
    assert gate.wait_s(f"::ffff:{HERE}", 0.0) > 0


def test_addresses_are_remembered_within_bounds() -> None:
    """More addresses than are remembered take no more memory; who comes often is not forgotten."""
    gate = turnstile(door__connections_burst="1", door__connections_s="0.001")
    gate.wait_s(HERE, 0.0)
    for number in range(3 * MOST_ADDRESSES):
        gate.wait_s(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
        if number % 5000 == 0:
            assert gate.wait_s(HERE, 0.0) > 0
    assert len(gate) == MOST_ADDRESSES


def test_one_line_an_address_and_minute_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log of a flood must not be a flood."""
    gate = turnstile(door__connections_burst="1", door__connections_s="0.001")
    for second in range(100):
        gate.wait_s(HERE, float(second))
        gate.wait_s(THERE, float(second))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 4
    assert HERE in told[0]
    assert "door.connections_s" in told[0]


# Over sockets. Each client has a loopback address of its own.


async def opened(
    running: Running, source: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.server.port, local_addr=(source, 0))


async def closed(connection: ClientConnection) -> int | None:
    """Receive to the end; the close code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.recv()
    return connection.close_code


async def gone(running: Running) -> None:
    """Wait until the server has no connection left."""
    while running.server.server_state.connections:  # noqa: ASYNC110 (uvicorn tells nobody)
        await asyncio.sleep(0)


async def metric(running: Running, line: str) -> bool:
    def fetch() -> str:
        with urllib.request.urlopen(running.http + "/metrics") as answer:
            return str(answer.read().decode())

    return line in await asyncio.to_thread(fetch)


async def refused_flood(running: Running, source: str) -> bytes:
    """Send wrong messages until the connection is cut; what came back."""
    reader, writer = await opened(running, source)
    writer.write(UPGRADE)
    found = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in found
    with contextlib.suppress(ConnectionError):
        writer.write(masked(b'{"type":"start"}') + masked(b'{"type":"dance"}') * 3000)
        while chunk := await reader.read(1 << 16):
            found += chunk
    writer.transport.abort()
    return found


async def test_wrong_messages_end_their_connection_and_then_their_address(tmp_path: Path) -> None:
    """Of three thousand wrong ones few are answered; after such a connection none is taken."""
    async with kept_gateway(tmp_path, store__record="false", door__offences_per_minute="1") as running:
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")
            found = await refused_flood(running, "127.0.0.2")
            assert b"too many wrong messages" in found
            # Beside a hundred, those that came while the call began.
            assert 90 < found.count(b"unknown_event") < 1500
            turnstile = running.gateway.door.turnstile
            assert turnstile.is_out("127.0.0.2", asyncio.get_running_loop().time())
            reader, writer = await opened(running, "127.0.0.2")
            writer.write(UPGRADE)
            # It is held unread, and then told.
            assert (await reader.readline()).startswith(b"HTTP/1.1 429 ")
            assert b"Retry-After: " in await reader.readline()
            writer.transport.abort()
            assert await metric(running, 'voicegw_refused_total{reason="shut_out"} 1.0')
            # The call of another address never noticed, and new ones are welcome.
            await someone.send("text", text="Where is my order?")
            await someone.event("latency")
            async with caller(running.url) as another:
                await another.send("start")
                await another.event("ready")
        await asyncio.wait_for(running.gateway.end_calls("shutdown"), 10)


async def test_too_many_connections_of_one_address_are_told_so(tmp_path: Path) -> None:
    """Before a byte of them is read; other addresses go on."""
    async with running_gateway(tmp_path, door__connections_burst="2", door__connections_s="0.001") as running:
        for _ in range(2):
            _, writer = await opened(running, "127.0.0.2")
            writer.close()
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url, local_addr=("127.0.0.2", 0))
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) > 100
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")
        assert not running.server.server_state.connections or len(running.gateway.door.held) == 0


async def test_the_server_stops_with_connections_that_are_held(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, door__connections_burst="1", door__connections_s="0.001") as running:
        _, first = await opened(running)
        reader, second = await opened(running)
        while not running.gateway.door.held:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0)
        running.server.stop()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        first.close()
        second.close()


async def test_requests_without_end_on_one_connection_are_cut(tmp_path: Path) -> None:
    """Each is like a further connection: else one would do for a flood."""
    async with running_gateway(tmp_path, door__connections_burst="5", door__connections_s="0.001") as running:
        reader, writer = await opened(running)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        with contextlib.suppress(ConnectionError):
            found = await reader.read()
            assert found.count(b"200 OK") == 5
        writer.close()


async def test_what_is_no_http_counts_as_an_offence(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, door__offences_per_minute="3") as running:
        for _ in range(3):
            reader, writer = await opened(running, "127.0.0.2")
            writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
            writer.close()
        assert running.gateway.door.turnstile.is_out("127.0.0.2", asyncio.get_running_loop().time())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x01\x00\x00", 1007),  # three bytes are no samples
        ("x" * 70_000, 1009),
    ],
)
async def test_what_breaks_the_protocol_counts_as_an_offence(
    tmp_path: Path,
    sent: str | bytes,
    code: int,
) -> None:
    async with running_gateway(tmp_path, door__offences_per_minute="1") as running:
        async with connect(running.url, local_addr=("127.0.0.2", 0), compression=None) as connection:
            await connection.send('{"type": "start"}')
            await connection.send(sent)
            assert await closed(connection) == code
        await gone(running)
        assert running.gateway.door.turnstile.is_out("127.0.0.2", asyncio.get_running_loop().time())


async def test_an_unknown_call_or_persona_is_no_offence(tmp_path: Path) -> None:
    """After a restart all callers of a bridge ask for calls that are gone: nobody is shut out for it."""
    async with running_gateway(tmp_path, door__offences_per_minute="1") as running:
        for query in ("resume_token=gone", "persona=nobody"):
            async with caller(f"{running.url}?{query}") as someone:
                await someone.event("error")
                await someone.closed()
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")


async def test_behind_a_proxy_the_limit_is_each_callers_own(tmp_path: Path) -> None:
    """All connections come from the proxy: who comes through it tells the header that it writes."""
    async with running_gateway(
        tmp_path,
        carriers__trusted_proxies="127.0.0.1",
        door__connections_burst="2",
        door__connections_s="0.001",
        door__offences_per_minute="1",
    ) as running:

        async def status(address: str) -> int:
            try:
                async with connect(
                    running.url, additional_headers={"X-Forwarded-For": address}, compression=None
                ):
                    return 101
            except InvalidStatus as refused:
                return refused.response.status_code

        assert [await status(HERE) for _ in range(3)] == [101, 101, 429]
        assert [await status(THERE) for _ in range(3)] == [101, 101, 429]
        third = "192.0.2.1"
        async with connect(
            running.url, additional_headers={"X-Forwarded-For": third}, compression=None
        ) as connection:
            await connection.send(b"\x01")
            assert await closed(connection) == 1007
        await gone(running)
        assert await status(third) == 429
        assert await status("192.0.2.2") == 101


async def test_what_comes_in_one_piece_is_taken_whole_and_in_turns(tmp_path: Path) -> None:
    """A thousand messages in one write: none is lost, and they are in order."""
    async with running_gateway(tmp_path, carriers__messages_s="1000") as running:
        reader, writer = await opened(running)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        digits = b"".join(masked(b'{"type":"dtmf","digit":"%d"}' % (number % 10)) for number in range(1000))
        hangup = masked(b'{"type":"hangup"}')
        writer.write(masked(b'{"type":"start"}') + digits + hangup)
        found = await reader.readuntil(b'"hangup"')
        assert b'"error"' not in found
        writer.close()
    (journal,) = (tmp_path / "journals").iterdir()
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    pressed = [line["digit"] for line in map(event_of, events) if "digit" in line]
    assert pressed == [str(number % 10) for number in range(1000)]


def event_of(line: dict[str, object]) -> dict[str, object]:
    """The event of a line of a journal."""
    found = line.get("event", line)
    return found if isinstance(found, dict) else {}
