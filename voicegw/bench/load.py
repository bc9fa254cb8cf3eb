"""The load as a child of the benchmark: all callers on one loop, paced by one timer.

It says figures of what it heard and of the server's process, and how late it was itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voicegw.bench.caller import Caller, Notes
from voicegw.bench.carrier import CALLERS
from voicegw.bench.figures import LOAD, Load, spread
from voicegw.bench.material import cycle, last_sound
from voicegw.bench.processes import cpu_s, orders, rss_kb, say, uss_kb

FRAME_S = 0.020
# Calls are spread over the 20 ms of a frame in slots of 1 ms, as independent callers would be.
SLOTS = 20
# So many calls may be opening their connection at once.
OPENING = 20
# Calls that are made and ended before memory is looked at: what the first call makes once is no call's own.
WARM_UP_CALLS = 3


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What one run does.

    `path` at 127.0.0.1:`port` is the server, `pid` its process. Calls open one after the other, start to
    talk spread over `spread_s`, and are measured for `window_s` after `settle_s` more. `speech` is the
    recording they talk with (empty: none); `answers` says that the server speaks the native protocol.
    `carrier` is the protocol of the callers. With `life_s` a call ends after so long, and another begins in
    its place. `token` opens a locked door; every `scrape_s` the metrics are fetched with it (0: never).
    """

    port: int
    path: str
    pid: int
    calls: int
    speech: str
    answers: bool
    end_ms: int
    spread_s: float
    settle_s: float
    window_s: float
    carrier: str = "native"
    life_s: float = 0.0
    token: str = ""
    scrape_s: float = 0.0


class Pace:
    """One timer for all calls: each sends a frame every 20 ms, in its own slot."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: list[list[Caller]] = [[] for _ in range(SLOTS)]
        self._joined = 0
        self._count = 0
        self._began = time.monotonic()
        self._handle = loop.call_soon(self._tick)
        self.noting = False
        self.late: list[float] = []

    def join(self, caller: Caller) -> None:
        """Pace one more call."""
        # 7 and 20 have no common divisor: neighbours are not in neighbouring slots.
        self._slots[self._joined * 7 % SLOTS].append(caller)
        self._joined += 1

    def replace(self, old: Caller, new: Caller) -> None:
        """Pace a call in the place of one that ends."""
        for slot in self._slots:
            if old in slot:
                slot[slot.index(old)] = new

    def _tick(self) -> None:
        step = FRAME_S / SLOTS
        clock = time.monotonic
        while (due := self._began + self._count * step) <= clock():
            for caller in self._slots[self._count % SLOTS]:
                now = clock()
                if self.noting:
                    self.late.append(now - due)
                caller.say(now)
            self._count += 1
        self._handle = self._loop.call_later(max(0.0, due - clock()), self._tick)

    def stop(self) -> None:
        """Send nothing more."""
        self._handle.cancel()


async def run_load(order: LoadOrder) -> Load:
    """Put the load on the server and return what was measured. Raises ConnectionError, TimeoutError."""
    loop = asyncio.get_running_loop()
    notes = Notes()
    pcm = cycle(Path(order.speech) if order.speech else None)
    make, frames = CALLERS[order.carrier](pcm)
    end_of_speech = last_sound(pcm)
    path = f"{order.path}?token={order.token}" if order.token else order.path

    async def connect() -> Caller:
        _, caller = await loop.create_connection(
            lambda: make(path, notes, frames, end_of_speech, order.end_ms), "127.0.0.1", order.port
        )
        async with asyncio.timeout(10):
            await caller.open
        return caller

    if order.answers and order.carrier == "native":
        # Only native callers can type; what a first call makes once is some kB, and no CPU of the window.
        await _warm_up([await connect() for _ in range(WARM_UP_CALLS)])
    rss_before, uss_before = rss_kb(order.pid), uss_kb(order.pid)
    pace = Pace(loop)
    gate = asyncio.Semaphore(OPENING)

    async def open_call() -> Caller:
        async with gate:
            caller = await connect()
        pace.join(caller)
        return caller

    callers = await asyncio.gather(*(open_call() for _ in range(order.calls)))
    if order.speech:
        for number, caller in enumerate(callers):
            loop.call_later(order.spread_s * number / order.calls, _begin_to_talk, caller)
    also: list[asyncio.Task[None]] = []
    if order.life_s:
        also.append(loop.create_task(_renew(callers, connect, pace, order)))
    if order.scrape_s:
        also.append(loop.create_task(_scrape(order, notes)))
    await asyncio.sleep(order.spread_s + order.settle_s)
    notes.on = pace.noting = True
    began, cpu_before = time.monotonic(), cpu_s(order.pid)
    rss = []
    for _ in range(4):
        await asyncio.sleep(order.window_s / 4)
        rss.append(rss_kb(order.pid))
    cpu, window_s = cpu_s(order.pid) - cpu_before, time.monotonic() - began
    notes.on = pace.noting = False
    uss = uss_kb(order.pid)
    pace.stop()
    for task in also:
        task.cancel()
    for task in also:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for caller in callers:
        caller.hang_up()
    n = order.calls
    client_late = spread(_ms(pace.late))
    assert client_late is not None
    return Load(
        calls=n,
        mode="talking" if order.speech else "idle",
        window_s=round(window_s, 3),
        cpu_ms=round(cpu * 1000 / n / window_s, 4),
        rss_kb=round((sum(rss) / len(rss) - rss_before) / n, 1),
        uss_kb=round((uss - uss_before) / n, 1),
        client_late=client_late,
        added=spread(_ms(notes.added)),
        answer=spread(_ms(notes.answer)),
        late=spread(_ms(notes.late)),
        turns=len(notes.added),
        frames=notes.frames,
        trouble=notes.trouble,
        first_sentence=spread(_ms(notes.first_sentence)),
    )


def _begin_to_talk(caller: Caller) -> None:
    caller.talks = True


async def _renew(
    callers: list[Caller], connect: Callable[[], Awaitable[Caller]], pace: Pace, order: LoadOrder
) -> None:
    """Let the oldest call end and a new one begin, again and again."""
    while True:
        await asyncio.sleep(order.life_s / order.calls)
        new = await connect()
        old = callers.pop(0)
        pace.replace(old, new)
        callers.append(new)
        new.talks = bool(order.speech)
        old.end_call()


async def _scrape(order: LoadOrder, notes: Notes) -> None:
    """Fetch the metrics, as Prometheus does."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", order.port)
        writer.write(
            f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Authorization: Bearer {order.token}\r\n\r\n".encode()
        )
        if not (await reader.read()).startswith(b"HTTP/1.1 200"):
            notes.count("metrics refused")
        writer.close()
        await asyncio.sleep(order.scrape_s)


async def _warm_up(callers: list[Caller]) -> None:
    """Let each have a typed question answered, and end."""
    async with asyncio.timeout(20):
        for caller in callers:
            caller.tell(type="start")
            await caller.ready
            caller.tell(type="text", text="Where is my order?")
            await caller.answered
            caller.end_call()
            await caller.closed


def _ms(seconds: list[float]) -> list[float]:
    return [value * 1000 for value in seconds]


async def _main(order: dict[str, Any]) -> None:
    load = await run_load(LoadOrder(**order))
    say(**LOAD.dump_python(load, mode="json"))


def order_fields(order: LoadOrder) -> dict[str, Any]:
    """The order as the child takes it."""
    return asdict(order)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(orders()))
