"""Is what comes from the caller our own voice? A threshold under which it is taken for echo.

The levels of the agent's frames, as they are heard, are compared with those of the caller's, in two ways:

- Where both rise and fall together, at one delay, the line echoes, and how much comes back is learned.
- Whatever the delay, no more comes back than the loudest that is heard of the caller while it might. That
  bounds the echo within a second, also of a voice that hardly rises and falls, and where there is none.

While the agent is heard, and shortly after, a frame of the caller counts only above what must be expected of
that. Pure.
"""

import itertools
from collections import deque

import numpy as np

from voicegw.audio.pcm import FRAME_US

# Longest echo path that is looked for (600 ms: a mobile network, a loudspeaker), and the ring that holds it.
LAGS = 30
SLOTS = 256
# Levels of the last 1.2 s are compared, every 200 ms; once a second on a line that is known to echo little.
WINDOW = 60
EVERY = 10
RARELY = 50
# Voices that are not echo agree by chance to about 0.5 over such a window.
ALIKE = 0.65
# Until something is learned of a line, echo 15 dB below the agent is reckoned with.
PRIOR = 0.178
PRIOR_MARGIN = 1.3
# Bounds are taken from frames of the agent of at least -36 dBFS, those of its last 10 s are kept. A quarter
# of them may be too low (a packet that was lost, a caller who was muted for a moment), and those in which the
# caller spoke are too high.
LOUD = 500.0
BOUNDS = 50
TOO_LOW = 4
# An echo less than 5 dB over the line's noise passes the detector's gate nowhere.
AUDIBLE = 1.78
# Frames that came in other numbers than the clock says by more than 300 ms are aligned anew.
ASTRAY = 15
# A caller must be 5 dB louder than the echo that is expected.
MARGIN = 1.8
# How much of the coupling a new comparison decides.
SHARE = 0.3
# Quieter frames of the agent say nothing about the line.
LEAST = 100.0
# Correlated with it, levels are summed over every window.
ONES = np.ones(WINDOW)


class EchoGuard:
    """Learns one line's echo. `played` for each frame of the agent, `threshold` for each of the caller."""

    def __init__(self) -> None:
        # The agent's levels by the 20 ms in which they are heard, up to `_head`; 0 where it is silent.
        self._agent = [0.0] * SLOTS
        self._head = 0
        self._caller: deque[float] = deque(maxlen=WINDOW)
        self._counted = 0  # the caller's frames since `_aligned`
        self._aligned = 0
        self._until = -1
        self.agent_heard = False  # or was it so lately that its echo may still come
        self._bounds: deque[float] = deque(maxlen=BOUNDS)
        self.bound: float | None = None  # no more than that comes back
        self.lag: int | None = None  # frames
        self.coupling = 0.0

    def played(self, heard_at_us: int, level_rms: float) -> None:
        """A frame of the agent is heard at that time."""
        slot = heard_at_us // FRAME_US
        self._advance(slot)
        self._agent[slot % SLOTS] = level_rms
        self._until = max(self._until, slot + LAGS)

    def threshold(self, now: int, level_rms: float, background_rms: float = 0.0) -> float:
        """Return the rms that a frame of the caller must exceed; 0.0 while no echo can come."""
        slot = now // FRAME_US
        self.agent_heard = slot <= self._until
        if not self.agent_heard:
            if self._caller:
                self._caller.clear()
            return 0.0
        self._advance(slot)
        if not self._caller or abs(slot - self._aligned - self._counted) > ASTRAY:
            self._caller.clear()
            self._aligned, self._counted = slot, 0
        self._caller.append(level_rms)
        self._counted += 1
        if self._counted % EVERY == 0:
            self._limit(slot, background_rms * AUDIBLE)
            rarely = self.lag is None and self.bound is not None and self.bound < PRIOR
            if self._counted % (RARELY if rarely else EVERY) == 0 and len(self._caller) == WINDOW:
                self._compare(slot)
        if self.lag is not None:
            coupling = self.coupling if self.bound is None else min(self.coupling, self.bound)
            return MARGIN * coupling * self._loudest(slot - self.lag - 2, slot - self.lag + 3)
        loudest = self._loudest(slot - LAGS, slot + 1)
        prior = PRIOR_MARGIN * PRIOR
        return loudest * (prior if self.bound is None else min(prior, MARGIN * self.bound))

    def _limit(self, slot: int, audible_rms: float) -> None:
        """Bound the echo by what came back of the loudest frame whose echo must have come by now."""
        first = slot - len(self._caller) + 1
        agent = self._levels(first, slot - LAGS + 1) if slot - LAGS >= first else []
        loudest = max(agent, default=0.0)
        if loudest < LOUD:
            return
        at = agent.index(loudest)
        heard = max(itertools.islice(self._caller, at, at + LAGS + 1))
        self._bounds.append(heard / loudest if heard > audible_rms else 0.0)
        self.bound = sorted(self._bounds)[len(self._bounds) // TOO_LOW]

    def _advance(self, slot: int) -> None:
        """Nothing is known yet of what lies between."""
        if slot <= self._head:
            return
        for at in range(max(self._head + 1, slot - SLOTS + 1), slot + 1):
            self._agent[at % SLOTS] = 0.0
        self._head = slot

    def _levels(self, first: int, stop: int) -> list[float]:
        """The agent's levels in those slots."""
        first, stop = first % SLOTS, stop % SLOTS
        return self._agent[first:stop] if first < stop else self._agent[first:] + self._agent[:stop]

    def _loudest(self, first: int, stop: int) -> float:
        return max(self._levels(first, stop))

    def _compare(self, slot: int) -> None:
        agent = np.array(self._levels(slot - WINDOW - LAGS + 1, slot + 1))
        if np.count_nonzero(agent > LEAST) < WINDOW // 3:
            return
        caller = np.array(self._caller)
        own = caller - sum(self._caller) / WINDOW
        # Pearson's coefficient of the caller's levels with each window of the agent's, the newest first.
        sums, squares = np.correlate(agent, ONES), np.correlate(agent * agent, ONES)
        spread = np.maximum(squares - sums * sums / WINDOW, 0.0)
        likeness = (np.correlate(agent, own) / (np.sqrt(spread * (own @ own)) + 1e-9))[::-1]
        lag = int(likeness.argmax())
        if likeness[lag] < ALIKE:
            return
        earlier = agent[LAGS - lag : LAGS - lag + WINDOW]
        found = float(earlier @ caller / (earlier @ earlier + 1e-9))
        if found > 1.0:
            # Louder than what was sent is no echo.
            return
        self.coupling = found if self.lag is None else self.coupling + (found - self.coupling) * SHARE
        self.lag = lag
