"""Nothing of a call lives on after it: counted over a thousand of them."""

import asyncio
import gc
import os
import tracemalloc
from pathlib import Path

from rehearsed import Rehearsed, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import Uplink, dialling
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script

# The bound of the project: 1 MB per 1,000 calls.
MOST_BYTES_A_CALL = 1_000


async def short_call(rehearsal: Rehearsed, number: int) -> None:
    """A question and a part of its answer; every one ends in another way."""
    async with dialling(rehearsal.gateway, uplink=Uplink(bundle=5)) as caller:
        await caller.until(0.5)
        caller.send("text", text="Where is my order?")
        await caller.event("reply_text")
        match number % 4:
            case 0:
                caller.send("hangup")
                await caller.ended()
            case 1:
                caller.drop()
            case 2:
                caller.drop()
                caller.reconnect()
                await caller.event("speech_stopped")
                caller.send("hangup")
            case _:
                caller.send_message(b"\0" * 641)
                await caller.ended()


async def many_calls(rehearsal: Rehearsed, count: int) -> None:
    """So many calls, twenty at a time, and the time after which a dropped one is given up."""
    for first in range(0, count, 20):
        rehearsal.provider.fail(("stt", "llm", "tts")[first // 20 % 3], Fault(hang=True), times=1)
        rehearsal.provider.heal("llm")
        await asyncio.gather(*(short_call(rehearsal, first + n) for n in range(20)))
    await asyncio.sleep(31.0)


def open_files() -> int:
    """File descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def test_after_a_thousand_calls_nothing_is_left(tmp_path: Path) -> None:
    """A leak of a task or a kilobyte a call ends the process within days, at the worst hour."""
    on_virtual_time(_a_thousand_calls)(tmp_path)


async def _a_thousand_calls(folder: Path) -> None:
    script = Script(llm=("It is on its way to you.",), ms_per_char=20, first_token_ms=100)
    provider = ScriptedProvider(script, keep=10)
    async with rehearsed(folder, provider=provider) as rehearsal:
        await many_calls(rehearsal, 100)
        tasks, files = len(asyncio.all_tasks()), open_files()
        gc.collect()
        tracemalloc.start()
        try:
            await many_calls(rehearsal, 100)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await many_calls(rehearsal, 1000)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert rehearsal.gateway.calls == 0
        assert rehearsal.gateway.arrivals == 0
        assert rehearsal.gateway.ticker.waiting == 0
        assert len(asyncio.all_tasks()) == tasks
        assert open_files() == files
        assert (after - before) / 1000 < MOST_BYTES_A_CALL


def test_a_call_in_progress_holds_less_than_a_megabyte(tmp_path: Path) -> None:
    """500 calls must fit; what a call holds is bounded by the ring of its ear and the queue of its mouth."""
    on_virtual_time(_held_by_a_call)(tmp_path)


async def _held_by_a_call(folder: Path) -> None:
    script = Script(llm=("A very long answer. " * 40,), ms_per_char=60)
    async with rehearsed(folder, provider=ScriptedProvider(script, keep=10)) as rehearsal:
        async with dialling(rehearsal.gateway) as caller:
            await caller.until(5.0)
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            async with dialling(rehearsal.gateway) as caller:
                await caller.event("speech_stopped")
                caller.send("text", text="Tell me everything.")
                await caller.until(caller.now_s + 10.0)
                during, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert during - before < 1_000_000
