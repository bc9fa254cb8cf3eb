"""Silence off both ends of a sentence's speech, while it arrives.

Pure: bytes in, bytes out. Speech engines put up to half a second of silence around a sentence; before it the
caller waits, and behind it the agent seems not to have ended. Pauses within the sentence stay.
"""

from voicegw.audio.level import peak
from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ, ms_to_samples

# Silence is judged in windows of this length.
WINDOW_MS = 10
# A window without any sample above this is silent: -46 dBFS, over the noise of engines and lossy codecs, and
# 20 dB below the softest sound that a word begins with.
QUIET = 160
# What is left before the first sound: the breath that "h" and "s" begin with.
LEAD_MS = 30
# What is left behind the last one: the pause that a listener expects between two sentences.
TAIL_MS = 200
# A longer pause within a sentence is an engine's mistake, and is cut to this.
LONGEST_PAUSE_MS = 2_000

_WINDOW = ms_to_samples(WINDOW_MS)
_WINDOW_BYTES = _WINDOW * SAMPLE_BYTES
_STEP_BYTES = 10 * _WINDOW_BYTES


class Trimmer:
    """Trim pcm (16 kHz) that arrives in pieces of whole samples."""

    def __init__(self) -> None:
        self._kept = bytearray()  # less than a window
        self._quiet = bytearray()  # silence that nothing has followed yet, at most the longest pause
        self._sounded = False
        self._passed = 0  # of the silence that is going on, already handed on

    @property
    def sounded(self) -> bool:
        """True once there was anything to hear."""
        return self._sounded

    def push(self, pcm: bytes) -> bytes:
        """Take the next samples; return those that belong to the speech for certain, often none."""
        self._kept += pcm
        whole = len(self._kept) // _WINDOW_BYTES
        if not whole:
            return b""
        data = bytes(self._kept[: whole * _WINDOW_BYTES])
        del self._kept[: whole * _WINDOW_BYTES]
        # In steps, so that a long pause is the same in one piece as in many.
        return b"".join([self._take(data[at : at + _STEP_BYTES]) for at in range(0, len(data), _STEP_BYTES)])

    def _take(self, data: bytes) -> bytes:
        # Nearly always the first and the last window sound: no other is looked at.
        windows = range(0, len(data), _WINDOW_BYTES)
        first = next((at for at in windows if peak(data[at : at + _WINDOW_BYTES]) > QUIET), None)
        if first is None:
            return self._wait(data)
        last = next(at for at in reversed(windows) if peak(data[at : at + _WINDOW_BYTES]) > QUIET)
        last += _WINDOW_BYTES
        before = self._wait(data[:first])
        quiet = bytes(self._quiet)
        if not self._sounded:
            quiet = quiet[-_bytes(LEAD_MS) :]
        self._quiet.clear()
        self._passed = 0
        self._sounded = True
        return before + quiet + data[first:last] + self._wait(data[last:])

    def finish(self) -> bytes:
        """Return what is left of the speech. Nothing may be pushed after it."""
        rest = bytes(self._kept)
        self._kept.clear()
        if peak(rest) > QUIET:
            quiet = bytes(self._quiet) if self._sounded else bytes(self._quiet)[-_bytes(LEAD_MS) :]
            self._sounded = True
            return quiet + rest
        return b""

    def _wait(self, quiet: bytes) -> bytes:
        """Take silence: the first of it may pass at once, the rest waits for sound behind it."""
        room = _bytes(TAIL_MS) - self._passed if self._sounded else 0
        passes, waits = quiet[:room], quiet[room:]
        self._passed += len(passes)
        if self._sounded:
            self._quiet += waits[: max(0, _bytes(LONGEST_PAUSE_MS) - len(self._quiet))]
        else:
            self._quiet += waits
            del self._quiet[: -_bytes(LEAD_MS)]
        return passes


def _bytes(ms: int) -> int:
    return SAMPLE_RATE_HZ * ms // 1000 * SAMPLE_BYTES
