"""What is usual: a quantile that is learned from what happens, in constant memory and without a clock."""

from bisect import insort
from collections import deque


class Quantile:
    """An estimate of one quantile of a stream of numbers, which follows changes.

    Each number above moves it up by `step * quantile`, each one below down by `step * (1 - quantile)`: in
    balance, that share of the numbers lies below (Robbins and Monro, 1951).
    """

    def __init__(self, quantile: float, step: float, start: float) -> None:
        self._quantile = quantile
        self._step = step
        self.value = start

    def learn(self, number: float) -> None:
        """Take the next number."""
        if number > self.value:
            self.value += self._step * self._quantile
        elif number < self.value:
            self.value -= self._step * (1 - self._quantile)


class Recent:
    """The last `most` numbers, and their quantiles."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: float) -> None:
        """Take the next number; the oldest leaves."""
        self._numbers.append(number)
        insort(self._sorted, number)
        if len(self._numbers) > self._most:
            self._sorted.remove(self._numbers.popleft())

    def quantile(self, share: float) -> float | None:
        """Return the number below which `share` of them lie; None while there are fewer than 20."""
        if len(self._numbers) < 20:
            return None
        return self._sorted[min(len(self._sorted) - 1, int(share * len(self._sorted)))]
