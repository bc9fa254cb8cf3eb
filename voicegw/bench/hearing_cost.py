"""What the ear costs beside the least that could be one: webrtcvad on every frame and a vote of five.

Both hear the same cycle of a talking call, in turns: a caller's 2.5 s, then the agent's answer, which the
echo guard compares with the line. CPU time only; the least of the rounds counts: what else the machine does
only adds.
"""

import gc
import time
from collections import deque
from dataclasses import dataclass
from statistics import median

import webrtcvad

from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_US, SAMPLE_RATE_HZ
from voicegw.audio.vad import MODE, VOTE_MASK, VOTES
from voicegw.bench.carrier import Beside
from voicegw.bench.material import RECORDING, cycle
from voicegw.call.ear import IDLE_FRAMES, Ear

ROUNDS, CYCLES = 7, 4
# The answer of a cycle sounds from 3.4 to 7 s.
ANSWER_FRAMES = range(3_400 // 20, 7_000 // 20)
_A_SECOND = 1_000_000 / FRAME_US


@dataclass(frozen=True, slots=True)
class HearingCost:
    """Milliseconds of CPU per second of a talking call: the ear's, and that of webrtcvad with a vote."""

    ear_ms: float
    bare_ms: float


@dataclass(frozen=True, slots=True)
class Hearing:
    """`model`: talking calls with the second detector beside such without. Milliseconds per call-second."""

    cost: HearingCost
    model: Beside

    @property
    def ear_share(self) -> float:
        """So much more CPU does a talking call take with this ear than with the least one."""
        more = self.cost.ear_ms - self.cost.bare_ms
        return more / (median(load.cpu_ms for load in self.model.native) - more)

    @property
    def model_ms(self) -> float:
        """So much more CPU does a talking call take with the second detector: the middle of the rounds."""
        rounds = zip(self.model.native, self.model.other, strict=True)
        return median(both.cpu_ms - alone.cpu_ms for alone, both in rounds)


class _BareEar:
    """webrtcvad and a vote of five; keeps the pre-roll of a turn."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(MODE)
        self._history = 0
        self._frames: deque[bytes] = deque(maxlen=IDLE_FRAMES)
        self.position = 0

    def hear(self, frame: bytes, now: int) -> bool:
        """Return whether a voice is heard."""
        self._frames.append(frame)
        self.position += len(frame) // 2
        self._history = (self._history << 1 | self._vad.is_speech(frame, SAMPLE_RATE_HZ)) & VOTE_MASK
        return self._history.bit_count() >= VOTES


def hearing_cost() -> HearingCost:
    """Measure both."""
    frames = cycle(RECORDING)
    levels = {number: float(rms(frames[number - ANSWER_FRAMES.start])) for number in ANSWER_FRAMES}
    ear, bare = [], []
    for _ in range(ROUNDS):
        ear.append(_ear_ns(frames, levels))
        bare.append(_bare_ns(frames))
    seconds = CYCLES * len(frames) / _A_SECOND
    return HearingCost(round(min(ear) / 1e6 / seconds, 3), round(min(bare) / 1e6 / seconds, 3))


def _ear_ns(frames: list[bytes], levels: dict[int, float]) -> int:
    ear, now = Ear(), 0
    gc.collect()
    began = time.process_time_ns()
    for _ in range(CYCLES):
        for number, frame in enumerate(frames):
            now += FRAME_US
            if number in levels:
                ear.echo.played(now, levels[number])
            for event in ear.hear(frame, now):
                # As a call does that has answered.
                if not getattr(event, "speaking", True):
                    ear.release(ear.position)
    return time.process_time_ns() - began


def _bare_ns(frames: list[bytes]) -> int:
    ear, now = _BareEar(), 0
    gc.collect()
    began = time.process_time_ns()
    for _ in range(CYCLES):
        for frame in frames:
            now += FRAME_US
            ear.hear(frame, now)
    return time.process_time_ns() - began
