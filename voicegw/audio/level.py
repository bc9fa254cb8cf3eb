"""How loud a frame is, and how loud this caller's background is."""

import math
import warnings
from collections import deque

with warnings.catch_warnings():
    # Part of the standard library up to Python 3.12, the package audioop-lts from 3.13 on.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

FULL_SCALE = 32768.0


def rms(pcm: bytes) -> int:
    """Root mean square of 16-bit samples, 0 to 32,768. 0.4 us a frame (numpy: 1.5)."""
    return audioop.rms(pcm, 2)


def peak(pcm: bytes) -> int:
    """The largest absolute value of 16-bit samples, 0 to 32,768."""
    return audioop.max(pcm, 2)


def dbfs(rms_value: float) -> float:
    """Level in dB relative to full scale; -96 (the least of 16 bits) for silence."""
    if rms_value <= 0.5:
        return -96.0
    return 20.0 * math.log10(rms_value / FULL_SCALE)


# Recognisers were trained on speech of about this level; a much quieter caller is brought towards it …
WANTED_RMS = FULL_SCALE * 10 ** (-23 / 20)
QUIET_RMS = FULL_SCALE * 10 ** (-32 / 20)
# … but not so far that the noise of a silent line becomes loud (24 dB).
MOST_GAIN = 16.0
# Loudness is taken from the loudest tenth of a stretch's frames: pauses do not count.
LOUD_SHARE = 10
LEVEL_BYTES = 640
# Frames 12 dB louder than that are not of this voice.
CLICK = 4


def for_recognition(pcm: bytes) -> bytes:
    """Raise the level of a quiet caller's stretch; anything else is returned unchanged.

    Only for STT: voice is detected on what really came. Nothing of the voice is clipped by it.
    """
    frames = [pcm[at : at + LEVEL_BYTES] for at in range(0, len(pcm), LEVEL_BYTES)]
    levels = [rms(frame) for frame in frames]
    if not levels:
        return pcm
    loud = sorted(levels)[-1 - len(levels) // LOUD_SHARE]
    if not 0 < loud < QUIET_RMS:
        return pcm
    # A click of the receiver is no reason to leave the voice as quiet as it is.
    voice = [peak(frame) for frame, level in zip(frames, levels, strict=True) if level <= loud * CLICK]
    gain = min(MOST_GAIN, WANTED_RMS / loud, (FULL_SCALE - 1) / max(1, *voice))
    return audioop.mul(pcm, 2, gain) if gain > 1.0 else pcm


class NoiseFloor:
    """The running level of the background, as rms: the quietest moments of the last 3 s.

    Between words speech falls to the background, so that even a long sentence does not lift it, and a caller
    who steps into a street has a new one after 3 s.
    """

    BLOCK = 25  # frames (0.5 s) of which the quietest moment is kept
    BLOCKS = 6
    # A moment is some 60 ms long: one quiet frame is chance.
    SMOOTH = 0.35
    # The quietest moments of steady noise lie about 1.5 dB below its level.
    BIAS = 1.19

    def __init__(self) -> None:
        self.rms = 0.0
        self._smooth = -1.0
        self._lowest = math.inf
        self._count = 0
        self._blocks: deque[float] = deque(maxlen=self.BLOCKS)

    def hear(self, frame_rms: float) -> None:
        """Take the next frame's rms into account."""
        if self._smooth < 0:
            self._smooth = self.rms = frame_rms
        self._smooth = smooth = self._smooth + (frame_rms - self._smooth) * self.SMOOTH
        if smooth < self._lowest:
            self._lowest = smooth
            if smooth * self.BIAS < self.rms:
                self.rms = smooth * self.BIAS
        self._count += 1
        if self._count == self.BLOCK:
            self._count = 0
            self._blocks.append(self._lowest)
            self._lowest = smooth
            self.rms = min(self._blocks) * self.BIAS
