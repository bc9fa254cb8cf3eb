"""How often callers of healthy providers hear a filler: whole calls on virtual time, with the latencies that
real providers are known for.
"""

import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voicegw.config import Settings
from voicegw.rehearsal.caller import ScriptedCaller
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.rehearse import staged_for
from voicegw.rehearsal.scenario import Scenario
from voicegw.rehearsal.script import Script, ScriptedReply, ScriptedTranscript
from voicegw.server.stand_ins import stand_in

# Calls of so many questions each.
TURNS = 20
SEED = 7


@dataclass(frozen=True, slots=True)
class Fillers:
    """The count, and how long callers waited from their last word to the first sound of the answer."""

    exchanges: int
    fillers: int
    p50_ms: int
    p95_ms: int
    p99_ms: int

    @property
    def share(self) -> float:
        """Fillers by exchange."""
        return self.fillers / max(1, self.exchanges)


def log_normal(rng: random.Random, median_ms: float, p95_ms: float) -> Callable[[], float]:
    """Return a source of delays with this median and 95th percentile: skewed to the right, as waits are."""
    sigma = math.log(p95_ms / median_ms) / 1.645
    return lambda: rng.lognormvariate(math.log(median_ms), sigma)


def count_fillers(settings: Settings, exchanges: int) -> Fillers:
    """Play so many exchanges. Raises nothing but ConfigError."""
    with tempfile.TemporaryDirectory(prefix="voicegw-healthy-") as folder:
        return run_virtual(_count(settings, exchanges, Path(folder)))


async def _count(settings: Settings, exchanges: int, folder: Path) -> Fillers:
    rng = random.Random(SEED)
    # A hosted Whisper over HTTP: p99 about 2 s; a fast chat model: 594 ms, p95 1,349 ms, with its tail;
    # speech: 200 ms, p95 450 ms.
    transcription = log_normal(rng, 500, 1200)
    first_token = log_normal(rng, 594, 1349)
    script = Script(
        stt=lambda n: ScriptedTranscript("Where is my order?", delay_ms=transcription()),
        llm=lambda messages: ScriptedReply("It is on its way.", first_token_ms=first_token(), token_ms=20),
        first_audio_ms=250,
        audio_chunk_ms=200,
    )
    _, question = stand_in("filler", "en")
    waits: list[int] = []
    fillers = 0
    async with staged_for(Scenario(name="healthy", title=""), settings, folder, script) as gateway:
        while len(waits) < exchanges:
            async with ScriptedCaller(gateway) as caller:
                await caller.event("speech_stopped")
                for _ in range(min(TURNS, exchanges - len(waits))):
                    await caller.say(question, caller.now_s + 0.3)
                    waits.append((await caller.event("latency")).fields["total_ms"])
                    await caller.event("speech_stopped", cut=False, heard="It is on its way.")
                fillers += len(caller.told("rung", rung="filler"))
    waits.sort()
    return Fillers(
        exchanges,
        fillers,
        waits[len(waits) // 2],
        waits[int(0.95 * len(waits))],
        waits[int(0.99 * len(waits))],
    )
