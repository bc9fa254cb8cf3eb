"""Speech that was too loud for its line: found by its flat tops, and put right for the recogniser.

A clipped caller sounds harsh, and recognisers hear words in the harshness. Where a top is short the curve
over it follows from the slopes at its sides; what was lost in a longer one is lost. Pure; meant for a whole
stretch of speech at once, a millisecond or two for some seconds of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegw.audio.level import peak

Samples = npt.NDArray[Any]

FULL = 32767.0
# Tops are looked for from -30 dBFS on: what was clipped by the caller's own telephone may come quieter.
LEAST_PEAK = 1036
# So near to its own loudest sample come one or two in ten thousand samples of speech; of speech driven 6 dB
# into clipping it is one in a hundred.
NEAR = 0.95
CLIPPED = 0.002
# In a word or two some waves of one vowel are a large share; 3 ms in all are no clipping.
LEAST_SAMPLES = 48
# Nine in ten near samples of a flat top are equal as the clipping left it, and two behind companding and
# resampling, which leave ripples of some per cent.
EQUAL = 0.999
SHARP, ROUGH = 0.98, 0.90
# What is companded is clipped at the edge of its range: mu-law's loudest sample is 32,124 (ITU-T G.711).
LEAST_COMPANDED = 32_000
# A top up to 2 ms long is a half-wave from 250 Hz on, whose form the sides still tell.
LONGEST_RUN = 32
# No top is raised by more than 6 dB, and one side's slope counts for no more than twice the other's: hiss is
# steep, and would become a click.
HIGHEST = 2.0
STEEPER = 2.0


@dataclass(frozen=True, slots=True)
class Clipping:
    """How a stretch is clipped: `share` of its samples (0 to 1) are on flat tops, which begin at `top`."""

    top: float
    share: float


def clipping(pcm: bytes) -> Clipping | None:
    """Return how a stretch of speech is clipped; None when it is not. 16-bit samples at 16 kHz."""
    highest = peak(pcm)
    if highest < LEAST_PEAK:
        return None
    samples = np.frombuffer(pcm, "<i2", len(pcm) // 2)
    near = _beyond(samples, highest * NEAR)
    if near < max(LEAST_SAMPLES, CLIPPED * len(samples)):
        return None
    sharp = _beyond(samples, highest * EQUAL) > near / 2
    if not sharp and highest < LEAST_COMPANDED:
        # A steady vowel: its waves are alike, but not flat.
        return None
    return Clipping(highest * (SHARP if sharp else ROUGH), near / len(samples))


def _beyond(samples: Samples, level: float) -> int:
    return int(np.count_nonzero(samples >= level) + np.count_nonzero(samples <= -level))


def repaired(pcm: bytes, found: Clipping) -> bytes:
    """Draw a curve over each flat top, and make the whole so much quieter that the tops have room."""
    sound = np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32)
    for sign in (1.0, -1.0):
        _raise_tops(sound, sign, found.top)
    highest = float(np.abs(sound).max())
    if highest > FULL:
        sound *= FULL / highest
    # No sample changes its sign, nor becomes silence: by the signs a recording is known again.
    whole = np.where(sound > 0, np.ceil(sound), np.floor(sound))
    return np.clip(whole, -FULL, FULL).astype("<i2").tobytes()


def _raise_tops(sound: Samples, sign: float, top: float) -> None:
    """Replace each short run on the top by the cubic (Hermite) that leaves and meets its sides."""
    on_top = np.concatenate(([False], sound * sign >= top, [False]))
    edges = np.flatnonzero(on_top[1:] != on_top[:-1])
    starts, stops = edges[::2], edges[1::2]
    # Two samples on each side give the slopes.
    fit = (stops - starts <= LONGEST_RUN) & (starts >= 2) & (stops <= len(sound) - 2)
    starts, stops = starts[fit], stops[fit]
    lengths = stops - starts
    before, behind = sound[starts - 1] * sign, sound[stops] * sign
    up = np.maximum(before - sound[starts - 2] * sign, 0.0)
    down = np.maximum(behind - sound[stops + 1] * sign, 0.0)
    up, down = np.minimum(up, STEEPER * down), np.minimum(down, STEEPER * up)
    # A cubic rises by an eighth of the sum of its slopes.
    span = lengths + 1.0
    rise = (up + down) * span / 8
    slower = np.minimum(1.0, (HIGHEST - 1) * top / np.maximum(rise, 1.0))
    up, down = up * span * slower, down * span * slower
    # For every sample of every run: the run's number, and its place in it, 0 to 1 from side to side.
    run = np.repeat(np.arange(len(starts)), lengths)
    place = np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    t = (place + 1) / span[run]
    curve = (
        (1 + 2 * t) * (1 - t) ** 2 * before[run]
        + t * (1 - t) ** 2 * up[run]
        + t * t * (3 - 2 * t) * behind[run]
        + t * t * (1 - t) * down[run]
    )
    where = starts[run] + place
    sound[where] = np.maximum(curve, sound[where] * sign) * sign
