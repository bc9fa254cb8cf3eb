"""Going on with a sentence whose speech broke off: the same words again, behind what was delivered.

Pure. pcm is 16 kHz.
"""

from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE_HZ

# The same voice says the same sentence nearly alike: the place is sought this far back, at its quietest.
BACK_BYTES = SAMPLE_BYTES * SAMPLE_RATE_HZ * 400 // 1000
# Enough to know that two answers are the same to the sample.
MATCH_BYTES = FRAME_BYTES


class Rejoin:
    """Drops from a second answer what the caller was given of the first."""

    def __init__(self) -> None:
        self.delivered = 0  # bytes given on so far
        self._tail = b""  # the last of them
        self._skip = 0
        self._held = b""

    def again(self) -> None:
        """A new answer begins, from the start of the sentence."""
        self._skip = self.delivered
        self._held = b""

    def push(self, pcm: bytes) -> bytes:
        """Take the next pcm of an answer; return what is new of it."""
        if not self._skip:
            return self._give(pcm)
        self._held += pcm
        if len(self._held) < self._skip:
            return b""
        return self._join()

    def finish(self) -> bytes:
        """The answer has ended. One that is shorter than what was delivered of the first adds nothing."""
        self._held = b""
        self._skip = 0
        return b""

    def _join(self) -> bytes:
        held, at = self._held, self._skip
        self._held, self._skip = b"", 0
        if held[max(0, at - len(self._tail)) : at] != self._tail:
            at = self._quietest(held, at)
        return self._give(held[at:])

    def _quietest(self, pcm: bytes, at: int) -> int:
        """Return the start of the quietest frame shortly before `at`: between two words, if there is one."""
        first = max(0, at - BACK_BYTES)
        starts = range(first - first % SAMPLE_BYTES, max(first + 1, at - FRAME_BYTES + 1), FRAME_BYTES)
        return min(starts, key=lambda start: rms(pcm[start : start + FRAME_BYTES]))

    def _give(self, pcm: bytes) -> bytes:
        self.delivered += len(pcm)
        self._tail = (self._tail + pcm)[-MATCH_BYTES:]
        return pcm
