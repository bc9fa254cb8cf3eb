"""Changing the sample rate of pcm that arrives in pieces of any size.

Pure: bytes in, bytes out. soxr's stream resampler at quality HQ; it holds about 30 ms back, which `finish`
returns. Work is done in chunks of at least 100 ms, because one call costs about as much for 20 ms as for 100
(docs/performance.md), except the first one: the caller waits for that.
"""

import numpy as np
import soxr

_CHUNK_MS = 100


class Resampler:
    """Resample 16-bit little-endian mono from `from_hz` to `to_hz` Hertz, statefully.

    Pieces may end inside a sample. Raises ValueError for a rate that makes no sense.
    """

    def __init__(self, from_hz: int, to_hz: int = 16000) -> None:
        if not (4000 <= from_hz <= 192000 and 4000 <= to_hz <= 192000):
            raise ValueError(f"cannot resample from {from_hz} to {to_hz} Hz")
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="HQ")
        )
        self._chunk_bytes = 2 * (from_hz * _CHUNK_MS // 1000)
        self._kept = bytearray()
        self._started = False

    def push(self, data: bytes) -> bytes:
        """Take the next bytes and return the resampled audio that is ready: whole samples, often none."""
        if self._stream is None and not self._kept and not len(data) & 1:
            return data
        self._kept += data
        if self._stream is not None and self._started and len(self._kept) < self._chunk_bytes:
            return b""
        return self._take(last=False)

    def finish(self) -> bytes:
        """Return the end of the audio; half a sample left over is dropped. Nothing may be pushed after it."""
        return self._take(last=True)

    def _take(self, *, last: bool) -> bytes:
        whole = len(self._kept) & ~1
        data = bytes(self._kept[:whole])
        del self._kept[:whole]
        if self._stream is None:
            return data
        out: bytes = self._stream.resample_chunk(np.frombuffer(data, np.int16), last=last).tobytes()
        self._started = self._started or bool(out)
        return out
