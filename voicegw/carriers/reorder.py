"""Packets of sound that arrive in any order: put in order, doubles dropped, what is lost concealed."""

from voicegw.audio.format import quieter

# A packet is waited for while this many later ones (60 ms) arrive: what comes later than that is lost.
WINDOW = 3
# A longer hole (1 s) is none: the other side has counted anew.
MOST_LOST = 50


class Reorder:
    """Puts numbered packets in order. Hands out None for each that was lost."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, bytes] = {}

    def push(self, number: int, packet: bytes) -> list[bytes | None]:
        """Take a packet; return those whose turn it is, in order."""
        expected = self._next
        if expected is None or not 0 <= number - expected < MOST_LOST:
            if expected is not None and 0 < expected - number < MOST_LOST:
                return []  # a double, or too late
            self._next = number + 1
            self._waiting.clear()
            return [packet]
        self._waiting[number] = packet
        out: list[bytes | None] = []
        while self._waiting and (expected in self._waiting or len(self._waiting) > WINDOW):
            out.append(self._waiting.pop(expected, None))
            expected += 1
        self._next = expected
        return out


class Concealment:
    """Fills the place of lost packets: once with the last one at half its level, then with silence."""

    def __init__(self) -> None:
        self._last = b""
        self._lost = 0

    def heard(self, pcm: bytes) -> bytes:
        """Note what was heard, and return it."""
        self._last, self._lost = pcm, 0
        return pcm

    def lost(self) -> bytes:
        """What is put in the place of a packet that did not come."""
        self._lost += 1
        if self._lost > 1:
            return bytes(len(self._last))
        return quieter(self._last)
