"""One client, as a child of the benchmark, with so many malformed messages a second; cut, it comes again.

It has an address of its own (127.0.0.2): the calls beside it are others' calls.
"""

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any

from voicegw.bench.caller import TEXT
from voicegw.bench.material import message
from voicegw.bench.processes import orders, say

STEP_S = 0.01
# What a client that is not read keeps for itself; the rest of its messages is thrown away by it.
MOST_UNSENT_BYTES = 1 << 20
SOURCE = "127.0.0.2"
UPGRADE = (
    b"GET /v1/call HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NONSENSE = (b"{", b'{"type":"dance"}', b"[]", b'"x"', b"\x00\x01")


@dataclass(slots=True)
class Flooding:
    """What the client did."""

    meant: int = 0  # messages that it made, at the rate asked for
    sent: int = 0  # that it gave to a connection
    connections: int = 0  # that it opened
    cut: int = 0  # by the gateway


async def flood(port: int, for_s: float, messages_s: int) -> Flooding:
    """Flood the gateway at `port`, at a steady rate through all connections together."""
    one = b"".join(message(TEXT, text) for text in NONSENSE)
    done = Flooding()
    began = time.monotonic()
    while (left := for_s - (time.monotonic() - began)) > 0:
        done.connections += 1
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(SOURCE, 0))
        except ConnectionError:
            done.cut += 1
            continue
        reading = asyncio.create_task(_until_cut(reader))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await _opened(reading, writer)
                while not reading.done():
                    times = int((time.monotonic() - began) * messages_s - done.meant) // len(NONSENSE)
                    done.meant += times * len(NONSENSE)
                    if writer.transport.get_write_buffer_size() < MOST_UNSENT_BYTES:
                        writer.write(one * times)
                        done.sent += times * len(NONSENSE)
                    await asyncio.wait([reading], timeout=STEP_S)
        done.cut += reading.done()
        reading.cancel()
        writer.transport.abort()
    return done


async def _opened(reading: "asyncio.Task[None]", writer: asyncio.StreamWriter) -> None:
    writer.write(UPGRADE)
    # What comes with the request is read as HTTP: the call begins behind the answer.
    await asyncio.wait([reading], timeout=STEP_S)
    writer.write(message(TEXT, b'{"type":"start"}'))


async def _until_cut(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


async def _main(order: dict[str, Any]) -> None:
    say(**asdict(await flood(order["port"], order["for_s"], order["messages_s"])))


if __name__ == "__main__":
    asyncio.run(_main(orders()))
