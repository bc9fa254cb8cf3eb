"""How loud a frame is, and how loud this caller's background is."""

import math
import warnings

with warnings.catch_warnings():
    # Part of the standard library up to Python 3.12, the package audioop-lts from 3.13 on.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

FULL_SCALE = 32768.0


def rms(pcm: bytes) -> int:
    """Root mean square of 16-bit samples, 0 to 32,768. 0.4 us a frame (numpy: 1.5)."""
    return audioop.rms(pcm, 2)


def dbfs(rms_value: float) -> float:
    """Level in dB relative to full scale; -96 (the least of 16 bits) for silence."""
    if rms_value <= 0.5:
        return -96.0
    return 20.0 * math.log10(rms_value / FULL_SCALE)


class NoiseFloor:
    """The running level of the background, as rms.

    It follows a quieter frame at once and a louder one slowly, so that speech hardly lifts it but a
    caller who steps into a street does within a few seconds.
    """

    # Per 20 ms frame: towards a quieter level half the way in 5 frames, towards a louder one in about 7 s.
    DOWN = 0.13
    UP = 0.002

    def __init__(self) -> None:
        self.rms = 0.0
        self._started = False

    def hear(self, frame_rms: float) -> None:
        """Take the next frame's rms into account."""
        if not self._started:
            self.rms, self._started = frame_rms, True
            return
        self.rms += (frame_rms - self.rms) * (self.DOWN if frame_rms < self.rms else self.UP)
