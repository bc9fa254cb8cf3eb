"""Which byte order 16-bit sound has, where the two ends of a protocol do not agree about it."""

import numpy as np

# So many samples that are not silent are enough to tell (50 ms at 8 kHz).
ENOUGH = 400
# One order must be this much smoother than the other: sound is, by 10 and more.
CLEARLY = 2


class ByteOrderJudge:
    """Listens until sound tells its order: it is smooth in its own and noise in the other."""

    def __init__(self) -> None:
        self._big = self._little = 0.0
        self._sounding = 0

    def big_endian(self, data: bytes) -> bool | None:
        """Take whole samples. True or False when it is clear; None while more must be heard."""
        raw = data[: len(data) & ~1]
        big, little = np.frombuffer(raw, ">i2"), np.frombuffer(raw, "<i2")
        self._sounding += int(np.count_nonzero(big != little))
        self._big += float(np.abs(np.diff(big.astype(np.int32))).sum())
        self._little += float(np.abs(np.diff(little.astype(np.int32))).sum())
        smaller, larger = sorted((self._big, self._little))
        if self._sounding < ENOUGH or larger < CLEARLY * smaller:
            return None
        return self._big < self._little
