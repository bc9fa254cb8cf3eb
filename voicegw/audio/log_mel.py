"""The log-mel spectrum that models of Whisper's family hear, for a fixed length of sound.

As `WhisperFeatureExtractor(chunk_length=8)` of the package transformers makes it with `do_normalize=True`:
https://huggingface.co/docs/transformers/model_doc/whisper. The numbers below are that model's.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegw.audio.pcm import SAMPLE_RATE_HZ

SECONDS = 8
SAMPLES = SECONDS * SAMPLE_RATE_HZ
# 80 bands of 0 to 8 kHz, every 10 ms over windows of 25 ms.
BANDS = 80
HOP = 160
WINDOW = 400
FRAMES = SAMPLES // HOP
# Slaney's mel scale: even up to 1 kHz (200/3 Hz a mel), logarithmic above (27 mels for a factor of 6.4).
LINEAR_HZ = 1000.0
HZ_PER_MEL = 200.0 / 3
LOG_STEP = np.log(6.4) / 27
# Nothing is quieter than this, nor more than 80 dB below the loudest moment.
LEAST_POWER = 1e-10
RANGE = 8.0

Floats = npt.NDArray[Any]


def log_mel(samples: Floats) -> Floats:
    """Return the spectrum of the last 8 s of `samples` (16 kHz, ±1), float32 of shape (80, 800).

    What is shorter gets silence before it: such a model wants to hear the end of the sound at its end.
    """
    sound = np.zeros(SAMPLES, np.float32)
    tail = np.asarray(samples[-SAMPLES:], np.float32)
    if len(tail):
        sound[-len(tail) :] = tail
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    # Windows stand with their middle at each hop; the sound is mirrored at both ends.
    mirrored = np.pad(sound.astype(np.float64), WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, WINDOW)[::HOP][:FRAMES]
    shape = np.hanning(WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(windows * shape, axis=1)) ** 2
    level = np.log10(np.maximum(_bands() @ power.T, LEAST_POWER))
    level = np.maximum(level, level.max() - RANGE)
    found: Floats = ((level + 4.0) / 4.0).astype(np.float32)
    return found


@functools.cache
def _bands() -> Floats:
    """Return how much each frequency of a window counts in each band: triangles of equal area (80, 201)."""
    edges = _hz(np.linspace(0.0, _mel(SAMPLE_RATE_HZ / 2), BANDS + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WINDOW // 2 + 1)
    rise, fall = (hz - low) / (middle - low), (high - hz) / (high - middle)
    found: Floats = np.maximum(0.0, np.minimum(rise, fall)) * 2.0 / (high - low)
    return found


def _mel(hz: float) -> float:
    if hz < LINEAR_HZ:
        return hz / HZ_PER_MEL
    return float(LINEAR_HZ / HZ_PER_MEL + np.log(hz / LINEAR_HZ) / LOG_STEP)


def _hz(mel: Floats) -> Floats:
    knee = LINEAR_HZ / HZ_PER_MEL
    found: Floats = np.where(mel < knee, mel * HZ_PER_MEL, LINEAR_HZ * np.exp((mel - knee) * LOG_STEP))
    return found
