"""One client, as a child of the benchmark, with 10,000 malformed messages a second; cut, it comes again."""

import asyncio
import contextlib
import time
from typing import Any

from voicegw.bench.caller import TEXT
from voicegw.bench.material import message
from voicegw.bench.processes import orders, say

MESSAGES_S = 10_000
STEP_S = 0.01
UPGRADE = (
    b"GET /v1/call HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NONSENSE = (b"{", b'{"type":"dance"}', b"[]", b'"x"', b"\x00\x01")


async def flood(port: int, for_s: float) -> tuple[int, int]:
    """Flood the gateway at `port`; returns messages sent and times that the client was cut."""
    step = int(MESSAGES_S * STEP_S)
    burst = b"".join(message(TEXT, NONSENSE[number % len(NONSENSE)]) for number in range(step))
    ends = time.monotonic() + for_s
    total = cut = 0
    while time.monotonic() < ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE + message(TEXT, b'{"type":"start"}'))
        reading = asyncio.create_task(_read(reader))
        began, sent = time.monotonic(), 0
        while not reading.done() and time.monotonic() < ends:
            # What the gateway does not take stands in this process.
            while sent < (time.monotonic() - began) * MESSAGES_S:
                writer.write(burst)
                sent += step
            await asyncio.wait([reading], timeout=STEP_S)
        cut += reading.done()
        total += sent
        reading.cancel()
        writer.transport.abort()
    return total, cut


async def _read(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


async def _main(order: dict[str, Any]) -> None:
    sent, cut = await flood(order["port"], order["for_s"])
    say(sent=sent, cut=cut)


if __name__ == "__main__":
    asyncio.run(_main(orders()))
