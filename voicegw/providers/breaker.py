"""A breaker per provider, shared by all calls: what the first call found out, the next two hundred know.

    closed ──failures in a row──▶ open ──after a while──▶ half-open: one probe ──▶ closed, or open for longer

Pure; times are seconds on any one clock.
"""

# Five in a row are no accident, and at a few requests a second found within seconds.
FAILURES = 5
# How long nothing is asked: first so long, doubled with each probe that fails, up to the second.
OPEN_S, MOST_OPEN_S = 2.0, 30.0
# A probe that never came back does not keep the breaker half-open for ever.
PROBE_S = 15.0


class Breaker:
    """Says whether a provider may be asked now."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_s = OPEN_S
        self._open_until: float | None = None

    @property
    def state(self) -> str:
        """`closed`, `open` (also while it is probed)."""
        return "closed" if self._open_until is None else "open"

    def wait_s(self, now: float) -> float:
        """Seconds until the provider may be asked; 0.0: now."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)

    def asked(self, now: float) -> None:
        """The provider is being asked. Behind an open breaker that is the one probe."""
        if self._open_until is not None:
            self._open_until = now + PROBE_S

    def succeeded(self) -> None:
        """The provider has answered."""
        self._failures = 0
        self._open_s = OPEN_S
        self._open_until = None

    def gave_up(self, now: float) -> None:
        """Nobody waited for the answer: it says nothing, and leaves the probe to another."""
        if self._open_until is not None:
            self._open_until = now

    def failed(self, now: float) -> None:
        """The provider has failed by its own fault."""
        self._failures += 1
        if self._open_until is not None:
            self._open_s = min(2 * self._open_s, MOST_OPEN_S)
            self._open_until = now + self._open_s
        elif self._failures >= FAILURES:
            self._open_until = now + self._open_s
