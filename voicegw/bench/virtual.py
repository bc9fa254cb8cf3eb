"""How fast a call runs on virtual time: the real session over the scripted provider, without any socket."""

import asyncio
import tempfile
import time
from pathlib import Path

from voicegw.bench.figures import VirtualSpeed
from voicegw.bench.gateway import bench_settings
from voicegw.bench.material import cycle
from voicegw.carriers.base import Message, Start
from voicegw.carriers.native import Native
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import bench_script
from voicegw.server.front import make_gateway


class _Listener:
    """The other end of the line: counts the answers."""

    def __init__(self) -> None:
        self.answers = 0

    def send(self, message: Message) -> None:
        if isinstance(message, str) and message.startswith('{"type":"speech_started"'):
            self.answers += 1

    def close(self, code: int, reason: str) -> None:
        """Nothing is held open."""


def replay_speed(speech: Path, *, turns: int) -> VirtualSpeed:
    """Let one caller have `turns` exchanges on virtual time, and measure the CPU it takes."""
    frames = cycle(speech)
    with tempfile.TemporaryDirectory(prefix="voicegw-bench-") as folder:
        return run_virtual(_replay(Path(folder), frames, turns))


async def _replay(folder: Path, frames: list[bytes], turns: int) -> VirtualSpeed:
    loop = asyncio.get_running_loop()
    settings = bench_settings(folder, "http://scripted.invalid/v1", 1)
    gateway = await make_gateway(settings, ScriptedProvider(bench_script(), keep=1))
    listener = _Listener()
    try:
        session = gateway.begin(Start(), listener, Native())
        began, cpu_began = loop.time(), time.process_time()
        for number in range(turns * len(frames)):
            await asyncio.sleep(began + number * 0.020 - loop.time())
            session.received(frames[number % len(frames)])
        cpu_s = time.process_time() - cpu_began
        return VirtualSpeed(loop.time() - began, round(cpu_s, 4), turns, listener.answers)
    finally:
        await gateway.close()
