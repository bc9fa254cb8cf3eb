"""What the two tracks of a call sound like: level, clipping, and whether the caller's line echoes.

Tracks are pcm of both sides on one time line.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES

# A sample at the edge of its range: mu-law's loudest is 32,124, A-law's 32,256, with ripples where they were
# resampled. Of speech that is only loud it is one sample in ten thousand.
FULL = 31_200
# Frames below -55 dBFS are a quiet line, not talking.
TALK_RMS = 58.0
# An echo comes back within this (telephone networks promise less than 400 ms one way, ITU-T G.114).
ECHO_FRAMES = 500 // 20
# Correlation of the envelopes from which an echo is likely; two people talking at once reach about 0.3.
ECHO_LIKELY = 0.6
# The envelope is that of the agent's own talking: at least this much of it must be there to say anything.
LEAST_FRAMES = 100

Frames = npt.NDArray[np.float64]
Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Track:
    """One side. `level_db`: dBFS of what was said; `clipped`: parts per million of samples at the edge."""

    level_db: float
    clipped_ppm: int


@dataclass(frozen=True, slots=True)
class Sound:
    """What both sides of a call sound like. `echo`: see `echo`."""

    caller: Track
    agent: Track
    echo: float


def sound_of(caller: bytes, agent: bytes) -> Sound:
    """Measure both sides (pcm)."""
    meter = SoundMeter()
    meter.add(np.frombuffer(caller, "<i2"), np.frombuffer(agent, "<i2"))
    return meter.sound()


class SoundMeter:
    """Measures both sides while they are written; keeps a number a frame (1.5 MB in an hour), no sound."""

    def __init__(self) -> None:
        self._caller, self._agent = _Side(), _Side()

    def add(self, caller: Samples, agent: Samples) -> None:
        """Take the next samples of each side."""
        self._caller.add(caller)
        self._agent.add(agent)

    def sound(self) -> Sound:
        """What has been heard so far."""
        ours, theirs = self._agent.rms, self._caller.rms
        return Sound(self._caller.track(), self._agent.track(), echo(theirs, ours))


class _Side:
    def __init__(self) -> None:
        self._rms: list[Frames] = []
        self._rest = np.zeros(0, np.int16)
        self._clipped = self._samples = 0

    @property
    def rms(self) -> Frames:
        return np.concatenate(self._rms).astype(np.float64) if self._rms else np.zeros(0)

    def add(self, samples: Samples) -> None:
        self._samples += len(samples)
        self._clipped += int(np.count_nonzero((samples >= FULL) | (samples <= -FULL)))
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        whole = len(joined) - len(joined) % FRAME_SAMPLES
        self._rest = joined[whole:].copy()
        if whole:
            self._rms.append(_rms(joined[:whole]).astype(np.float32))

    def track(self) -> Track:
        return _track(self.rms, self._clipped, self._samples)


def _track(rms: Frames, clipped: int, samples: int) -> Track:
    if not samples:
        return Track(-96.0, 0)
    talking = rms[rms > TALK_RMS]
    level = float(np.sqrt(np.mean(talking**2))) if len(talking) else 0.0
    level_db = 20 * np.log10(level / 32768) if level else -96.0
    return Track(round(float(level_db), 1), round(clipped * 1_000_000 / samples))


def frame_rms(pcm: bytes) -> Frames:
    """Return the level of each frame of 20 ms."""
    return _rms(np.frombuffer(pcm[: len(pcm) - len(pcm) % FRAME_BYTES], "<i2"))


def _rms(samples: Samples) -> Frames:
    rms: Frames = np.sqrt(np.mean(samples.astype(np.float64).reshape(-1, FRAME_SAMPLES) ** 2, axis=1))
    return rms


def echo(theirs: Frames, ours: Frames) -> float:
    """Return how much the caller's line resembles what the agent just said: 0 to 1, by levels of frames.

    Only stretches in which the agent sounds are looked at; ECHO_LIKELY tells what is likely one.
    """
    length = min(len(ours), len(theirs))
    ours, theirs = ours[:length], theirs[:length]
    talking = ours > TALK_RMS
    if np.count_nonzero(talking) < LEAST_FRAMES or np.count_nonzero(theirs > TALK_RMS) < LEAST_FRAMES:
        return 0.0
    best = 0.0
    for late in range(ECHO_FRAMES):
        a, b = ours[: length - late], theirs[late:]
        # Where the agent talks, and a little behind: there an echo rises and falls with it.
        near = np.convolve(talking[: length - late], np.ones(15), "same") > 0
        if np.count_nonzero(near) < LEAST_FRAMES:
            continue
        x, y = np.log10(a[near] + 10), np.log10(b[near] + 10)
        if x.std() > 1e-6 and y.std() > 1e-6:
            best = max(best, float(np.mean((x - x.mean()) * (y - y.mean())) / (x.std() * y.std())))
    return round(best, 3)
