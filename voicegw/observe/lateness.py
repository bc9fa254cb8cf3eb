"""How late things came: counts by size since the start, and of the last seconds."""

from bisect import bisect_left

# Upper bounds in milliseconds; what is later than the last is in one more count.
BOUNDS_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
# "The last seconds" are between one and two of these.
WINDOW_S = 5.0
# Fewer say nothing about a share of one in a hundred.
FEWEST = 100


class Lateness:
    """Use from one thread. Times are the loop's, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_s = 0.0
        self._recent = [0] * len(self.counts)
        self._before = [0] * len(self.counts)
        self._since = 0.0

    def add(self, late_s: float, now: float) -> None:
        """Take one more."""
        self._turn(now)
        bucket = bisect_left(BOUNDS_MS, late_s * 1000)
        self.counts[bucket] += 1
        self._recent[bucket] += 1
        self.sum_s += late_s

    def _turn(self, now: float) -> None:
        """Forget what is past."""
        if now - self._since >= WINDOW_S:
            fresh = now - self._since < 2 * WINDOW_S
            self._before = self._recent if fresh else [0] * len(self.counts)
            self._recent = [0] * len(self.counts)
            self._since = now

    def recent_ms(self, share: float, now: float) -> float:
        """The bound (ms) below which `share` of the last seconds' lie; 0 while there are too few to say."""
        self._turn(now)
        counts = [a + b for a, b in zip(self._recent, self._before, strict=True)]
        total = sum(counts)
        if total < FEWEST:
            return 0.0
        seen = 0
        for count, bound in zip(counts, (*BOUNDS_MS, float("inf")), strict=True):
            seen += count
            if seen >= share * total:
                return bound
        return float("inf")
