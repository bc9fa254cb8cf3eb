"""Keys of a telephone in the caller's audio: the tone pairs of ITU-T Q.23, frame by frame.

Goertzel's sums for the eight frequencies, as one product of matrices; a quiet frame costs only its level.
"""

import numpy as np

from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
# About -40 dB of full scale: telephones send keys louder than that.
LEAST_RMS = 300
# Of the energy in 20 ms, in their two strongest frequencies; a voice spreads over many.
# A key that is 1 % off in both, as Q.24 allows it to be, has 0.69.
LEAST_SHARE = 0.65
# Half of these 20 ms may lie before the key began: then it is worth looking at its neighbours.
SUSPECT_SHARE = 0.4
# Q.24: one of the two may be this much stronger (8 dB).
MOST_TWIST = 6.3
# A tone is as loud in one 10 ms as in the next; where it begins or ends it is not.
MOST_CHANGE = 2.0

_HALF_BYTES = FRAME_BYTES // 2
_TIME = np.arange(FRAME_SAMPLES) / SAMPLE_RATE_HZ
_WAVES = np.exp(-2j * np.pi * np.outer((*ROWS_HZ, *COLUMNS_HZ), _TIME)).astype(np.complex64)
_WAVES_REAL = np.ascontiguousarray(np.concatenate([_WAVES.real, _WAVES.imag]).astype(np.float32))


def _strongest(frame: bytes) -> tuple[str, float]:
    """Return the key that 20 ms are most like, and its share of their energy; ("", 0.0) when too soft."""
    level = rms(frame)
    if level < LEAST_RMS:
        return "", 0.0
    # Plain numbers from here on: for so few of them numpy takes three times as long.
    sums = (_WAVES_REAL @ np.frombuffer(frame, "<i2").astype(np.float32)).tolist()
    power = [real * real + imaginary * imaginary for real, imaginary in zip(sums[:8], sums[8:], strict=True)]
    low, high = max(power[:4]), max(power[4:])
    if max(low, high) > MOST_TWIST * min(low, high):
        return "", 0.0
    share = (low + high) * 2 / (FRAME_SAMPLES * FRAME_SAMPLES * level * level)
    return KEYS[power.index(low)][power.index(high) - 4], share


def key_in(frame: bytes) -> str:
    """Return the key whose tones 20 ms are made of; "" for any other sound."""
    key, share = _strongest(frame)
    return key if share >= LEAST_SHARE else ""


def _key_within(sound: bytes) -> str:
    """Return a key that sounds for 30 ms of these 40; "" for any other sound."""
    halves = [rms(sound[at : at + _HALF_BYTES]) ** 2 for at in range(0, len(sound), _HALF_BYTES)]
    for first in (0, 1):
        three = halves[first : first + 3]
        if max(three) > MOST_CHANGE * min(three):
            continue
        at = first * _HALF_BYTES
        key = key_in(sound[at : at + FRAME_BYTES])
        if key and key == key_in(sound[at + _HALF_BYTES : at + _HALF_BYTES + FRAME_BYTES]):
            return key
    return ""


class KeyDetector:
    """Follows one caller. A key of 40 ms is heard (Q.24), however it lies to the frames; of 20 ms, none.

    `muted` says whether the newest frame was a key's tone, which nobody spoke; where `hear` returns a key, so
    were the two frames before it.
    """

    def __init__(self) -> None:
        self._key = ""
        self._before = b""  # the frame before
        self._look = False  # the next frame is looked at
        self.muted = False

    def hear(self, frame: bytes) -> str:
        """Take a frame of pcm. Returns a key once, at most 60 ms after it began."""
        before, self._before = self._before, frame
        if self._key:
            # Where a tone ends it fills part of a frame: the first one without it is no voice either.
            self.muted = True
            self._key = key_in(frame) and self._key
            return ""
        self.muted = False
        self._look = not self._look
        if not self._look or not before:
            # A loud frame costs 5 us here: as long as nothing is suspected, every second one is enough.
            return ""
        if _strongest(frame)[1] < SUSPECT_SHARE:
            return ""
        self._key = _key_within(before + frame)
        self.muted = bool(self._key)
        self._look = False
        return self._key
