"""Keys of a telephone in the caller's audio: the tone pairs of ITU-T Q.23, frame by frame.

Goertzel's sums for the eight frequencies, as one product of matrices; a quiet frame costs only its level.
"""

import audioop

import numpy as np

from voicegw.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
# About -40 dB of full scale: telephones send keys louder than that.
LEAST_RMS = 300
# Of a frame's energy in its two strongest frequencies; a voice spreads over many.
# A key that is 1 % off in both, as Q.24 allows it to be, has 0.69.
LEAST_SHARE = 0.65
# Q.24: one of the two may be this much stronger (8 dB).
MOST_TWIST = 6.3
# Q.24 wants 40 ms: two frames tell a key from a note in somebody's speech.
LEAST_FRAMES = 2

_TIME = np.arange(FRAME_SAMPLES) / SAMPLE_RATE_HZ
_WAVES = np.exp(-2j * np.pi * np.outer((*ROWS_HZ, *COLUMNS_HZ), _TIME)).astype(np.complex64)
_WAVES_REAL = np.ascontiguousarray(np.concatenate([_WAVES.real, _WAVES.imag]).astype(np.float32))


def key_in(frame: bytes) -> str:
    """Return the key whose tones a frame is made of; "" for any other sound."""
    level = audioop.rms(frame, SAMPLE_BYTES)
    if level < LEAST_RMS:
        return ""
    # Plain numbers from here on: for so few of them numpy takes three times as long.
    sums = (_WAVES_REAL @ np.frombuffer(frame, "<i2").astype(np.float32)).tolist()
    power = [real * real + imaginary * imaginary for real, imaginary in zip(sums[:8], sums[8:], strict=True)]
    low, high = max(power[:4]), max(power[4:])
    energy = level * level * FRAME_SAMPLES
    if (low + high) * 2 / FRAME_SAMPLES < LEAST_SHARE * energy:
        return ""
    if max(low, high) > MOST_TWIST * min(low, high):
        return ""
    return KEYS[power.index(low)][power.index(high) - 4]


class KeyDetector:
    """Follows one caller. `muted` says whether the newest frame was a key's tone, which nobody spoke."""

    def __init__(self) -> None:
        self._key = ""
        self._frames = 0
        self._skip = False
        self.muted = False

    def hear(self, frame: bytes) -> str:
        """Take a frame of pcm. Returns a key once, when it has sounded for 40 to 60 ms."""
        if not self._key:
            # A loud frame costs 5 us here: while there is no key, every second one is enough.
            self._skip = not self._skip
            if self._skip:
                self.muted = False
                return ""
        key = key_in(frame)
        self.muted = bool(key)
        if key != self._key:
            self._key, self._frames = key, 0
        self._frames += 1
        return key if key and self._frames == LEAST_FRAMES else ""
